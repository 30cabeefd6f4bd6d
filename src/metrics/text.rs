//! The text format (Prometheus, "Exposition formats").

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::path::Path;
use std::{fs, process};

/// What sort of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It goes up, and begins again from nothing.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts in buckets.
    Histogram,
}

/// All series of one name.
#[derive(Debug, Clone)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    /// By name and labels as they are written.
    series: BTreeMap<String, f64>,
}

impl Family {
    /// A metric without series.
    #[must_use]
    pub fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind,
            series: BTreeMap::new(),
        }
    }

    /// With this series.
    #[must_use]
    pub fn with(mut self, labels: &[(&str, &str)], value: f64) -> Self {
        self.series.insert(series(self.name, labels), value);
        self
    }

    /// Adds to a series, which counts on from what `before` says of it.
    #[must_use]
    pub fn counting(self, before: &Text, labels: &[(&str, &str)], more: f64) -> Self {
        let so_far = before.value(self.name, labels);
        self.with(labels, so_far + more)
    }

    /// A series of a name that is derived from the metric's, as those of a histogram are.
    #[must_use]
    pub(super) fn counting_as(
        mut self,
        suffix: &str,
        before: &Text,
        labels: &[(&str, &str)],
        more: f64,
    ) -> Self {
        let name = format!("{}{suffix}", self.name);
        let value = before.value(&name, labels) + more;
        self.series.insert(series(&name, labels), value);
        self
    }

    /// Keeps what `before` has of this metric and this has not.
    #[must_use]
    pub(super) fn carrying_on(mut self, before: &Text) -> Self {
        for (key, value) in &before.0 {
            let name = key.split('{').next().unwrap_or_default();
            let ours = name.strip_prefix(self.name).is_some_and(|suffix| {
                suffix.is_empty()
                    || self.kind == Kind::Histogram
                        && ["_bucket", "_sum", "_count"].contains(&suffix)
            });
            if ours {
                self.series.entry(key.clone()).or_insert(*value);
            }
        }
        self
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        writeln!(f, "# HELP {} {}", self.name, self.help)?;
        writeln!(f, "# TYPE {} {kind}", self.name)?;
        for (series, value) in &self.series {
            writeln!(f, "{series} {value}")?;
        }
        Ok(())
    }
}

fn series(name: &str, labels: &[(&str, &str)]) -> String {
    let mut text = name.to_owned();
    for (index, (label, value)) in labels.iter().enumerate() {
        let escaped = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let before = if index == 0 { '{' } else { ',' };
        // Writing to a String does not fail.
        let _ = write!(text, "{before}{label}=\"{escaped}\"");
    }
    if !labels.is_empty() {
        text.push('}');
    }
    text
}

/// What a file said, by name and labels as they are written.
#[derive(Debug, Clone, Default)]
pub struct Text(BTreeMap<String, f64>);

impl Text {
    /// Reads a file; one that can't be read says nothing.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        Self::parse(&fs::read_to_string(path).unwrap_or_default())
    }

    /// Reads the format. A line that is not understood says nothing.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let value: f64 = value.parse().ok()?;
            Some((series.to_owned(), value)).filter(|_| value.is_finite())
        });
        Self(series.collect())
    }

    /// The value of a series, 0 where there is none.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.0.get(&series(name, labels)).copied().unwrap_or(0.0)
    }
}

/// Replaces the file in one step, so that nobody reads half of it.
pub(super) fn replace(path: &Path, families: &[Family]) -> io::Result<()> {
    let text: String = families.iter().map(ToString::to_string).collect();
    // The collector of node-exporter reads what ends with .prom.
    let draft = path.with_added_extension(format!("{}.tmp", process::id()));
    let written = fs::File::create(&draft).and_then(|mut file| file.write_all(text.as_bytes()));
    written
        .and_then(|()| fs::rename(&draft, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&draft);
        })
}

#[cfg(test)]
#[expect(
    clippy::float_cmp,
    reason = "small numbers that are written as they are"
)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let family = Family::new(Kind::Counter, "a_total", "Counts.")
            .with(&[("pool", "odd \"name\"\\\n")], 3.0)
            .with(&[], 1.5);
        let text = Text::parse(&family.to_string());
        assert_eq!(text.value("a_total", &[("pool", "odd \"name\"\\\n")]), 3.0);
        assert_eq!(text.value("a_total", &[]), 1.5);
        assert_eq!(text.value("a_total", &[("pool", "other")]), 0.0);
    }

    #[test]
    fn a_broken_line_costs_itself_only() {
        let text = Text::parse("a 1\nnonsense\nb NaN\n c\nd 2\n");
        assert_eq!(text.0.len(), 2);
    }

    #[test]
    fn a_counter_goes_on_from_where_the_file_left_it() {
        let before = Text::parse("a_total{reason=\"x\"} 2\na_total{reason=\"gone\"} 7\nb 1\n");
        let after = Family::new(Kind::Counter, "a_total", "Counts.")
            .counting(&before, &[("reason", "x")], 3.0)
            .carrying_on(&before);
        let lines = after.to_string();
        assert!(
            lines.ends_with("a_total{reason=\"gone\"} 7\na_total{reason=\"x\"} 5\n"),
            "{lines}"
        );
    }
}
