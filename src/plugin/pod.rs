//! The pod that an address is for, and whether it may have one at all.

use std::time::Duration;

use crate::cni::PodRef;
use crate::lease::ClaimOwner;
use crate::select::ObjectMetadata;
use crate::select::PodFacts;

/// A pod as the API server has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSnapshot {
    /// Its uid there.
    pub uid: String,
    /// Of a mirror pod: the uid of the static pod that it mirrors, which is the one that the
    /// runtime knows.
    pub mirrors: Option<String>,
    /// The node that it is bound to.
    pub node: Option<String>,
    /// How long its containers may take to end.
    pub termination: Duration,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it shows any sign of an earlier sandbox: addresses, container statuses, a network
    /// status.
    pub had_sandbox: bool,
    /// Its labels and annotations.
    pub metadata: ObjectMetadata,
    /// The object that controls it.
    pub owner: Option<ClaimOwner>,
    /// What its name was generated from; empty if it was not.
    pub generate_name: String,
}

/// Why a pod gets no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PodError {
    /// There is no such pod on this node.
    #[error("there is no such pod on this node any more")]
    Gone,
    /// It has another uid than the call.
    #[error("the call is for uid {called}, and the pod of that name has uid {found} now")]
    OtherUid {
        /// The uid in the call.
        called: String,
        /// The uid at the API server.
        found: String,
    },
    /// It has a deletion timestamp.
    #[error("it is being deleted")]
    Deleting,
    /// It has run to its end.
    #[error("it is finished (phase {0})")]
    Finished(String),
    /// It is bound to no node.
    #[error("it is bound to no node")]
    Unbound,
}

/// A pod that may have an address.
#[derive(Debug, Clone)]
pub(super) struct BoundPod {
    /// What pools are chosen by; its uid is the one that leases bear.
    pub facts: PodFacts,
    /// How long its containers may take to end.
    pub termination: Duration,
    /// Whether it shows any sign of an earlier sandbox.
    pub had_sandbox: bool,
    /// The object that controls it.
    pub owner: Option<ClaimOwner>,
    /// What its name was generated from; empty if it was not.
    pub generate_name: String,
}

impl BoundPod {
    /// Refuses a pod that may not have an address: a call for one that is gone or finished is late.
    pub fn check(call: &PodRef, pod: Option<PodSnapshot>) -> Result<Self, PodError> {
        let pod = pod.ok_or(PodError::Gone)?;
        let found = pod.mirrors.as_ref().unwrap_or(&pod.uid);
        match &call.uid {
            Some(called) if called != found && *called != pod.uid => {
                return Err(PodError::OtherUid {
                    called: called.clone(),
                    found: found.clone(),
                });
            }
            _ if pod.deleting => return Err(PodError::Deleting),
            _ if matches!(pod.phase.as_str(), "Succeeded" | "Failed") => {
                return Err(PodError::Finished(pod.phase));
            }
            _ => {}
        }
        Ok(Self {
            facts: PodFacts {
                namespace: call.namespace.clone(),
                name: call.name.clone(),
                uid: call.uid.clone().unwrap_or_else(|| found.clone()),
                node: pod.node.ok_or(PodError::Unbound)?,
                labels: pod.metadata.labels,
                annotations: pod.metadata.annotations,
            },
            termination: pod.termination,
            had_sandbox: pod.had_sandbox,
            owner: pod.owner,
            generate_name: pod.generate_name,
        })
    }
}
