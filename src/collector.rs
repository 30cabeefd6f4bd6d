//! The collector: dead pods' addresses come back, the living keep theirs.
//!
//! A run looks once and takes seconds. What becomes of a lease is a function of what was listed and
//! of the marks that earlier runs left: the rules have a file for each reason to release. [`run`]
//! is the story that fetches both, has each judgment confirmed by live reads, and carries it out at
//! exactly the version that was judged. How anything is fetched is left to the implementation of
//! [`Api`].
//!
//! # Invariants
//!
//! - Unknown means keep: a pod that is gone does not prove that its container is, and what could
//!   not be read, or was not understood, proves nothing.
//! - A run acts only on marks that it read before its lists, and any write to a lease voids its
//!   mark: what one run sees for the first time is a later run's to release.
//! - A kubelet lets a container have the time to end that it was given, whatever becomes of the
//!   objects of its pod and its node.
//! - Nothing is released on an incomplete list.
//! - The leases are listed before the pods: a pod is there before its lease, so one that is missing
//!   in the later list is gone.
//! - What others may write is evidence only as far as its writer may be trusted.

mod api;
mod claims;
mod compact;
mod evidence;
mod gather;
mod grace_extended;
mod index;
mod labels;
mod marks;
mod node_addresses;
mod now;
mod pod_name;
mod reason;
mod recreate;
mod report;
mod rules;
mod run;
mod snapshot;
mod status;

pub use api::{Api, ConfigMapSnapshot, Notice, Page, Part, Regarding};
pub use compact::{SharedTexts, Uid};
pub use marks::CONFIG_MAP as MARKS;
pub use node_addresses::{CONFIG_MAP as NODE_ADDRESSES, OURS as NODE_RESERVATION};
pub use pod_name::PodName;
pub use reason::{KeepReason, Proof, Reason, ReasonKind};
pub use report::{Event, Reporter, Summary};
pub use run::run;
pub use snapshot::{
    ApplicationSnapshot, Attached, ClaimSnapshot, DerivedRequest, HolderSnapshot, LeaseSnapshot,
    NodeSnapshot, Phase, PodEnd, PodSnapshot, Report, Snapshot, StatefulSetName,
    StatefulSetSnapshot, StickyPod, Surroundings,
};
pub use status::{Counted, CountedLease, Findings, KeptLease, KeptLeases};

use std::time::Duration;

use crate::retry::ApiError;
use crate::text::counted;

/// What an administrator decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the collector's ConfigMaps are.
    pub namespace: String,
    /// How long a kubelet that is there again may take to notice that a pod is gone, on top of the
    /// pod's own time.
    pub margin: Duration,
    /// The longest time that an ADD may take anywhere in the cluster.
    pub add_timeout: Duration,
    /// How long a pod's name may be without its StatefulSet, or outside it, before its addresses
    /// are given up.
    pub claim_grace: Duration,
    /// Whether a pod that is gone is enough, whatever its node shows.
    pub release_unreachable: bool,
    /// Whether to say what would be done, and do nothing.
    pub dry_run: bool,
    /// When to give up, since the beginning of the process.
    pub deadline: Duration,
}

/// Why a run ended before its work was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something has to be known whole and is not available: nothing was released.
    #[error("the {what} could not be listed to the end, so nothing was released")]
    Incomplete {
        /// What was listed.
        what: &'static str,
        /// Why not.
        #[source]
        source: crate::retry::Error,
    },
    /// A list was begun again and again because it took the server too long to go on with it.
    #[error("the list of {what} expired {times} times before its end, so nothing was released")]
    Expired {
        /// What was listed.
        what: &'static str,
        /// How often.
        times: usize,
        /// What the server said last.
        #[source]
        source: ApiError,
    },
    /// The time was over before the work was done.
    #[error("timed out after {seconds} s")]
    OutOfTime {
        /// How many.
        seconds: u64,
    },
    /// Some of the work could not be done, or has to be corrected by a person.
    #[error("{} failed, first: {what}", counted(*count, "operation"))]
    Incompletely {
        /// How many.
        count: usize,
        /// What the first one was.
        what: String,
    },
    /// The same, where a request failed.
    #[error("{} failed, first: {what}", counted(*count, "operation"))]
    Partly {
        /// How many.
        count: usize,
        /// What the first one was.
        what: String,
        /// Why not.
        #[source]
        source: crate::retry::Error,
    },
}

#[cfg(test)]
mod tests;
