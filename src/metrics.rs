//! Metrics for Prometheus, in a file that node-exporter's textfile collector reads.
//!
//! A process that has exited cannot be scraped, so its counters continue in the file: the next
//! process reads them, adds, and replaces the file in one step. A missing or damaged file starts
//! from zero, as a restarted process does; Prometheus' `rate` and `increase` expect that.
//!
//! No call fails or waits long for a metric: one that cannot be written is missing.

mod calls;
mod collector;
mod text;

pub use calls::{Call, record};
pub use collector::{Run, write};
pub use text::{Family, MetricType, Text};
