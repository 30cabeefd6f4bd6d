//! What the numbers of a run are, and which of them go on.

use crate::api::{IPPool, IPPoolSpec};
use crate::collector::{Counted, CountedLease, Findings, KeptLease, KeptLeases};
use crate::ip::PoolName;
use crate::ip::Vrf;
use crate::lease::{LeaseName, State};
use crate::pool::Pools;

use super::*;

/// A pool of four addresses of which one is held and one cooling, and another that has one of them
/// too.
fn pools() -> Vec<Counted> {
    let pool = |name: &str, range: &str| {
        let spec = IPPoolSpec {
            subnet: "10.0.0.0/24".to_owned(),
            ips: vec![range.to_owned()],
            ..IPPoolSpec::default()
        };
        IPPool::new(name, spec)
    };
    let pools = vec![
        pool("racks", "10.0.0.1-10.0.0.4"),
        pool("spare", "10.0.0.4"),
    ];
    let pools = Pools::read_each(pools, &[], &[]);
    let name = PoolName::from("racks");
    let lease = |address: &str| LeaseName {
        vrf: Vrf::default(),
        address: address.parse().expect("an address"),
    };
    let leases = [lease("10.0.0.1"), lease("10.0.0.2")];
    let leases = leases.iter().zip([State::Held, State::Cooling]);
    let leases = leases.map(|(lease, state)| CountedLease {
        name: lease,
        state,
        pool: &name,
        over: None,
    });
    let mut kept = KeptLeases::default();
    kept.add(KeptLease {
        why: KeepReason::Silent,
        node: "n1",
        until: None,
    });
    let findings = Findings {
        kept: [(name.clone(), kept)].into(),
        ..Findings::default()
    };
    Counted::pools(&pools, leases, &findings)
}

fn summary() -> Summary {
    Summary {
        pools: pools(),
        reclaimed: [(ReasonKind::PodGone, 2)].into(),
        kept: [(KeepReason::Silent, 1)].into(),
        oldest_suspect: Some(Duration::from_secs(90)),
        ..Summary::default()
    }
}

/// The file after this run and those in `before`.
fn after(before: &str, summary: &Summary, succeeded: bool) -> String {
    let run = Run {
        summary,
        succeeded,
        took: Duration::from_millis(1250),
        ended: "2026-03-01T12:00:00Z".parse().expect("a time"),
    };
    let families = families(&run, &Text::parse(before));
    families.iter().map(ToString::to_string).collect()
}

#[test]
fn a_run_leaves_how_full_each_pool_is_and_what_it_did() {
    insta::assert_snapshot!(after("", &summary(), true), @r#"
    # HELP leasehold_pool_addresses Addresses of a pool by state.
    # TYPE leasehold_pool_addresses gauge
    leasehold_pool_addresses{pool="racks",vrf="",family="IPv4",state="held"} 1
    leasehold_pool_addresses{pool="racks",vrf="",family="IPv4",state="cooling"} 1
    leasehold_pool_addresses{pool="racks",vrf="",family="IPv4",state="retained"} 0
    leasehold_pool_addresses{pool="racks",vrf="",family="IPv4",state="quarantined"} 0
    leasehold_pool_addresses{pool="racks",vrf="",family="IPv4",state="free"} 2
    leasehold_pool_addresses{pool="spare",vrf="",family="IPv4",state="held"} 0
    leasehold_pool_addresses{pool="spare",vrf="",family="IPv4",state="cooling"} 0
    leasehold_pool_addresses{pool="spare",vrf="",family="IPv4",state="retained"} 0
    leasehold_pool_addresses{pool="spare",vrf="",family="IPv4",state="quarantined"} 0
    leasehold_pool_addresses{pool="spare",vrf="",family="IPv4",state="free"} 1
    # HELP leasehold_pool_capacity_addresses Addresses that a pool may give at all.
    # TYPE leasehold_pool_capacity_addresses gauge
    leasehold_pool_capacity_addresses{pool="racks",vrf="",family="IPv4"} 4
    leasehold_pool_capacity_addresses{pool="spare",vrf="",family="IPv4"} 1
    # HELP leasehold_pool_condition Whether a condition of a pool holds.
    # TYPE leasehold_pool_condition gauge
    leasehold_pool_condition{pool="racks",vrf="",family="IPv4",condition="Exhausted"} 0
    leasehold_pool_condition{pool="racks",vrf="",family="IPv4",condition="Overlapping"} 1
    leasehold_pool_condition{pool="racks",vrf="",family="IPv4",condition="OutOfRange"} 0
    leasehold_pool_condition{pool="racks",vrf="",family="IPv4",condition="LeasesKept"} 1
    leasehold_pool_condition{pool="racks",vrf="",family="IPv4",condition="AddressContested"} 0
    leasehold_pool_condition{pool="spare",vrf="",family="IPv4",condition="Exhausted"} 0
    leasehold_pool_condition{pool="spare",vrf="",family="IPv4",condition="Overlapping"} 1
    leasehold_pool_condition{pool="spare",vrf="",family="IPv4",condition="OutOfRange"} 0
    leasehold_pool_condition{pool="spare",vrf="",family="IPv4",condition="LeasesKept"} 0
    leasehold_pool_condition{pool="spare",vrf="",family="IPv4",condition="AddressContested"} 0
    # HELP leasehold_pool_kept_leases Leases of a pool that look dead and are kept, by what keeps them.
    # TYPE leasehold_pool_kept_leases gauge
    leasehold_pool_kept_leases{pool="racks",vrf="",family="IPv4",reason="silent"} 1
    # HELP leasehold_leases_reclaimed_total Leases that the collector released, by reason.
    # TYPE leasehold_leases_reclaimed_total counter
    leasehold_leases_reclaimed_total{reason="pod_gone"} 2
    leasehold_leases_reclaimed_total{reason="pod_finished"} 0
    leasehold_leases_reclaimed_total{reason="surplus"} 0
    leasehold_leases_reclaimed_total{reason="cooled"} 0
    leasehold_leases_reclaimed_total{reason="quarantine_over"} 0
    leasehold_leases_reclaimed_total{reason="claim_gone"} 0
    leasehold_leases_reclaimed_total{reason="claim_omits"} 0
    leasehold_leases_reclaimed_total{reason="owner_gone"} 0
    leasehold_leases_reclaimed_total{reason="scaled_down"} 0
    leasehold_leases_reclaimed_total{reason="unused"} 0
    leasehold_leases_reclaimed_total{reason="superseded"} 0
    # HELP leasehold_collector_suspect_leases Leases that look dead and are kept, by what keeps them.
    # TYPE leasehold_collector_suspect_leases gauge
    leasehold_collector_suspect_leases{reason="marked"} 0
    leasehold_collector_suspect_leases{reason="silent"} 1
    leasehold_collector_suspect_leases{reason="unready"} 0
    leasehold_collector_suspect_leases{reason="ending"} 0
    leasehold_collector_suspect_leases{reason="teardown_failed"} 0
    leasehold_collector_suspect_leases{reason="static_pod"} 0
    leasehold_collector_suspect_leases{reason="reported"} 0
    leasehold_collector_suspect_leases{reason="shared"} 0
    leasehold_collector_suspect_leases{reason="young"} 0
    leasehold_collector_suspect_leases{reason="leaving"} 0
    leasehold_collector_suspect_leases{reason="awaited"} 0
    leasehold_collector_suspect_leases{reason="claimed"} 0
    leasehold_collector_suspect_leases{reason="alive"} 0
    leasehold_collector_suspect_leases{reason="changed"} 0
    leasehold_collector_suspect_leases{reason="vanished"} 0
    leasehold_collector_suspect_leases{reason="finalizers"} 0
    leasehold_collector_suspect_leases{reason="no_room"} 0
    # HELP leasehold_collector_contested_addresses Addresses that two living pods use.
    # TYPE leasehold_collector_contested_addresses gauge
    leasehold_collector_contested_addresses 0
    # HELP leasehold_collector_unreadable_objects Objects that the last run could not read.
    # TYPE leasehold_collector_unreadable_objects gauge
    leasehold_collector_unreadable_objects 0
    # HELP leasehold_collector_oldest_suspect_age_seconds For how long the oldest lease that looks dead has been known and kept; 0 without one.
    # TYPE leasehold_collector_oldest_suspect_age_seconds gauge
    leasehold_collector_oldest_suspect_age_seconds 90
    # HELP leasehold_collector_run_duration_seconds How long the last run took.
    # TYPE leasehold_collector_run_duration_seconds gauge
    leasehold_collector_run_duration_seconds 1.25
    # HELP leasehold_collector_last_run_timestamp_seconds When the last run ended.
    # TYPE leasehold_collector_last_run_timestamp_seconds gauge
    leasehold_collector_last_run_timestamp_seconds 1772366400
    # HELP leasehold_collector_failed_runs_total Runs that could not do all of their work.
    # TYPE leasehold_collector_failed_runs_total counter
    leasehold_collector_failed_runs_total 0
    # HELP leasehold_collector_errors Operations of the last run that failed; at least 1 when it failed.
    # TYPE leasehold_collector_errors gauge
    leasehold_collector_errors 0
    # HELP leasehold_collector_last_success_timestamp_seconds When the last run ended that did all of its work.
    # TYPE leasehold_collector_last_success_timestamp_seconds gauge
    leasehold_collector_last_success_timestamp_seconds 1772366400
    "#);
}

#[test]
fn a_run_that_failed_early_keeps_what_was_known_and_is_no_success() {
    let before = after("", &summary(), true);
    let text = after(&before, &Summary::default(), false);
    for line in [
        r#"leasehold_pool_addresses{pool="racks",vrf="",family="IPv4",state="free"} 2"#,
        r#"leasehold_pool_condition{pool="racks",vrf="",family="IPv4",condition="Overlapping"} 1"#,
        r#"leasehold_leases_reclaimed_total{reason="pod_gone"} 2"#,
        "leasehold_collector_last_success_timestamp_seconds 1772366400",
        "leasehold_collector_failed_runs_total 1",
        "leasehold_collector_errors 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn a_run_that_found_no_pools_says_so() {
    let before = after("", &summary(), true);
    assert!(!after(&before, &Summary::default(), true).contains("racks"));
}

#[test]
fn neither_a_dry_run_nor_one_that_was_stopped_is_a_success_or_a_failure() {
    for (stopped, dry_run) in [(true, false), (false, true)] {
        let summary = Summary {
            stopped,
            dry_run,
            ..summary()
        };
        let text = after("", &summary, true);
        for line in [
            "leasehold_collector_last_success_timestamp_seconds 0",
            "leasehold_collector_failed_runs_total 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
