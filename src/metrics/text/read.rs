//! Reads a file that an earlier process wrote.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use super::Series;

/// Larger than the file of all commands and outcomes, or of some thousand pools.
const MAX_BYTES: u64 = 4 << 20;

/// The numbers of a file, by series.
#[derive(Debug, Clone, Default)]
pub struct Text(BTreeMap<Series, f64>);

impl Text {
    /// Reads a file; empty if it cannot be read, or is no regular file.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let mut text = String::new();
        // Opening a pipe would wait for a writer.
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MAX_BYTES)
        {
            let file = File::open(path);
            let read = file.and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
            if read.is_err() {
                text.clear();
            }
        }
        Self::parse(&text)
    }

    /// Reads the format, as far as it is used here: a line that is not understood is skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let sample = |line| {
            let (series, rest) = Series::parse(line)?;
            let value: f64 = rest.strip_prefix(' ')?.parse().ok()?;
            // No number here is negative or infinite.
            (value.is_finite() && value.is_sign_positive()).then_some((series, value))
        };
        Self(text.lines().filter_map(sample).collect())
    }

    /// The value of a series, 0 if there is none.
    #[must_use]
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let series = Series::new(name, labels);
        self.0.get(&series).copied().unwrap_or(0.0)
    }

    /// All series of a metric under labels of these names.
    pub(in super::super) fn of<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [&'a str],
    ) -> impl Iterator<Item = (&'a Series, f64)> {
        let all = self.0.iter().map(|(series, &value)| (series, value));
        all.filter(move |(series, _)| series.is_of(name, labels))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Family, MetricType};
    use super::*;

    #[test]
    fn a_broken_line_costs_itself_only() {
        let text = Text::parse(concat!(
            "a 1\nnonsense\nb NaN\n c\nd 2\n",
            "e{pool=\"x 3\ne{pool=\"x\"}4\ne{pool=\"\\x\"} 5\ne{pool=\"x\",} 6\n9e 7\nf -1\ng 1 1700000000\n",
        ));
        let read: Vec<String> = text.0.keys().map(ToString::to_string).collect();
        assert_eq!(read, ["a", "d"]);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(label in any::<String>(), value in 0.0..1e18) {
            let labels = [("pool", &*label), ("state", "held")];
            let family = Family::new(MetricType::Gauge, "a", "A.").with(&labels, value);
            let text = Text::parse(&family.to_string());
            // A line ends with \n for Prometheus and for us; a \r before it belongs to the line.
            prop_assume!(!label.contains('\r'));
            prop_assert_eq!(text.value("a", &labels).to_bits(), value.to_bits());
        }

        #[test]
        fn no_file_is_too_strange(text in any::<String>()) {
            let _ = Text::parse(&text);
        }
    }
}
