//! leasehold.

pub mod cni;
pub mod ip;
