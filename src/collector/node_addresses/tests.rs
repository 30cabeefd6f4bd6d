use super::*;
use crate::api::{IPPool, IPPoolSpec};
use crate::collector::NodeSnapshot;
use crate::collector::tests::scene::at;

fn pools() -> Pools {
    let spec = IPPoolSpec {
        subnet: "10.0.0.0/24".to_owned(),
        ..IPPoolSpec::default()
    };
    Pools::read_each(vec![IPPool::new("p", spec)], &[], &[])
}

fn now(second: i64) -> Now {
    Now {
        server: Some(at(second)),
        own: at(second),
    }
}

fn nodes(nodes: &[(&str, &[&str])]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (name, addresses) in nodes {
        let node = NodeSnapshot {
            addresses: addresses
                .iter()
                .map(|a| a.parse().expect("an address"))
                .collect(),
            ..NodeSnapshot::default()
        };
        snapshot.nodes.insert((*name).into(), node);
    }
    snapshot
}

/// What is reserved, after a run that saw these nodes.
fn reserved(addresses: &NodeAddresses) -> Vec<String> {
    let objects = addresses.reservations().into_iter();
    objects.flat_map(|object| object.spec.ips).collect()
}

#[test]
fn addresses_inside_of_pools_are_reserved() {
    let seen = nodes(&[("n1", &["10.0.0.3", "192.0.2.3"]), ("n2", &["10.0.0.4"])]);
    let first = NodeAddresses::default().updated(&seen, &pools(), &now(0));
    assert_eq!(reserved(&first), ["10.0.0.3-10.0.0.4"]);
    assert_eq!(NodeAddresses::read(&first.write()), first);
}

#[test]
fn a_node_reserves_no_more_than_a_few() {
    let many: Vec<String> = (1..=254).map(|last| format!("10.0.0.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let seen = nodes(&[("n1", &many)]);
    let first = NodeAddresses::default().updated(&seen, &pools(), &now(0));
    assert_eq!(reserved(&first), ["10.0.0.1-10.0.0.16"]);
    // Nor by naming others each time.
    let others = nodes(&[("n1", &many[100..])]);
    let second = first.updated(&others, &pools(), &now(60));
    assert_eq!(reserved(&second), ["10.0.0.101-10.0.0.116"]);
}

#[test]
fn an_address_that_vanished_is_kept_for_a_day() {
    let first = nodes(&[("n1", &["10.0.0.3"])]);
    let first = NodeAddresses::default().updated(&first, &pools(), &now(0));
    let day = i64::try_from(KEPT.as_secs()).expect("a day");
    for (says, later) in [
        ("the node has none for a moment", nodes(&[("n1", &[])])),
        ("the Node object is gone", nodes(&[])),
    ] {
        let second = first.updated(&later, &pools(), &now(60));
        assert_eq!(reserved(&second), ["10.0.0.3"], "{says}");
        let stored = NodeAddresses::read(&second.write());
        assert_eq!(stored, second, "{says}");
        let kept = stored.updated(&later, &pools(), &now(60 + day));
        assert_eq!(reserved(&kept), ["10.0.0.3"], "{says}");
        let over = stored.updated(&later, &pools(), &now(62 + day));
        assert_eq!(reserved(&over), [] as [&str; 0], "{says}");
    }
    let back = first.updated(&nodes(&[]), &pools(), &now(60)).updated(
        &nodes(&[("n1", &["10.0.0.3"])]),
        &pools(),
        &now(120),
    );
    assert_eq!(back, first, "it is its own again");
}

#[test]
fn what_can_not_be_read_is_not_remembered() {
    let data = BTreeMap::from([(
        "n1".to_owned(),
        "10.0.0.3 x 10.0.0.4@soon 10.0.0.5 ::ffff:10.0.0.6".to_owned(),
    )]);
    assert_eq!(
        NodeAddresses::read(&data).write()["n1"],
        "10.0.0.3 10.0.0.5 10.0.0.6"
    );
}
