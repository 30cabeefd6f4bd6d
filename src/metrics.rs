//! Numbers for Prometheus, by way of a file that node-exporter's textfile collector reads.
//!
//! A process that ends can't be scraped, so that its counters live on in the file: the next one reads them, adds and
//! replaces the file in one step. A file that is missing or broken begins from nothing, as a process that restarts
//! does, and Prometheus' `rate` and `increase` take that for what it is.
//!
//! Nothing here is worth a failed call, nor a late one: a number that can't be written is missing.

mod calls;
mod collector;
mod text;

pub use calls::{Call, record};
pub use collector::{Run, write};
pub use text::{Family, MetricType, Text};
