//! Sets of addresses: what an IPClaim says, and which application a pod belongs to.
//!
//! Everything here is a function of its arguments. A claim says which addresses are in its set; who has
//! one of them is for its lease to say, and [`lease`](crate::lease) is where they are taken.

mod set;
mod unusable;

pub use set::{Claim, ClaimName, InvalidClaim, Source};
pub use unusable::Unusable;
