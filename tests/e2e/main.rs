//! leasehold on a real control plane.

mod again;
mod check;
mod choose;
mod claims;
mod collector;
mod del;
mod delegated;
mod env;
mod examples;
mod families;
mod faults;
mod full;
mod gc;
mod holder;
mod hostile;
mod kinds;
mod leniency;
mod metrics;
mod name_service;
mod policy;
mod races;
mod readme;
mod requested;
mod requests;
mod sandboxes;
mod status;
mod sticky;
mod unfit;

/// The CNI plugin.
const PLUGIN: &str = env!("CARGO_BIN_EXE_leasehold");
