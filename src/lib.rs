//! leasehold.

pub mod ip;
