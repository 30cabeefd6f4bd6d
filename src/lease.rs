//! Who holds an address: taking, moving, checking and releasing leases by compare-and-swap.
//!
//! An address is one object named by itself, so the API server admits one holder of it, whatever
//! pools overlap or change meanwhile. This module is sure of that protocol and of nothing else:
//! which pools may serve a pod was decided before ([`select`](crate::select)), which address to
//! try is a proposal of [`allocate`](crate::allocate), and how a write reaches the API server is
//! left to the implementation of [`Store`].
//!
//! # Invariants
//!
//! - An address is given by a create of its lease, or by a replace at the version that was read;
//!   nothing else gives it.
//! - A write whose outcome is unknown is repeated on the same name, at the same version, until the
//!   answer is definite; only a read that shows another holder ends it otherwise.
//! - Before each write, and once more before it answers, [`acquire`] checks that the sandbox still
//!   exists: what a late call did is undone, but a moved lease is never touched again.
//! - A lease belongs to its present holder alone: nothing that was written onto it for the former
//!   one outlives a change of holder.

mod acquire;
mod convert;
mod holder;
mod leases;
mod member;
mod record;
mod release;
mod store;

pub use crate::api::{ClaimKind, ClaimOwner, ClaimRef, Holder, State};
pub use acquire::{
    AcquireError, AddressRequest, Allocation, CallHints, Hints, Previous, Refusal, Requester,
    SetRequest, Sets, acquire, describe,
};
pub use convert::InvalidLease;
pub use record::{InvalidLeaseName, Lease, LeaseName, StoredLease};
pub use release::{Released, given_up, release, released};
pub use store::{Claims, Commit, Freshness, LeaseFilter, ListScope, Peek, Replicas, Store};

use crate::retry::{self, WriteError};

/// Why a step of the protocol failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sandbox is gone: this call is late, and what it had taken was returned.
    #[error("the network namespace of this container is gone: the call is too late")]
    Late,
    /// The pod would give up the address that is kept for it, by reads that may be old: to be
    /// decided again on consistent ones. What had been taken was given back.
    #[error("whether the pod may keep its address is unknown: what it was decided on is old")]
    Outdated,
    /// The API server refused, or gave no definite answer in time.
    #[error(transparent)]
    Retry(#[from] retry::Error),
    /// No pool has an address to give, or not the requested one.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl From<WriteError> for Error {
    fn from(given_up: WriteError) -> Self {
        Self::Retry(given_up.error)
    }
}
