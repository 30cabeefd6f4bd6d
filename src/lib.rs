//! leasehold.

pub mod cni;
pub mod ip;
pub mod pick;
