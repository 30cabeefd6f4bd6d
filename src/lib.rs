//! leasehold.

pub mod api;
pub mod cluster;
pub mod cni;
pub mod commands;
pub mod ip;
pub mod lease;
pub mod pick;
pub mod routes;
pub mod select;
