use super::*;
use crate::api::{IPPool, IPPoolSpec};
use crate::collector::Snapshot;
use crate::collector::tests::scene::{address, held, pod};
use crate::select::ObjectMetadata;

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";

/// A pod whose annotation reports 10.0.0.7 on net1.
fn web(annotations: &[(&str, &str)]) -> PodSnapshot {
    let mut all: crate::annotations::Annotations = [(NETWORKS.to_owned(), "net".to_owned())].into();
    all.extend(
        annotations
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
    );
    PodSnapshot {
        attached: Some(Box::new(Attached {
            reports: vec![Report {
                interface: "net1".into(),
                network: "net".into(),
                address: address(7),
            }],
            labels: [("app".into(), "web".into())].into(),
            annotations: all.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
        })),
        ..pod("u")
    }
}

fn counts(pod: PodSnapshot, around: &Surroundings, spec: serde_json::Value) -> bool {
    let mut spec = spec;
    spec["subnet"] = "10.0.0.0/24".into();
    let spec: IPPoolSpec = serde_json::from_value(spec).expect("a spec");
    let pools = Pools::read_each(vec![IPPool::new("p", spec)], &[], &[]);
    let snapshot = Snapshot {
        pods: vec![pod],
        ..Snapshot::default()
    };
    let index = SnapshotIndex::of(&snapshot);
    let found = unconfirmed(&index, &pools);
    found
        .first()
        .is_some_and(|found| admits(found, around, &pools))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn an_annotation_counts_where_a_pool_that_may_serve_the_pod_has_the_address() {
    let none = Surroundings::default();
    let by_namespace = Surroundings {
        namespace: ObjectMetadata {
            annotations: [(
                "ipam.leasehold.io/default-ipv4-ippool".to_owned(),
                r#"["other"]"#.to_owned(),
            )]
            .into(),
            ..ObjectMetadata::default()
        },
        ..Surroundings::default()
    };
    let in_zone = Surroundings {
        node: [("zone".to_owned(), "a".to_owned())].into(),
        ..Surroundings::default()
    };
    let asks = |pools: &str| {
        web(&[(
            "ipam.leasehold.io/ippools",
            &format!(r#"[{{"interface":"net1","ipv4":["{pools}"]}}]"#),
        )])
    };
    let zone = serde_json::json!({"nodeAffinity": {"matchLabels": {"zone": "a"}}});
    for (says, pod, around, spec, expected) in [
        (
            "nothing speaks against it",
            web(&[]),
            &none,
            serde_json::json!({}),
            true,
        ),
        (
            "the pool serves other pods",
            web(&[]),
            &none,
            serde_json::json!({"podAffinity": {"matchLabels": {"app": "db"}}}),
            false,
        ),
        (
            "the pool serves another namespace",
            web(&[]),
            &none,
            serde_json::json!({"namespaceName": ["elsewhere"]}),
            false,
        ),
        (
            "the pool serves other nodes",
            web(&[]),
            &none,
            zone.clone(),
            false,
        ),
        ("the pool serves its node", web(&[]), &in_zone, zone, true),
        (
            "the pool serves another network",
            web(&[]),
            &none,
            serde_json::json!({"multusName": ["other"]}),
            false,
        ),
        (
            "the pool serves its network",
            web(&[]),
            &none,
            serde_json::json!({"multusName": ["ns/net"]}),
            true,
        ),
        (
            "the pod names it",
            asks("p"),
            &none,
            serde_json::json!({}),
            true,
        ),
        (
            "the pod names others",
            asks("other"),
            &none,
            serde_json::json!({}),
            false,
        ),
        (
            "its namespace names others",
            web(&[]),
            &by_namespace,
            serde_json::json!({}),
            false,
        ),
        (
            "the pool is disabled by now",
            web(&[]),
            &none,
            serde_json::json!({"disable": true}),
            true,
        ),
        (
            "the pool excludes the address by now",
            web(&[]),
            &none,
            serde_json::json!({"excludeIPs": ["10.0.0.7"]}),
            true,
        ),
        (
            "the pool does not have the address",
            web(&[]),
            &none,
            serde_json::json!({"ips": ["10.0.0.8"]}),
            false,
        ),
    ] {
        assert_eq!(counts(pod, around, spec), expected, "{says}");
    }
}

#[test]
fn what_a_lease_confirms_is_not_asked_for() {
    let spec = IPPoolSpec {
        subnet: "10.0.0.0/24".to_owned(),
        ..IPPoolSpec::default()
    };
    let pools = Pools::read_each(vec![IPPool::new("p", spec)], &[], &[]);
    let snapshot = Snapshot {
        pods: vec![web(&[])],
        leases: vec![held(7, "u")],
        ..Snapshot::default()
    };
    assert!(unconfirmed(&SnapshotIndex::of(&snapshot), &pools).is_empty());
}
