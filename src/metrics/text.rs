//! The text format (Prometheus, "Exposition formats").
//!
//! It is also read here, because counters continue in the file. No library reads and writes the
//! format without a registry of live counters around it.

use std::fmt;
use std::io;
use std::path::Path;

use crate::host::{self, Durability};

mod read;
mod series;

pub use read::Text;
pub(super) use series::Series;

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// Goes up, and may start again from zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

/// All series of one name.
#[derive(Debug, Clone)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    /// In the order in which they are written: the buckets of a histogram are ordered by their
    /// bounds.
    samples: Vec<(Series, f64)>,
}

impl Family {
    /// A metric without series.
    #[must_use]
    pub fn new(kind: MetricType, name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind,
            samples: Vec::new(),
        }
    }

    /// With this series.
    #[must_use]
    pub fn with(self, labels: &[(&str, &str)], value: f64) -> Self {
        self.with_part("", labels, value)
    }

    /// With a series whose name is derived from the metric's, as those of a histogram are.
    #[must_use]
    pub(super) fn with_part(mut self, suffix: &str, labels: &[(&str, &str)], value: f64) -> Self {
        let name = format!("{}{suffix}", self.name);
        self.samples.push((Series::new(&name, labels), value));
        self
    }

    /// Adds to a series, which continues from its value in `before`.
    #[must_use]
    pub(super) fn counting(self, before: &Text, labels: &[(&str, &str)], more: f64) -> Self {
        let so_far = before.value(self.name, labels);
        self.with(labels, so_far + more)
    }

    /// With the series that only `before` has of this metric under these labels.
    #[must_use]
    pub(super) fn carrying_on(mut self, before: &Text, labels: &[&str]) -> Self {
        for (series, value) in before.of(self.name, labels) {
            if self.samples.iter().all(|(ours, _)| ours != series) {
                self.samples.push((series.clone(), value));
            }
        }
        self
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
        };
        let help = self.help.replace('\\', r"\\").replace('\n', r"\n");
        writeln!(f, "# HELP {} {help}", self.name)?;
        writeln!(f, "# TYPE {} {kind}", self.name)?;
        for (series, value) in &self.samples {
            writeln!(f, "{series} {value}")?;
        }
        Ok(())
    }
}

/// Replaces the file in one step, so that no reader finds half of it.
pub(super) fn replace(path: &Path, families: &[Family]) -> io::Result<()> {
    let text: String = families.iter().map(ToString::to_string).collect();
    // node-exporter is another user, whatever the umask of the runtime.
    host::replace(path, text.as_bytes(), 0o644, Durability::Process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_written_as_prometheus_has_it() {
        let family = Family::new(MetricType::Gauge, "a_seconds", "A \\ of\nB.")
            .with(&[("pool", "odd \"name\"\\\n"), ("vrf", "")], 3.0)
            .with(&[], 0.25);
        insta::assert_snapshot!(family, @r#"
        # HELP a_seconds A \\ of\nB.
        # TYPE a_seconds gauge
        a_seconds{pool="odd \"name\"\\\n",vrf=""} 3
        a_seconds 0.25
        "#);
    }

    #[test]
    fn a_counter_goes_on_from_where_the_file_left_it() {
        let before = Text::parse("a_total{reason=\"x\"} 2\na_total{reason=\"gone\"} 7\nb 1\n");
        let after = Family::new(MetricType::Counter, "a_total", "Counts.")
            .counting(&before, &[("reason", "x")], 3.0)
            .carrying_on(&before, &["reason"]);
        let lines = after.to_string();
        assert!(
            lines.ends_with("a_total{reason=\"x\"} 5\na_total{reason=\"gone\"} 7\n"),
            "{lines}"
        );
    }
}
