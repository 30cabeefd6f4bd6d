//! Figures as the tables show them, and the tables: those of Markdown, for the README.

use std::fmt::Display;
use std::time::Duration;

pub fn milli(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "figures of three digits")]
pub fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "figures of three digits")]
pub fn real(count: usize) -> f64 {
    count as f64
}

pub fn per_second(count: usize, time: Duration) -> f64 {
    real(count) / time.as_secs_f64()
}

/// So much of the time for each.
pub fn each(time: Duration, count: usize) -> String {
    milli(time.div_f64(real(count)))
}

/// The element below which so many percent are, of what is sorted.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// The head of a table.
pub fn head<const N: usize>(columns: [&str; N]) {
    row("", columns);
    println!("|---|{}", "---:|".repeat(N));
}

/// A row of a table.
pub fn row<const N: usize>(name: &str, cells: [impl Display; N]) {
    let cells = cells.map(|cell| format!(" {:>10} |", cell.to_string()));
    println!("| {name:40} |{}", cells.concat());
}
