//! What ADD has to know before it chooses, and whether the pod may have an address at all.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::api::{IPPool, ReservedIP, Subnet};
use crate::cni::{Add, PodRef};
use crate::lease::{ApiError, Freshness, Store};
use crate::select::{Facts, NamespaceFacts, PodFacts};

/// What the API server knows besides leases.
///
/// Each call is one request (the pod's may take a second) and does not retry.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait Api: Store {
    /// The pod of that name as of now; `None` if there is none, or none that this node may know of.
    async fn pod(&self, pod: &PodRef) -> Result<Option<PodSnapshot>, ApiError>;
    /// Labels and annotations of a namespace.
    async fn namespace(
        &self,
        name: &str,
        freshness: Freshness,
    ) -> Result<Option<ObjectMetadata>, ApiError>;
    /// Labels and annotations of a node, which must be the caller's own.
    async fn node(&self, name: &str) -> Result<Option<ObjectMetadata>, ApiError>;
    /// All pools.
    async fn pools(&self, freshness: Freshness) -> Result<Vec<IPPool>, ApiError>;
    /// All reserved addresses.
    async fn reserved(&self, freshness: Freshness) -> Result<Vec<ReservedIP>, ApiError>;
    /// All subnets.
    async fn subnets(&self, freshness: Freshness) -> Result<Vec<Subnet>, ApiError>;
    /// The name of the node whose credentials are used.
    async fn own_node(&self) -> Result<String, ApiError>;
}

/// Labels and annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectMetadata {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A pod as it stands in the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSnapshot {
    /// Its uid there.
    pub uid: String,
    /// Of a mirror pod: the uid of the static pod that it mirrors, which is what the runtime says.
    pub mirrors: Option<String>,
    /// The node that it is bound to.
    pub node: Option<String>,
    /// How long its containers may take to end.
    pub termination: Duration,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it shows any sign of an earlier sandbox: addresses, container statuses, a network status.
    pub had_sandbox: bool,
    /// Its labels and annotations.
    pub marks: ObjectMetadata,
}

/// Why a pod gets no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PodError {
    /// There is no such pod on this node.
    #[error("there is no such pod on this node any more")]
    Gone,
    /// It has another uid than the call says.
    #[error("the call is for uid {called}, and the pod of that name has uid {found} now")]
    OtherUid {
        /// What the call says.
        called: String,
        /// What the API server says.
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

/// The pod that an address is for.
#[derive(Debug, Clone)]
pub struct FitPod {
    /// The uid that its leases will bear.
    pub uid: String,
    /// Its node.
    pub node: String,
    /// What it is otherwise.
    pub seen: PodSnapshot,
}

/// Sees that the pod may have an address: a call for one that is gone or finished is late.
pub fn fit(call: &PodRef, seen: Option<PodSnapshot>) -> Result<FitPod, PodError> {
    let seen = seen.ok_or(PodError::Gone)?;
    let found = seen.mirrors.as_ref().unwrap_or(&seen.uid);
    match &call.uid {
        Some(called) if called != found && *called != seen.uid => {
            return Err(PodError::OtherUid {
                called: called.clone(),
                found: found.clone(),
            });
        }
        _ if seen.deleting => return Err(PodError::Deleting),
        _ if matches!(seen.phase.as_str(), "Succeeded" | "Failed") => {
            return Err(PodError::Finished(seen.phase));
        }
        _ => {}
    }
    let uid = call.uid.clone().unwrap_or_else(|| found.clone());
    Ok(FitPod {
        uid,
        node: seen.node.clone().ok_or(PodError::Unbound)?,
        seen,
    })
}

/// What a choice of pools is made from.
pub fn of(
    call: &Add,
    pod: &FitPod,
    namespace: ObjectMetadata,
    node: Option<ObjectMetadata>,
) -> Facts {
    Facts {
        pod: PodFacts {
            namespace: call.pod.namespace.clone(),
            name: call.pod.name.clone(),
            uid: pod.uid.clone(),
            node: pod.node.clone(),
            labels: pod.seen.marks.labels.clone(),
            annotations: pod.seen.marks.annotations.clone(),
        },
        namespace: NamespaceFacts {
            labels: namespace.labels,
            annotations: namespace.annotations,
        },
        node_labels: node.map(|node| node.labels),
    }
}
