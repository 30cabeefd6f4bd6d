//! What a run of the collector leaves.

#![expect(
    clippy::cast_precision_loss,
    reason = "the format knows no other numbers, and 2^53 addresses are as good as one more"
)]

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::text::{Family, MetricType, Text, replace};
use crate::collector::{KeepReason, ReasonKind, Summary};
use crate::ip::Vrf;

/// A run that is over.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Its result.
    pub summary: &'a Summary,
    /// Whether it did its work.
    pub succeeded: bool,
    /// How long it took.
    pub took: Duration,
    /// When it ended.
    pub ended: Timestamp,
}

impl Run<'_> {
    /// Whether it did all of its work, and really did it.
    fn complete(&self) -> bool {
        self.succeeded && !self.summary.stopped && !self.summary.dry_run
    }
}

/// Writes the file: gauges of this run, counters that go on from run to run as long as the file
/// stays where it is. Where each run begins with an empty folder, a counter is what that run did.
pub fn write(path: &Path, run: &Run<'_>) -> io::Result<()> {
    replace(path, &families(run, &Text::read(path)))
}

fn families(run: &Run<'_>, before: &Text) -> Vec<Family> {
    let mut families = of_pools(run, before);
    families.extend([reclaimed(run, before), suspects(run)]);
    families.extend(odd(run));
    families.extend(of_run(run, before));
    families
}

fn of_pools(run: &Run<'_>, before: &Text) -> Vec<Family> {
    let mut addresses = Family::new(
        MetricType::Gauge,
        "leasehold_pool_addresses",
        "Addresses of a pool by state.",
    );
    let mut capacity = Family::new(
        MetricType::Gauge,
        "leasehold_pool_capacity_addresses",
        "Addresses that a pool may give at all.",
    );
    let mut conditions = Family::new(
        MetricType::Gauge,
        "leasehold_pool_condition",
        "Whether a condition of a pool holds.",
    );
    let mut kept = Family::new(
        MetricType::Gauge,
        "leasehold_pool_kept_leases",
        "Leases of a pool that look dead and are kept, by what keeps them.",
    );
    for pool in &run.summary.pools {
        let family = pool.family.map_or_else(String::new, |f| f.to_string());
        let vrf = pool.vrf.as_ref().map_or("", Vrf::as_str);
        let of = [
            ("pool", pool.name.as_str()),
            ("vrf", vrf),
            ("family", &*family),
        ];
        let and = |label, value| [of[0], of[1], of[2], (label, value)];
        capacity = capacity.with(&of, number(pool.capacity));
        for (state, count) in [
            ("held", pool.held),
            ("cooling", pool.cooling),
            ("retained", pool.retained),
            ("quarantined", pool.quarantined),
            ("free", pool.free),
        ] {
            addresses = addresses.with(&and("state", state), number(count));
        }
        for (why, count) in pool.kept.by_label() {
            kept = kept.with(&and("reason", why), number(count));
        }
        for (condition, holds) in pool.conditions() {
            conditions = conditions.with(&and("condition", condition), flag(holds));
        }
    }
    if run.summary.pools.is_empty() && !run.complete() {
        // A run that did not get as far as counting knows nothing better.
        let by = ["pool", "vrf", "family"];
        capacity = capacity.carrying_on(before, &by);
        addresses = addresses.carrying_on(before, &[&by[..], &["state"]].concat());
        conditions = conditions.carrying_on(before, &[&by[..], &["condition"]].concat());
        kept = kept.carrying_on(before, &[&by[..], &["reason"]].concat());
    }
    vec![addresses, capacity, conditions, kept]
}

fn reclaimed(run: &Run<'_>, before: &Text) -> Family {
    let mut family = Family::new(
        MetricType::Counter,
        "leasehold_leases_reclaimed_total",
        "Leases that the collector released, by reason.",
    );
    for reason in ReasonKind::ALL {
        let count = run.summary.reclaimed.get(reason).copied().unwrap_or(0);
        // What would be is not.
        let count = if run.summary.dry_run { 0 } else { count };
        family = family.counting(before, &[("reason", reason.label())], count as f64);
    }
    family
}

fn suspects(run: &Run<'_>) -> Family {
    let mut family = Family::new(
        MetricType::Gauge,
        "leasehold_collector_suspect_leases",
        "Leases that look dead and are kept, by what keeps them.",
    );
    for kept in KeepReason::ALL {
        let count = run.summary.kept.get(kept).copied().unwrap_or(0);
        family = family.with(&[("reason", kept.label())], count as f64);
    }
    family
}

/// What an administrator has to check.
fn odd(run: &Run<'_>) -> [Family; 2] {
    let gauge = |name, help, count: usize| {
        Family::new(MetricType::Gauge, name, help).with(&[], count as f64)
    };
    [
        gauge(
            "leasehold_collector_contested_addresses",
            "Addresses that two living pods use.",
            run.summary.contested,
        ),
        gauge(
            "leasehold_collector_unreadable_objects",
            "Objects that the last run could not read.",
            run.summary.unreadable,
        ),
    ]
}

fn of_run(run: &Run<'_>, before: &Text) -> Vec<Family> {
    let ended = run.ended.as_second() as f64;
    let oldest = run.summary.oldest_suspect.unwrap_or_default();
    let gauge = |name, help, value| Family::new(MetricType::Gauge, name, help).with(&[], value);
    let mut families = vec![
        gauge(
            "leasehold_collector_oldest_suspect_age_seconds",
            "For how long the oldest lease that looks dead has been known and kept; 0 without one.",
            oldest.as_secs_f64(),
        ),
        gauge(
            "leasehold_collector_run_duration_seconds",
            "How long the last run took.",
            run.took.as_secs_f64(),
        ),
        gauge(
            "leasehold_collector_last_run_timestamp_seconds",
            "When the last run ended.",
            ended,
        ),
        Family::new(
            MetricType::Counter,
            "leasehold_collector_failed_runs_total",
            "Runs that could not do all of their work.",
        )
        .counting(before, &[], flag(!run.succeeded)),
        gauge(
            "leasehold_collector_errors",
            "Operations of the last run that failed; at least 1 when it failed.",
            // What ends a run early is no single operation.
            (run.summary.failed as f64).max(flag(!run.succeeded)),
        ),
    ];
    let success = "leasehold_collector_last_success_timestamp_seconds";
    let at = if run.complete() {
        ended
    } else {
        before.value(success, &[])
    };
    families.push(gauge(
        success,
        "When the last run ended that did all of its work.",
        at,
    ));
    families
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn number(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
