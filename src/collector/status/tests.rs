//! What a pool's status says.

use jiff::Timestamp;

use super::{Counted, pool_status};
use crate::api::{IPPool, IPPoolSpec, IPPoolStatus, ReservedIP, ReservedIPSpec};
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
    let reserved = ReservedIP::new(
        "r",
        ReservedIPSpec {
            ips: reserved.iter().map(ToString::to_string).collect(),
            ..ReservedIPSpec::default()
        },
    );
    let pools = Pools::read(pools, &[], &[reserved], &Vrf::default()).expect("pools");
    let from = PoolName::from("a");
    let leases: Vec<(LeaseName, State)> = leases
        .iter()
        .map(|(name, state)| (name.parse().expect("a name"), *state))
        .collect();
    let counted = Counted::all(
        &pools,
        leases.iter().map(|(name, state)| (name, *state, &from)),
    );
    let counted = counted
        .iter()
        .find(|c| c.name.as_str() == name)
        .expect("counted");
    pool_status(counted, None, 0, now()).expect("never written before")
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
fn a_pool_without_a_free_address_is_exhausted() {
    let full = status_of(
        "a",
        vec![pool("a", "10.0.0.0/29", &["10.0.0.1"])],
        &[],
        &[("10.0.0.1", State::Held)],
    );
    assert_eq!(
        holds(&full),
        [("Exhausted", "none of its 1 addresses is free")]
    );
    let reserved = status_of(
        "a",
        vec![pool("a", "10.0.0.0/29", &["10.0.0.1"])],
        &["10.0.0.1"],
        &[],
    );
    assert_eq!(
        holds(&reserved),
        [("Exhausted", "everything in it is excluded or reserved")]
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
    let say = |with: &str| {
        format!("pool {with} may give 10.0.0.15-10.0.0.20 too; pool {with} may give 10.0.0.100 too")
    };
    assert_eq!(holds(&of("a")), [("Overlapping", say("b").as_str())]);
    assert_eq!(holds(&of("b")), [("Overlapping", say("a").as_str())]);
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
    let counted = &Counted::all(&pools, std::iter::empty())[0];
    let first = pool_status(counted, None, 2, now()).expect("the first");
    let later = now() + jiff::SignedDuration::from_secs(60);
    assert_eq!(pool_status(counted, Some(&first), 0, later), None);
    let counted_up = pool_status(counted, Some(&first), 3, later).expect("another number");
    assert_eq!(counted_up.reclaimed, 5);
    assert_eq!(
        counted_up.conditions, first.conditions,
        "nothing changed from yes to no"
    );
    assert_ne!(counted_up.observed_at, first.observed_at);
}
