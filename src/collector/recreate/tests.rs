use super::*;
use crate::api::{IPPool, IPPoolSpec, ReservedIP, ReservedIPSpec};
use crate::collector::marks::MissingMark;
use crate::collector::tests::scene::{at, held, name, pod};
use crate::collector::{Attached, LeaseSnapshot, PodEnd, Report, Snapshot};

fn pools(spec: IPPoolSpec) -> Pools {
    let spec = IPPoolSpec {
        subnet: "10.0.0.0/24".to_owned(),
        ..spec
    };
    Pools::read_each(vec![IPPool::new("p", spec)], &[], &[])
}

/// Whether a lease of 10.0.0.7 is missing for this pod, and due.
fn of(
    pod: PodSnapshot,
    leases: Vec<LeaseSnapshot>,
    pools: &Pools,
    marks: &MarkTable,
) -> Option<bool> {
    let snapshot = Snapshot {
        pods: vec![pod],
        leases,
        ..Snapshot::default()
    };
    let index = SnapshotIndex::of(&snapshot);
    let missing = missing(&index, pools, marks);
    missing.first().map(|missing| {
        assert_eq!(missing.name(), name(7));
        missing.is_due()
    })
}

fn plainly(pod: PodSnapshot) -> Option<bool> {
    of(
        pod,
        vec![],
        &pools(IPPoolSpec::default()),
        &MarkTable::default(),
    )
}

#[test]
fn the_word_of_a_kubelet_recreates_a_lease() {
    let web = || pod("u").with_address(7);
    assert_eq!(plainly(web()), Some(true), "a bound pod that runs");
    let unbound = PodSnapshot {
        node: "".into(),
        ..web()
    };
    assert_eq!(plainly(unbound), None, "a pod that is bound to no node");
    assert_eq!(
        plainly(web().finished(PodEnd::Failed)),
        None,
        "one that has ended"
    );
    let elsewhere = PodSnapshot {
        addresses: vec!["10.9.9.9".parse().expect("an address")],
        ..web()
    };
    assert_eq!(plainly(elsewhere), None, "an address of no pool");
}

#[test]
fn exclusions_and_whatever_a_pool_asks_for_do_not_matter_for_what_was_given() {
    let web = || pod("u").with_address(7);
    let excluded = IPPoolSpec {
        exclude_ips: vec!["10.0.0.7".to_owned()],
        disable: true,
        node_name: vec!["another".to_owned()],
        ..IPPoolSpec::default()
    };
    assert_eq!(
        of(web(), vec![], &pools(excluded), &MarkTable::default()),
        Some(true)
    );
    let not_listed = IPPoolSpec {
        ips: vec!["10.0.0.8".to_owned()],
        ..IPPoolSpec::default()
    };
    assert_eq!(
        of(web(), vec![], &pools(not_listed), &MarkTable::default()),
        None
    );
    let reserved = ReservedIP::new(
        "r",
        ReservedIPSpec {
            ips: vec!["10.0.0.7".to_owned()],
            ..ReservedIPSpec::default()
        },
    );
    let spec = IPPoolSpec {
        subnet: "10.0.0.0/24".to_owned(),
        ..IPPoolSpec::default()
    };
    let pools = Pools::read_each(vec![IPPool::new("p", spec)], &[], &[reserved]);
    assert_eq!(of(web(), vec![], &pools, &MarkTable::default()), Some(true));
}

#[test]
fn what_has_a_lease_is_not_missing() {
    let web = || pod("u").with_address(7);
    let all = pools(IPPoolSpec::default());
    assert_eq!(
        of(web(), vec![held(7, "x")], &all, &MarkTable::default()),
        None
    );
    let mut blue = held(7, "u");
    blue.name.vrf = "blue".parse().expect("a vrf");
    assert_eq!(
        of(web(), vec![blue.clone()], &all, &MarkTable::default()),
        None,
        "it holds it in another vrf"
    );
    let mut of_another = blue;
    of_another.holder.as_mut().expect("a holder").uid = "x".into();
    assert_eq!(
        of(web(), vec![of_another], &all, &MarkTable::default()),
        Some(true)
    );
}

#[test]
fn for_a_pod_that_is_being_deleted_it_takes_two_runs() {
    let ending = || PodSnapshot {
        deleting: true,
        ..pod("u").with_address(7)
    };
    assert_eq!(plainly(ending()), Some(false));
    let mut marks = MarkTable::default();
    let (pod, since) = ("u".into(), at(-60));
    marks.set_missing(name(7), MissingMark { pod, since });
    let all = pools(IPPoolSpec::default());
    assert_eq!(of(ending(), vec![], &all, &marks), Some(true));
}

#[test]
fn an_annotation_recreates_a_lease_only_where_it_counts() {
    let attached = || PodSnapshot {
        attached: Some(Box::new(Attached {
            reports: vec![Report {
                interface: "net1".into(),
                network: "net".into(),
                address: name(7).address,
            }],
            labels: [].into(),
            annotations: [].into(),
        })),
        ..pod("u")
    };
    assert_eq!(plainly(attached()), None);
    let snapshot = Snapshot {
        pods: vec![attached()],
        admitted: [("u".into(), name(7).address)].into(),
        ..Snapshot::default()
    };
    let index = SnapshotIndex::of(&snapshot);
    let all = pools(IPPoolSpec::default());
    let missing = missing(&index, &all, &MarkTable::default());
    assert_eq!(
        missing[0].lease().holder.expect("a holder").interface,
        "net1"
    );
}
