//! How long calls took: a histogram for each command.

use std::collections::BTreeMap;

use super::super::text::{Family, MetricType, Text};
use super::Call;

const NAME: &str = "leasehold_call_duration_seconds";
const COUNT: &str = "leasehold_call_duration_seconds_count";
const SUM: &str = "leasehold_call_duration_seconds_sum";
const BUCKET: &str = "leasehold_call_duration_seconds_bucket";

/// Upper bounds in seconds: from a call on a fast network to one that waited for most of ADD's
/// default deadline.
const BOUNDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The calls of one command.
///
/// # Invariants
///
/// Each bucket includes the ones before it, and none is larger than `count`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Latency {
    buckets: [f64; BOUNDS.len()],
    count: f64,
    sum: f64,
}

impl Latency {
    /// The histograms of all commands in `before`, and this call.
    pub fn family(call: &Call<'_>, before: &Text) -> Family {
        let known = before.of(COUNT, &["command"]);
        let mut commands: BTreeMap<&str, Self> = known
            .filter_map(|(series, _)| series.first())
            .map(|command| (command, Self::read(command, before)))
            .collect();
        let ours = commands.entry(call.command).or_default();
        ours.observe(call.took.as_secs_f64());
        let family = Family::new(
            MetricType::Histogram,
            NAME,
            "How long calls of the plugin took, from the start of the process to its answer.",
        );
        let write = |family, (command, latency): (&&str, &Self)| latency.write(family, command);
        commands.iter().fold(family, write)
    }

    /// The histogram in the file, unless it contradicts itself: another version may have had other
    /// bounds.
    fn read(command: &str, before: &Text) -> Self {
        let command = ("command", command);
        let bucket = |bound: f64| before.value(BUCKET, &[command, ("le", &bound.to_string())]);
        let read = Self {
            buckets: BOUNDS.map(bucket),
            count: before.value(COUNT, &[command]),
            sum: before.value(SUM, &[command]),
        };
        let all = read.buckets.iter().chain([&read.count]);
        if all.is_sorted() {
            read
        } else {
            Self::default()
        }
    }

    fn observe(&mut self, seconds: f64) {
        for (bucket, bound) in self.buckets.iter_mut().zip(BOUNDS) {
            if seconds <= bound {
                *bucket += 1.0;
            }
        }
        self.count += 1.0;
        self.sum += seconds;
    }

    fn write(&self, family: Family, command: &str) -> Family {
        let command = ("command", command);
        let bounds = BOUNDS.iter().map(ToString::to_string);
        let buckets = bounds.zip(self.buckets);
        buckets
            .chain([("+Inf".to_owned(), self.count)])
            .fold(family, |family, (le, count)| {
                family.with_part("_bucket", &[command, ("le", &le)], count)
            })
            .with_part("_sum", &[command], self.sum)
            .with_part("_count", &[command], self.count)
    }
}
