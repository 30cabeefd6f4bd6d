//! Addresses that outlive a pod: what an IPClaim says, which application a pod belongs to, and for
//! which pods an address is kept under their name.
//!
//! Everything here is a function of its arguments. A claim says which addresses are in its set; who
//! has one of them is for its lease to say, and [`lease`](crate::lease) is where they are taken.

mod application;
mod derived;
mod set;
mod slot;
mod unusable;

pub use crate::api::SetOwner;
pub use application::NoApplication;
pub use derived::{DerivedSet, SetSize};
pub use set::{Claim, ClaimName, InvalidClaim, OWNER_GONE, Source, UNUSED};
pub use slot::{NotSticky, PodIdentity, ordinal};
pub use unusable::Unusable;
