//! The collector: dead pods' addresses come back, the living keep theirs.
//!
//! What may be taken back is a function of what was seen, twice: [`suspects`] finds who may be dead in one look at the
//! whole cluster, [`confirm`] judges each again on a second, live look. [`run`] is the story that fetches both and
//! carries the judgement out, each release at exactly the version that was judged. How anything is fetched is the
//! business of whoever implements [`Api`].
//!
//! # Invariants
//!
//! - Unknown means keep: a pod that is gone does not prove that its container is, and what could not be read, or was
//!   not understood, proves nothing.
//! - Kubelet lets a container have the time to end that it was given first, whatever becomes of the objects of its pod and
//!   its node: only after that time they mean that the container is gone.
//! - Nothing is taken back on an incomplete list.
//! - The first look lists the leases before the pods: a pod is there before its lease, so one that is missing in the
//!   later list is gone.
//! - A lease that has changed between the two looks is left alone.

mod api;
mod confirm;
mod gather;
mod index;
mod missing;
mod node_addresses;
mod reason;
mod report;
mod run;
mod snapshot;
mod status;
mod suspect;

pub use api::{Api, Page};
pub use confirm::{SecondRead, confirm};
pub use index::SnapshotIndex;
pub use missing::{Missing, missing};
pub use node_addresses::{OURS as NODE_RESERVATION, reservations};
pub use reason::{KeepReason, PodEnd, Proof, Reason};
pub use report::{Event, Reporter, Summary};
pub use run::{ATTEMPT, run};
pub use snapshot::{
    ClaimSnapshot, HolderSnapshot, LeaseSnapshot, Life, NodeSnapshot, PodSnapshot, Report, Snapshot,
};
pub use status::{Counted, pool_status};
pub use suspect::{GraceExtended, Suspect, Suspicion, grace_extended, suspects};

use std::time::Duration;

use crate::retry::{self, ApiError};

/// What an administrator decides.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The time between the two looks.
    pub grace: Duration,
    /// The longest time that an ADD may take anywhere in the cluster.
    pub add_timeout: Duration,
    /// Whether a pod that is gone is enough, whatever its node shows: for who knows better than the cluster.
    pub release_unreachable: bool,
    /// Whether to say what would be done, and do nothing.
    pub dry_run: bool,
    /// When to give up, since the beginning of the process.
    pub deadline: Duration,
}

/// Why a run ended before its work was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something has to be known whole and can't be had: nothing was taken back.
    #[error("the {what} could not be listed to the end, so nothing was taken back")]
    Incomplete {
        /// What was listed.
        what: &'static str,
        /// Why not.
        #[source]
        source: retry::Error,
    },
    /// A list was begun again and again because it took the server too long to go on with it.
    #[error("the list of {what} expired {times} times before its end, so nothing was taken back")]
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
    #[error("{seconds} s were over before the work was done")]
    OutOfTime {
        /// How many.
        seconds: u64,
    },
    /// Some of the work could not be done.
    #[error("{count} of the things to do could not be done, the first of them: {what}")]
    Partly {
        /// How many.
        count: usize,
        /// What the first one was.
        what: String,
        /// Why not.
        #[source]
        source: retry::Error,
    },
}

#[cfg(test)]
mod tests;
