//! What ADD has to know before it chooses, and whether the pod may have an address at all.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::Error;
use crate::api::{IPPool, ReservedIP, Subnet};
use crate::cni::{Attach, PodRef};
use crate::lease::{Freshness, Store, Trouble};
use crate::select::{Facts, NamespaceFacts, PodFacts};

/// What the API server knows besides leases.
///
/// Each call is one request (the pod's may take a second) and does not retry.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait World: Store {
    /// The pod of that name as of now; `None` if there is none, or none that this node may know of.
    async fn pod(&self, pod: &PodRef) -> Result<Option<PodSeen>, Trouble>;
    /// Labels and annotations of a namespace.
    async fn namespace(&self, name: &str, freshness: Freshness) -> Result<Option<Marks>, Trouble>;
    /// Labels and annotations of a node, which must be the caller's own.
    async fn node(&self, name: &str) -> Result<Option<Marks>, Trouble>;
    /// All pools.
    async fn pools(&self, freshness: Freshness) -> Result<Vec<IPPool>, Trouble>;
    /// All reserved addresses.
    async fn reserved(&self, freshness: Freshness) -> Result<Vec<ReservedIP>, Trouble>;
    /// All subnets.
    async fn subnets(&self, freshness: Freshness) -> Result<Vec<Subnet>, Trouble>;
    /// The name of the node whose credentials are used.
    async fn own_node(&self) -> Result<String, Trouble>;
}

/// Labels and annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A pod as it stands in the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodSeen {
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
    pub marks: Marks,
}

/// Why a pod gets no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
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
    pub seen: PodSeen,
}

/// Sees that the pod may have an address: a call for one that is gone or finished is late.
pub fn fit(call: &PodRef, seen: Option<PodSeen>) -> Result<FitPod, Error> {
    let judge = || -> Result<FitPod, Unfit> {
        let seen = seen.ok_or(Unfit::Gone)?;
        let found = seen.mirrors.as_ref().unwrap_or(&seen.uid);
        match &call.uid {
            Some(called) if called != found && *called != seen.uid => {
                return Err(Unfit::OtherUid {
                    called: called.clone(),
                    found: found.clone(),
                });
            }
            _ if seen.deleting => return Err(Unfit::Deleting),
            _ if matches!(seen.phase.as_str(), "Succeeded" | "Failed") => {
                return Err(Unfit::Finished(seen.phase));
            }
            _ => {}
        }
        let uid = call.uid.clone().unwrap_or_else(|| found.clone());
        Ok(FitPod {
            uid,
            node: seen.node.clone().ok_or(Unfit::Unbound)?,
            seen,
        })
    };
    judge().map_err(|why| Error::PodUnfit {
        namespace: call.namespace.clone(),
        name: call.name.clone(),
        why,
    })
}

/// What a choice of pools is made from.
pub fn of(call: &Attach, pod: &FitPod, namespace: Marks, node: Option<Marks>) -> Facts {
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
