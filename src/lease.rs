//! Who holds an address: taking, moving, checking and giving back leases by compare-and-swap.
//!
//! An address is one object named by itself, so the API server admits one holder of it, whatever
//! pools overlap or change meanwhile. This module is sure of that protocol and of nothing else:
//! which pools come in question was decided before ([`select`](crate::select)), which address to
//! try is a proposal of [`pick`](crate::allocate), and how a write reaches the API server is the
//! business of whoever implements [`Store`].
//!
//! # Invariants
//!
//! - An address is given by a create of its lease, or by a replace at the version that was read;
//!   nothing else gives it.
//! - A write whose outcome is unknown is repeated on the same name, at the same version, until the
//!   answer is definite; only a read that shows somebody else ends it otherwise.
//! - Before each write, and once more before it answers, [`take`] sees that the sandbox still
//!   exists: what a late call did is undone, but a moved lease is never touched again.

mod acquire;
mod convert;
mod record;
mod release;
mod retrying;
mod store;

pub use crate::api::State;
pub use acquire::{
    AddressRequest, Allocation, Previous, Refusal, Requester, rollback, standing, take,
};
pub use convert::InvalidLease;
pub use record::{Claim, Holder, InvalidLeaseName, Lease, LeaseName, StoredLease};
pub use release::{Released, release, released};
pub use retrying::{Clock, Deadline, Retrying};
pub use store::{ApiError, Commit, ErrorKind, Freshness, LeaseFilter, ListScope, Store};

/// Why a step of the protocol did not come about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sandbox is gone: this call is late, and what it had taken was given back.
    #[error("the network namespace of this container is gone: the call came too late")]
    Late,
    /// The deadline came before a definite answer.
    #[error("no definite answer within {seconds} s")]
    OutOfTime {
        /// The deadline that was set, in seconds.
        seconds: u64,
        /// What the API server last answered, if it was that which took the time.
        #[source]
        last: Option<ApiError>,
    },
    /// The API server gave a definite refusal.
    #[error(transparent)]
    Store(ApiError),
    /// No pool has an address to give, or not the one that was asked for.
    #[error(transparent)]
    Refused(#[from] Refusal),
}
