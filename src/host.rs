//! The machine that a process runs on: its clock, its network namespaces, its files.
//!
//! Decides nothing. What is here can't be a function of its arguments, so it is kept apart from what can.

mod clock;
mod file;
mod install;
mod network_namespace;

pub use clock::SystemClock;
pub use file::{Durability, replace};
pub use install::{InstallError, install};
pub use network_namespace::exists;
