use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn object<T: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> T {
    serde_json::from_value(json!({
        "apiVersion": "leasehold.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }))
    .expect("an object of this kind")
}

fn ippool(name: &str, spec: &Value) -> IPPool {
    object("IPPool", name, spec)
}

fn blue() -> Vrf {
    "blue".parse().expect("a vrf")
}

/// The only pool there is.
fn read(pool: &Value, subnets: &[Subnet], reserved: &[ReservedIP]) -> Result<Pool, InvalidPool> {
    let pools = Pools::read(vec![ippool("p", pool)], subnets, reserved, &Vrf::default())
        .expect("readable reservations");
    match pools.get("p").expect("the pool") {
        Ok(pool) => Ok(Pool::clone(pool)),
        Err(broken) => Err(broken.clone()),
    }
}

fn usable(pool: &Value, reserved: &[ReservedIP]) -> String {
    read(pool, &[], reserved)
        .expect("a sound pool")
        .usable
        .to_string()
}

#[test]
fn what_a_pool_gives_is_its_ips_without_what_is_never_given() {
    for (rule, spec, expected) in [
        (
            "no ips: the whole subnet without its ends",
            json!({"subnet": "10.0.0.0/29"}),
            "10.0.0.1-10.0.0.6",
        ),
        (
            "a link of two has no ends",
            json!({"subnet": "10.0.0.0/31"}),
            "10.0.0.0-10.0.0.1",
        ),
        (
            "an IPv6 subnet has no broadcast address",
            json!({"subnet": "fd00::/126"}),
            "fd00::1-fd00::3",
        ),
        (
            "ips in three forms",
            json!({"subnet": "10.0.0.0/24", "ips": ["10.0.0.9", "10.0.0.20-10.0.0.29", "10.0.0.64/30"]}),
            "10.0.0.9,10.0.0.20-10.0.0.29,10.0.0.64-10.0.0.67",
        ),
        (
            "excludeIPs, the gateway and the broadcast address, though ips cover them",
            json!({
                "subnet": "10.0.0.0/24",
                "ips": ["10.0.0.1-10.0.0.9", "10.0.0.255"],
                "excludeIPs": ["10.0.0.4-10.0.0.5"],
                "gateway": "10.0.0.1",
            }),
            "10.0.0.2-10.0.0.3,10.0.0.6-10.0.0.9",
        ),
        (
            "nothing is left",
            json!({"subnet": "10.0.0.0/24", "ips": ["10.0.0.1"], "gateway": "10.0.0.1"}),
            "",
        ),
    ] {
        assert_eq!(usable(&spec, &[]), expected, "{rule}");
    }
}

#[test]
fn what_is_reserved_is_taken_from_every_pool_of_its_vrf_and_of_no_other() {
    let reserved: Vec<ReservedIP> = vec![
        object(
            "ReservedIP",
            "a",
            &json!({"ips": ["10.0.0.2", "10.0.0.250-10.0.1.9"]}),
        ),
        object("ReservedIP", "b", &json!({"ips": ["10.0.0.3", "fd00::1"]})),
        object(
            "ReservedIP",
            "c",
            &json!({"ips": ["10.0.0.0/8"], "vrf": "blue"}),
        ),
    ];
    let usable = |spec| usable(&spec, &reserved);
    assert_eq!(
        usable(json!({"subnet": "10.0.0.0/24"})),
        "10.0.0.1,10.0.0.4-10.0.0.249"
    );
    assert_eq!(
        usable(json!({"subnet": "10.0.1.0/28"})),
        "10.0.1.10-10.0.1.14"
    );
    assert_eq!(usable(json!({"subnet": "fd00::/126"})), "fd00::2-fd00::3");
    assert_eq!(usable(json!({"subnet": "10.0.0.0/24", "vrf": "blue"})), "");
    assert_eq!(
        usable(json!({"subnet": "10.0.0.0/30", "vrf": "red"})),
        "10.0.0.1-10.0.0.2"
    );
}

#[test]
fn a_pool_inherits_from_the_subnet_of_its_cidr_and_vrf_what_it_does_not_say() {
    let subnets: Vec<Subnet> = vec![
        object(
            "Subnet",
            "segment",
            &json!({
                "subnet": "10.0.0.0/24",
                "gateway": "10.0.0.254",
                "routes": [
                    {"dst": "172.16.0.0/12", "gw": "10.0.0.253"},
                    {"dst": "192.168.0.0/16", "gw": "10.0.0.253"},
                ],
            }),
        ),
        object(
            "Subnet",
            "wider",
            &json!({"subnet": "10.0.0.0/16", "gateway": "10.0.9.9"}),
        ),
        object(
            "Subnet",
            "twin",
            &json!({"subnet": "10.0.0.0/24", "gateway": "10.0.0.99"}),
        ),
    ];
    let inherited = |spec: Value| {
        let pool = read(&spec, &subnets, &[]).expect("a sound pool");
        let gateway = pool.gateway.map(|gw| gw.to_string()).unwrap_or_default();
        let routes: Vec<String> = pool
            .routes
            .iter()
            .map(|r| format!("{} by {}", r.dst, r.gw))
            .collect();
        (gateway, routes.join(", "), pool.usable.len())
    };
    insta::assert_debug_snapshot!(inherited(json!({"subnet": "10.0.0.0/24"})), @r#"
        (
            "10.0.0.254",
            "172.16.0.0/12 by 10.0.0.253, 192.168.0.0/16 by 10.0.0.253",
            253,
        )
        "#);
    insta::assert_debug_snapshot!(inherited(json!({
        "subnet": "10.0.0.0/24",
        "gateway": "10.0.0.1",
        "routes": [{"dst": "192.168.0.0/16", "gw": "10.0.0.2"}],
    })), @r#"
        (
            "10.0.0.1",
            "192.168.0.0/16 by 10.0.0.2, 172.16.0.0/12 by 10.0.0.253",
            253,
        )
        "#);
    insta::assert_debug_snapshot!(inherited(json!({"subnet": "10.0.0.0/24", "vrf": "blue"})), @r#"
        (
            "",
            "",
            254,
        )
        "#);
}

#[test]
fn what_the_schema_can_not_judge_breaks_the_pool_and_is_named() {
    let fault = |spec: Value| {
        read(&spec, &[], &[])
            .expect_err("a broken pool")
            .fault
            .to_string()
    };
    insta::assert_snapshot!(fault(json!({"subnet": "fd00::/64", "ips": ["fd00::1", "fd00::9-fd00::5"]})), @r#"spec.ips[1] "fd00::9-fd00::5" ends before it begins: write the lower address first"#);
    insta::assert_snapshot!(fault(json!({"subnet": "10.0.0.0/24", "excludeIPs": ["10.0.1.5"]})), @"spec.excludeIPs[0] 10.0.1.5 is not inside the subnet 10.0.0.0/24");
    insta::assert_snapshot!(fault(json!({"subnet": "10.0.0.1/24"})), @r#"spec.subnet "10.0.0.1/24" is not a CIDR in canonical form"#);
    insta::assert_snapshot!(fault(json!({"subnet": "10.0.0.0/24", "vrf": "7"})), @r#"spec.vrf "7" is not a vrf: at most 63 of a-z, 0-9 and "-", the first a letter, the last no "-""#);
    insta::assert_snapshot!(fault(json!({"subnet": "10.0.0.0/24", "gateway": "10.0.1.1"})), @r#"spec.gateway "10.0.1.1" is not an address inside the subnet 10.0.0.0/24"#);
    insta::assert_snapshot!(fault(json!({"subnet": "10.0.0.0/24", "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}]})), @"spec.routes[0] needs a CIDR of the family of the subnet 10.0.0.0/24 as its destination, not a default route, and a next hop on its link");
    insta::assert_snapshot!(fault(json!({
        "subnet": "10.0.0.0/24",
        "nodeAffinity": {"matchExpressions": [{"key": "zone", "operator": "Near"}]},
    })), @"spec.nodeAffinity is not a label selector: Invalid expression operator");
}

#[test]
fn what_is_inherited_wrongly_is_blamed_on_the_subnet() {
    let subnets = [object(
        "Subnet",
        "s",
        &json!({"subnet": "10.0.0.0/24", "gateway": "fd00::1"}),
    )];
    let broken = read(
        &json!({"subnet": "10.0.0.0/24", "default": true}),
        &subnets,
        &[],
    )
    .expect_err("a broken pool");
    insta::assert_snapshot!(broken.fault, @r#"inherited from Subnet s: spec.gateway "fd00::1" is not an address inside the subnet 10.0.0.0/24"#);
    assert!(broken.default);
    assert_eq!(broken.family, Some(Family::V4));
    assert_eq!(broken.vrf, Some(Vrf::default()));
}

#[test]
fn an_unreadable_reservation_of_the_vrf_is_an_error_that_names_it() {
    let reserved = |spec: Value| vec![object::<ReservedIP>("ReservedIP", "rack-7", &spec)];
    let pools = || vec![ippool("p", &json!({"subnet": "fd00::/64", "vrf": "blue"}))];
    let wrong = reserved(json!({"ips": ["fd00::9-fd00::5"], "vrf": "blue"}));
    let error = Pools::read(pools(), &[], &wrong, &blue()).expect_err("unreadable");
    insta::assert_snapshot!(error, @r#"ReservedIP rack-7: spec.ips[0] "fd00::9-fd00::5" ends before it begins: write the lower address first"#);
    let elsewhere = Pools::read(pools(), &[], &wrong, &Vrf::default()).expect("another vrf");
    let broken = elsewhere
        .get("p")
        .expect("the pool")
        .expect_err("a broken pool");
    insta::assert_snapshot!(broken.fault, @r#"the ReservedIPs of its vrf could not be read: ReservedIP rack-7: spec.ips[0] "fd00::9-fd00::5" ends before it begins: write the lower address first"#);
    let wrong = reserved(json!({"ips": [], "vrf": "-"}));
    let error = Pools::read(pools(), &[], &wrong, &Vrf::default()).expect_err("unreadable");
    insta::assert_snapshot!(error, @r#"ReservedIP rack-7: spec.vrf "-" is not a vrf: at most 63 of a-z, 0-9 and "-", the first a letter, the last no "-""#);
}

#[test]
fn names_make_the_selector_of_the_same_sort_count_for_nothing() {
    let pool = read(
        &json!({
            "subnet": "10.0.0.0/24",
            "nodeName": ["n1"],
            "nodeAffinity": {"matchLabels": {"zone": "a"}},
            "namespaceAffinity": {"matchLabels": {"team": "a"}},
            "multusName": ["kube-system/blue", "red"],
        }),
        &[],
        &[],
    )
    .expect("a sound pool");
    assert_eq!(pool.nodes, Scope::Named(vec!["n1".into()]));
    assert!(matches!(&pool.namespaces, Scope::Labeled(team) if !team.fits_all()));
    assert!(pool.pods.fits_all());
    let attachments: Vec<String> = pool.attachments.iter().map(ToString::to_string).collect();
    assert_eq!(attachments, ["kube-system/blue", "red"]);
}

#[test]
fn a_selector_says_what_it_misses() {
    let unmet = |selector: Value| {
        let written =
            serde_json::from_value::<crate::api::LabelSelector>(selector).expect("a selector");
        let labels = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
        Affinity::try_from(written)
            .expect("an affinity")
            .unmet(&labels)
    };
    let expression = |operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": "zone", "operator": operator, "values": values}]});
    for (selector, expected) in [
        (json!({}), None),
        (json!({"matchLabels": {"zone": "a"}}), None),
        (json!({"matchLabels": {"zone": "b"}}), Some("lacks zone=b")),
        (
            json!({"matchLabels": {"zone": "a", "rack": "7"}}),
            Some("lacks rack=7"),
        ),
        (expression("In", &["a", "b"]), None),
        (expression("In", &["b", "c"]), Some("lacks zone in (b,c)")),
        (expression("NotIn", &["b"]), None),
        (expression("NotIn", &["a", "b"]), Some("has zone=a")),
        (expression("Exists", &[]), None),
        (expression("DoesNotExist", &[]), Some("has zone=a")),
        (
            json!({"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}),
            Some("lacks gpu"),
        ),
        (
            json!({"matchExpressions": [{"key": "gpu", "operator": "NotIn", "values": ["old"]}]}),
            None,
        ),
    ] {
        assert_eq!(unmet(selector.clone()).as_deref(), expected, "{selector}");
    }
}

#[test]
fn the_number_of_free_addresses_is_known_once_the_collector_has_counted() {
    let hint = |status: &Value| {
        let mut written = ippool("p", &json!({"subnet": "10.0.0.0/24"}));
        written.metadata.generation = Some(4);
        written.status = serde_json::from_value(status.clone()).expect("a status");
        let pools = Pools::read(vec![written], &[], &[], &Vrf::default()).expect("no reservations");
        pools
            .get("p")
            .expect("the pool")
            .expect("a sound pool")
            .count
            .as_ref()
            .map(|count| (count.usage.free, count.sample.clone()))
    };
    assert_eq!(hint(&Value::Null), None);
    assert_eq!(hint(&json!({"free": 0})), None);
    assert_eq!(
        hint(&json!({"free": 0, "observedAt": "2026-01-01T00:00:00.000000Z"})),
        Some((0, Vec::new()))
    );
    assert_eq!(
        hint(
            &json!({"free": 7, "sample": ["10.0.0.9", "?"], "observedGeneration": 4,
            "observedAt": "2026-01-01T00:00:00.000000Z"})
        ),
        Some((7, vec![IpAddr::from([10, 0, 0, 9])]))
    );
    assert_eq!(
        hint(
            &json!({"free": 7, "observedGeneration": 3, "observedAt": "2026-01-01T00:00:00.000000Z"})
        ),
        None,
        "another spec was counted"
    );
}

proptest! {
    #[test]
    fn pools_share_what_two_of_a_vrf_may_give(
        ranges in prop::collection::vec((any::<bool>(), 1..28u8, 1..28u8), 0..6),
    ) {
        let written = ranges.iter().enumerate().map(|(index, (is_blue, first, last))| {
            let range = format!("10.0.0.{}-10.0.0.{}", first.min(last), first.max(last));
            let vrf = if *is_blue { "blue" } else { "" };
            ippool(&index.to_string(), &json!({"subnet": "10.0.0.0/27", "ips": [range], "vrf": vrf}))
        });
        let pools = Pools::read_each(written.collect(), &[], &[]);
        let pools: Vec<&Pool> = pools.iter().flatten().map(|pool| &**pool).collect();
        let shared = overlaps(pools.iter().copied());
        for pool in &pools {
            let of_pool = shared.get(&pool.name).into_iter().flatten();
            for other in pools.iter().filter(|other| other.name != pool.name) {
                let found: Spans = of_pool.clone().filter(|o| o.with == other.name).map(|o| o.span).collect();
                let both = (0..32).map(|n| IpAddr::from([10, 0, 0, n])).filter(|address| {
                    pool.vrf == other.vrf && pool.usable.contains(*address) && other.usable.contains(*address)
                });
                prop_assert_eq!(found, both.collect::<Spans>(), "{} and {}", pool.name, other.name);
            }
        }
    }
}

#[test]
fn a_subnet_is_a_pool_that_sets_are_made_of() {
    let spec = json!({
        "subnet": "10.0.0.0/28", "ips": ["10.0.0.0-10.0.0.9"], "excludeIPs": ["10.0.0.3"], "gateway": "10.0.0.1",
        "routes": [{"dst": "10.9.0.0/16", "gw": "10.0.0.2"}],
        "nodeAffinity": {"matchLabels": {"zone": "a"}},
        "namespaceAffinity": {"matchLabels": {"team": "a"}},
    });
    let subnets = [object::<Subnet>("Subnet", "racks", &spec)];
    let reserved = [object::<ReservedIP>(
        "ReservedIP",
        "r",
        &json!({"ips": ["10.0.0.5"]}),
    )];
    let pools = Pools::read_each(vec![], &subnets, &reserved);
    let pool = pools.get("subnet/racks").expect("there").expect("sound");
    assert_eq!(pool.name.subnet(), Some("racks"));
    assert_eq!(
        pool.usable.to_string(),
        "10.0.0.2,10.0.0.4,10.0.0.6-10.0.0.9"
    );
    assert_eq!(
        pool.gateway.map(|it| it.to_string()).as_deref(),
        Some("10.0.0.1")
    );
    assert_eq!(pool.routes.len(), 1);
    let labels = BTreeMap::from([("zone".to_owned(), "b".to_owned())]);
    for scope in [&pool.nodes, &pool.namespaces] {
        let Scope::Labeled(affinity) = scope else {
            panic!("by labels")
        };
        assert!(affinity.unmet(&labels).is_some());
    }
    // It is no pool for pods that name pools, or none.
    assert_eq!((pools.iter().count(), pools.subnets().count()), (0, 1));

    let broken = json!({"subnet": "fd00::/64", "ips": ["fd00::9-fd00::5"]});
    let subnets = [object::<Subnet>("Subnet", "racks", &broken)];
    let pools = Pools::read_each(vec![], &subnets, &[]);
    let broken = pools
        .get("subnet/racks")
        .expect("there")
        .expect_err("broken");
    assert_eq!(broken.family, Some(Family::V6));
}
