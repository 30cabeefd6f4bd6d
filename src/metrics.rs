//! Numbers for Prometheus, by way of a file that node-exporter's textfile collector reads.
//!
//! A process that ends can't be scraped, so that its counters live on in the file: the next one reads them, adds and
//! replaces the file in one step. A file that is missing or broken begins from nothing, as a process that restarts does.

mod calls;
mod collector;
mod text;

pub use calls::{Call, record};
pub use collector::{Run, write};
pub use text::{Family, Kind, Text};
