//! leasehold.

pub mod api;
pub mod cni;
pub mod ip;
pub mod lease;
pub mod pick;
pub mod routes;
