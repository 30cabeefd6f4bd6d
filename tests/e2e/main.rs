//! leasehold on a real control plane.

mod choose;
mod examples;
mod kinds;
mod policy;
mod readme;

/// The CNI plugin.
const PLUGIN: &str = env!("CARGO_BIN_EXE_leasehold");
