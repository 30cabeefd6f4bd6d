//! The machine that a process runs on: its clock, its network namespaces, its files.
//!
//! Decides nothing: what depends on the machine is kept apart from what is a function of its
//! arguments.

mod clock;
mod file;
mod install;
mod network_namespace;
mod stdin;

pub use clock::SystemClock;
pub use file::{Durability, replace};
pub use install::{InstallError, install};
pub use network_namespace::{exists, is_own};
pub use stdin::Stdin;
