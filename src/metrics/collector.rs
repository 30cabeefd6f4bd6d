//! What a run of the collector leaves.

#![expect(
    clippy::cast_precision_loss,
    reason = "the format knows no other numbers, and nobody tells 2^53 addresses from one more"
)]

use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::text::{Family, Kind, Text, replace};
use crate::collect::{Counted, Kept, Reason, Summary};
use crate::ip::Vrf;

/// A run that is over.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// What it came to.
    pub summary: &'a Summary,
    /// Whether it did its work.
    pub succeeded: bool,
    /// How long it took.
    pub took: Duration,
    /// When it ended.
    pub ended: Timestamp,
}

/// Writes the file: gauges of this run, counters that go on.
pub fn write(path: &Path, run: &Run<'_>) -> io::Result<()> {
    replace(path, &families(run, &Text::read(path)))
}

fn families(run: &Run<'_>, before: &Text) -> Vec<Family> {
    let mut families = of_pools(&run.summary.pools, before);
    families.extend([reclaimed(run, before), suspects(run)]);
    families.extend(of_run(run, before));
    families
}

fn of_pools(pools: &[Counted], before: &Text) -> Vec<Family> {
    let addresses = Family::new(
        Kind::Gauge,
        "leasehold_pool_addresses",
        "Addresses of a pool by what they are doing.",
    );
    let capacity = Family::new(
        Kind::Gauge,
        "leasehold_pool_capacity_addresses",
        "Addresses that a pool may give at all.",
    );
    let all = [addresses, capacity];
    if pools.is_empty() {
        // A run that did not get as far as counting knows nothing better.
        return all.map(|family| family.carrying_on(before)).into();
    }
    let [mut addresses, mut capacity] = all;
    for pool in pools {
        let family = pool.family.map_or_else(String::new, |f| f.to_string());
        let vrf = pool.vrf.as_ref().map_or("", Vrf::as_str);
        let labels = [
            ("pool", pool.name.as_str()),
            ("vrf", vrf),
            ("family", &*family),
        ];
        capacity = capacity.with(&labels, number(pool.capacity));
        for (state, count) in [
            ("held", pool.held),
            ("cooling", pool.cooling),
            ("retained", pool.retained),
            ("quarantined", pool.quarantined),
            ("free", pool.free),
        ] {
            let [pool, vrf, family] = labels;
            addresses = addresses.with(&[pool, vrf, family, ("state", state)], number(count));
        }
    }
    vec![addresses, capacity]
}

fn reclaimed(run: &Run<'_>, before: &Text) -> Family {
    let mut family = Family::new(
        Kind::Counter,
        "leasehold_gc_reclaimed_leases_total",
        "Leases that the collector took back, by reason.",
    );
    for reason in Reason::LABELS {
        let count = run.summary.taken_back.get(reason).copied().unwrap_or(0);
        // What would be is not.
        let count = if run.summary.dry_run { 0 } else { count };
        family = family.counting(before, &[("reason", reason)], count as f64);
    }
    family
}

fn suspects(run: &Run<'_>) -> Family {
    let mut family = Family::new(
        Kind::Gauge,
        "leasehold_gc_suspect_leases",
        "Leases that look dead and are kept, by what keeps them.",
    );
    for kept in [Kept::Silent, Kept::Returning, Kept::Reported, Kept::Young] {
        let count = run.summary.kept.get(&kept).copied().unwrap_or(0);
        family = family.with(&[("reason", kept.label())], count as f64);
    }
    family
}

fn of_run(run: &Run<'_>, before: &Text) -> Vec<Family> {
    let ended = run.ended.as_second() as f64;
    let oldest = run.summary.oldest_suspect.unwrap_or_default();
    let gauge = |name, help, value| Family::new(Kind::Gauge, name, help).with(&[], value);
    let mut families = vec![
        gauge(
            "leasehold_gc_oldest_suspect_age_seconds",
            "Time since the oldest lease that looks dead and is kept was written; 0 without one.",
            oldest.as_secs_f64(),
        ),
        gauge(
            "leasehold_gc_run_duration_seconds",
            "How long the last run took.",
            run.took.as_secs_f64(),
        ),
        gauge(
            "leasehold_gc_last_run_timestamp_seconds",
            "When the last run ended.",
            ended,
        ),
        Family::new(
            Kind::Counter,
            "leasehold_gc_failed_runs_total",
            "Runs that could not do all of their work.",
        )
        .counting(before, &[], f64::from(u8::from(!run.succeeded))),
    ];
    let success = "leasehold_gc_last_success_timestamp_seconds";
    let at = if run.succeeded {
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

fn number(count: i64) -> f64 {
    count as f64
}
