//! The status of a pool.

use jiff::Timestamp;

use super::{Counted, CountedLease, Findings, KeptLease, KeptLeases, pool_status};
use crate::api::{IPPool, IPPoolSpec, IPPoolStatus, ReservedIP, ReservedIPSpec};
use crate::collector::KeepReason;
use crate::collector::pod_name::PodName;
use crate::ip::PoolName;
use crate::ip::Vrf;
use crate::lease::{LeaseName, State};
use crate::pool::Pools;

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).expect("a time")
}

fn pool(name: &str, subnet: &str, ips: &[&str]) -> IPPool {
    IPPool::new(
        name,
        IPPoolSpec {
            subnet: subnet.to_owned(),
            ips: ips.iter().map(ToString::to_string).collect(),
            ..IPPoolSpec::default()
        },
    )
}

fn status_of(
    name: &str,
    pools: Vec<IPPool>,
    reserved: &[&str],
    leases: &[(&str, State)],
) -> IPPoolStatus {
    status_with(name, pools, reserved, leases, &Findings::default())
}

fn status_with(
    name: &str,
    pools: Vec<IPPool>,
    reserved: &[&str],
    leases: &[(&str, State)],
    findings: &Findings,
) -> IPPoolStatus {
    let reserved = ReservedIP::new(
        "r",
        ReservedIPSpec {
            ips: reserved.iter().map(ToString::to_string).collect(),
            ..ReservedIPSpec::default()
        },
    );
    let pools = Pools::read_each(pools, &[], &[reserved]);
    let from = PoolName::from("a");
    let leases: Vec<(LeaseName, State)> = leases
        .iter()
        .map(|(name, state)| (name.parse().expect("a name"), *state))
        .collect();
    let leases = leases.iter().map(|(name, state)| CountedLease {
        name,
        state: *state,
        pool: &from,
        over: (*state == State::Quarantined)
            .then(|| (now() + jiff::SignedDuration::from_secs(600)).into()),
    });
    let counted = Counted::pools(&pools, leases, findings);
    let counted = counted
        .iter()
        .find(|c| c.name.as_str() == name)
        .expect("counted");
    pool_status(counted, Some(7), None, 0, now()).expect("never written before")
}

/// The conditions that hold, with their messages.
fn holds(status: &IPPoolStatus) -> Vec<(&str, &str)> {
    let true_ones = status.conditions.iter().filter(|c| c.status == "True");
    true_ones
        .map(|c| (c.type_.as_str(), c.message.as_str()))
        .collect()
}

#[test]
fn what_has_a_lease_is_not_free() {
    let leases = [
        ("10.0.0.1", State::Held),
        ("10.0.0.2", State::Cooling),
        ("10.0.0.3", State::Retained),
        ("10.0.0.4", State::Quarantined),
        ("blue.10.0.0.5", State::Held),
    ];
    let status = status_of("a", vec![pool("a", "10.0.0.0/29", &[])], &[], &leases);
    let counts = (
        status.capacity,
        status.held,
        status.cooling,
        status.retained,
        status.quarantined,
        status.free,
    );
    // The lease of the other vrf came out of this pool, and lies outside of what it gives.
    assert_eq!(counts, (6, 1, 1, 1, 1, 2));
    assert_eq!(
        holds(&status),
        [(
            "OutOfRange",
            "pods hold 1 that it would not give today: 10.0.0.5"
        )]
    );
}

#[test]
fn numbers_that_do_not_fit_saturate() {
    let status = status_of("a", vec![pool("a", "fd00::/16", &[])], &[], &[]);
    assert_eq!((status.capacity, status.free), (i64::MAX, i64::MAX));
}

#[test]
fn a_pool_that_has_nothing_left_to_give_is_exhausted() {
    let full = status_of(
        "a",
        vec![pool("a", "10.0.0.0/29", &["10.0.0.1"])],
        &[],
        &[("10.0.0.1", State::Held)],
    );
    assert_eq!(
        holds(&full),
        [(
            "Exhausted",
            "none of its 1 addresses is left (1 held); none returns by itself until a pod ends"
        )]
    );
    let cooling = status_of(
        "a",
        vec![pool("a", "10.0.0.0/29", &["10.0.0.1"])],
        &[],
        &[("10.0.0.1", State::Cooling)],
    );
    assert_eq!(
        holds(&cooling),
        [],
        "what cools is given when nothing else is left"
    );
    let reserved = status_of(
        "a",
        vec![pool("a", "10.0.0.0/29", &["10.0.0.1"])],
        &["10.0.0.1"],
        &[],
    );
    assert_eq!(
        holds(&reserved),
        [("Exhausted", "every address in it is excluded or reserved")]
    );
    let broken = status_of(
        "a",
        vec![pool("a", "fd00::/64", &["fd00::9-fd00::1"])],
        &[],
        &[],
    );
    assert_eq!(
        holds(&broken),
        [(
            "Exhausted",
            "it gives no address: spec.ips[0] \"fd00::9-fd00::1\" ends before it begins: write the lower address first"
        )]
    );
}

#[test]
fn what_a_reservation_came_to_cover_is_out_of_range() {
    let leases = [
        ("10.0.0.1", State::Held),
        ("10.0.0.2", State::Held),
        ("10.0.0.3", State::Cooling),
    ];
    let status = status_of(
        "a",
        vec![pool("a", "10.0.0.0/29", &[])],
        &["10.0.0.2-10.0.0.3"],
        &leases,
    );
    assert_eq!(
        holds(&status),
        [(
            "OutOfRange",
            "pods hold 1 that it would not give today: 10.0.0.2"
        )]
    );
}

#[test]
fn pools_that_share_addresses_name_each_other() {
    let pools = vec![
        pool("a", "10.0.0.0/24", &["10.0.0.10-10.0.0.20", "10.0.0.100"]),
        pool("b", "10.0.0.0/25", &["10.0.0.15-10.0.0.110"]),
        pool("c", "10.1.0.0/24", &[]),
    ];
    let of = |name| status_of(name, pools.clone(), &[], &[]);
    let message = |with: &str| {
        format!("pool {with} may give 10.0.0.15-10.0.0.20 too; pool {with} may give 10.0.0.100 too")
    };
    assert_eq!(holds(&of("a")), [("Overlapping", message("b").as_str())]);
    assert_eq!(holds(&of("b")), [("Overlapping", message("a").as_str())]);
    assert_eq!(holds(&of("c")), []);
}

#[test]
fn a_status_is_written_only_when_it_changed() {
    let pools = Pools::read(
        vec![pool("a", "10.0.0.0/29", &[])],
        &[],
        &[],
        &Vrf::default(),
    )
    .expect("pools");
    let counted = &Counted::pools(&pools, std::iter::empty(), &Findings::default())[0];
    let first = pool_status(counted, None, None, 2, now()).expect("the first");
    let later = now() + jiff::SignedDuration::from_secs(60);
    assert_eq!(pool_status(counted, None, Some(&first), 0, later), None);
    let counted_up = pool_status(counted, None, Some(&first), 3, later).expect("another number");
    assert_eq!(counted_up.reclaimed, 5);
    assert_eq!(
        counted_up.conditions, first.conditions,
        "nothing changed from yes to no"
    );
    assert_ne!(counted_up.observed_at, first.observed_at);
}

#[test]
fn a_large_pool_that_is_full_is_dated_by_each_run_and_one_with_room_has_no_sample() {
    let counted = |subnet: &str, is_full: bool| {
        let pools = Pools::read_each(vec![pool("a", subnet, &[])], &[], &[]);
        let from = PoolName::from("a");
        let names: Vec<LeaseName> = (0..4u8)
            .flat_map(|third| (0..=255u8).map(move |last| format!("10.0.{third}.{last}")))
            .filter(|name| is_full || name.ends_with(".7"))
            .map(|name| name.parse().expect("a name"))
            .collect();
        let leases = names.iter().map(|name| CountedLease {
            name,
            state: State::Held,
            pool: &from,
            over: None,
        });
        Counted::pools(&pools, leases, &Findings::default()).remove(0)
    };
    let later = now() + jiff::SignedDuration::from_secs(60);
    for (subnet, is_full, dated) in [
        ("10.0.0.0/22", true, true),
        ("10.0.0.0/24", true, false),
        ("10.0.0.0/22", false, false),
    ] {
        let counted = counted(subnet, is_full);
        let first = pool_status(&counted, None, None, 0, now()).expect("the first");
        assert_eq!(first.sample, [""; 0], "{subnet}");
        let second = pool_status(&counted, None, Some(&first), 0, later);
        assert_eq!(second.is_some(), dated, "{subnet}");
    }
}

#[test]
fn a_crowded_pool_shows_some_of_its_free_addresses() {
    let taken = ["10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.6"].map(|name| (name, State::Held));
    let status = status_of("a", vec![pool("a", "10.0.0.0/29", &[])], &[], &taken);
    assert_eq!(status.sample, ["10.0.0.3", "10.0.0.5"]);
}

fn kept(leases: &[(KeepReason, &str, Option<i64>)]) -> KeptLeases {
    let mut kept = KeptLeases::default();
    for (why, node, seconds) in leases {
        let until = seconds.map(|s| now() + jiff::SignedDuration::from_secs(s));
        let (why, node) = (*why, *node);
        kept.add(KeptLease { why, node, until });
    }
    kept
}

fn full(findings: &Findings, quarantined: bool) -> IPPoolStatus {
    let second = if quarantined {
        State::Quarantined
    } else {
        State::Held
    };
    status_with(
        "a",
        vec![pool("a", "10.0.0.0/29", &["10.0.0.1-10.0.0.2"])],
        &[],
        &[("10.0.0.1", State::Held), ("10.0.0.2", second)],
        findings,
    )
}

#[test]
fn an_exhausted_pool_says_when_addresses_return() {
    let waits = Findings {
        kept: [("a".into(), kept(&[(KeepReason::Ending, "n1", Some(60))]))].into(),
        ..Findings::default()
    };
    let message = |status: &IPPoolStatus| holds(status)[0].1.to_owned();
    assert_eq!(
        message(&full(&waits, false)),
        "none of its 2 addresses is left (2 held); the next one returns at 1970-01-12T13:47:40Z"
    );
    assert_eq!(
        message(&full(&Findings::default(), true)),
        "none of its 2 addresses is left (1 held, 1 quarantined); the next one returns at 1970-01-12T13:56:40Z"
    );
}

#[test]
fn leases_that_wait_for_a_person_are_reported_with_their_node_and_what_to_do() {
    let waits = kept(&[
        (KeepReason::Unready, "n7", None),
        (KeepReason::Unready, "n7", None),
        (KeepReason::Ending, "n1", Some(60)),
    ]);
    let findings = Findings {
        kept: [("a".into(), waits)].into(),
        ..Findings::default()
    };
    let status = full(&findings, false);
    let by_reason: Vec<(&str, i64)> = status.kept.iter().map(|(k, n)| (&**k, *n)).collect();
    assert_eq!(by_reason, [("ending", 1), ("unready", 2)]);
    let condition = status.conditions.iter().find(|c| c.type_ == "LeasesKept");
    let condition = condition.expect("a condition");
    assert_eq!(condition.status, "True");
    assert_eq!(
        condition.message,
        "2 leases kept: node n7 is not Ready, so the pod may still be running: repair the node, or if the machine is off, \
         delete the Node or taint it (kubectl taint node n7 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute)"
    );
}

#[test]
fn two_pods_on_one_address_are_reported_of_the_pool_that_lists_it() {
    let pod = |name: &str| PodName {
        namespace: "ns".into(),
        name: name.into(),
    };
    let contested = ["10.0.0.2", "10.9.9.9"].map(|address| {
        let address = address.parse().expect("an address");
        (address, vec![pod("x"), pod("y")])
    });
    let findings = Findings {
        contested: contested.into(),
        ..Findings::default()
    };
    let status = full(&findings, false);
    assert_eq!(
        holds(&status)[1],
        ("AddressContested", "10.0.0.2 is used by ns/x and ns/y")
    );
}

#[test]
fn a_status_says_which_generation_was_counted() {
    let status = full(&Findings::default(), false);
    assert_eq!(status.observed_generation, Some(7));
    assert!(
        status
            .conditions
            .iter()
            .all(|c| c.observed_generation == Some(7))
    );
}

#[test]
fn where_a_reservation_can_not_be_read_leases_are_counted_all_the_same() {
    let leases = [("10.0.0.1", State::Held), ("10.0.0.2", State::Cooling)];
    let status = status_of(
        "a",
        vec![pool("a", "10.0.0.0/29", &[])],
        &["10.0.0.9-10.0.0.1"],
        &leases,
    );
    assert_eq!((status.held, status.cooling, status.free), (1, 1, 0));
    assert!(holds(&status)[0].1.contains("ReservedIP r: spec.ips[0]"));
}
