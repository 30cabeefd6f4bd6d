//! Subnets that the sets of a pod's application are made of.

use serde_json::json;

use super::super::*;
use super::support::{Setup, setup};

fn town() -> Setup {
    let zone = |zone: &str| json!({"nodeAffinity": {"matchLabels": {"zone": zone}}});
    setup()
        .v4("d4", json!({"default": true}))
        .v6("d6", json!({"default": true}))
        .subnet("here", "10.1.0.0/24", zone("a"))
        .subnet("there", "10.2.0.0/24", zone("b"))
        .subnet("any", "10.3.0.0/24", json!({}))
        .subnet("any6", "fd01::/64", json!({}))
        .subnet("blue", "10.4.0.0/24", json!({"vrf": "blue"}))
        .subnet(
            "theirs",
            "10.5.0.0/24",
            json!({"namespaceAffinity": {"matchLabels": {"team": "b"}}}),
        )
        .subnet("broken", "10.6.0.0/24", json!({"ips": ["10.7.0.1"]}))
        .subnet("ending", "10.8.0.0/24", json!({}))
        .subnet_being_deleted()
}

#[test]
fn subnets_come_before_subnet_and_both_before_pools() {
    let mut setup = town().pod("ippools", r#"[{"ipv4":["d4"],"ipv6":["d6"]}]"#);
    let mut lines = vec![setup.summary()];
    setup = setup.pod("subnet", r#"{"ipv4":["any"]}"#);
    lines.push(setup.summary());
    setup = setup.pod(
        "ipam.spidernet.io/subnets",
        r#"[{"interface":"eth0","ipv6":["any6"]}]"#,
    );
    lines.push(setup.summary());
    insta::assert_snapshot!(lines.join("\n"), @"
    IPv4 Interface: d4; IPv6 Interface: d6
    IPv4 Subnet: subnet/any; IPv6 Interface: d6
    IPv4 Subnet: subnet/any; IPv6 InterfaceSubnet: subnet/any6
    ");
}

#[test]
fn the_subnet_of_the_pods_zone_serves_and_the_order_of_the_list_is_kept() {
    let summary = |list: &str| {
        let setup = town().single(Family::V4);
        setup
            .pod("subnet", &format!(r#"{{"ipv4":{list}}}"#))
            .summary()
    };
    assert_eq!(summary(r#"["there","here"]"#), "IPv4 Subnet: subnet/here");
    assert_eq!(
        summary(r#"["any","here","any"]"#),
        "IPv4 Subnet: subnet/any subnet/here"
    );
    assert_eq!(summary(r#"["gone","any"]"#), "IPv4 Subnet: subnet/any");
    // A pool of that name is not a Subnet, and no Subnet is a pool.
    insta::assert_snapshot!(summary(r#"["d4"]"#), @"error: no IPv4 Subnet for this pod: create Subnet d4 or correct the pod's annotation ipam.leasehold.io/subnet");
    let pool = town()
        .single(Family::V4)
        .pod("ippool", r#"{"ipv4":["any"]}"#);
    insta::assert_snapshot!(pool.summary(), @"error: no IPv4 pool for this pod: create IPPool any or correct the pod's annotation ipam.leasehold.io/ippool");
}

#[test]
fn each_subnet_has_its_reason_where_it_does_not_fit() {
    let list = r#"{"ipv4":["gone","any6","blue","there","theirs","broken","ending"]}"#;
    let setup = town().single(Family::V4).pod("subnet", list);
    let error = setup.select().expect_err("nothing fits");
    let Error::NoPool { trace, .. } = &error else {
        panic!("{error}")
    };
    insta::assert_snapshot!(format!("{error}\n{trace}"), @"
    no IPv4 Subnet for this pod: Subnet any6 has IPv6 addresses: name it as an IPv6 Subnet, or name another Subnet
    IPv4 from the pod's annotation ipam.leasehold.io/subnet
      subnet/gone: does not exist
      subnet/any6: has IPv6 addresses
      subnet/blue: is of vrf blue
      subnet/there: node n1 lacks zone=b (nodeAffinity)
      subnet/theirs: namespace default lacks team=b (namespaceAffinity)
      subnet/broken: spec.ips[0] 10.7.0.1 is not inside the subnet 10.6.0.0/24
      subnet/ending: being deleted
    ");
}

#[test]
fn each_interface_has_its_own_subnets() {
    let list = r#"[{"interface":"eth0","ipv4":["any"]},{"interface":"net1","ipv4":["here"]}]"#;
    let pod = || {
        town()
            .single(Family::V4)
            .attached("storage")
            .pod("subnets", list)
    };
    assert_eq!(pod().summary(), "IPv4 InterfaceSubnet: subnet/any");
    assert_eq!(
        pod().at("net1").summary(),
        "IPv4 InterfaceSubnet: subnet/here"
    );
    insta::assert_snapshot!(pod().at("net2").summary(), @"error: the pod's annotation ipam.leasehold.io/subnets must name net2 too: it names eth0, net1");
    // `subnet` may name the one interface that it is about.
    let one = |at| {
        let text = r#"{"interface":"eth0","ipv4":["any"]}"#;
        town()
            .single(Family::V4)
            .attached("storage")
            .pod("subnet", text)
            .at(at)
            .summary()
    };
    assert_eq!(one("eth0"), "IPv4 Subnet: subnet/any");
    assert_eq!(one("net1"), "IPv4 Default: d4");
}

#[test]
fn a_pod_that_must_have_both_families_is_refused_where_a_subnet_has_one() {
    let pod = town()
        .requiring_both()
        .pod("subnet", r#"{"ipv4":["any"],"ipv6":["any"]}"#);
    insta::assert_snapshot!(pod.summary(), @"error: no IPv6 Subnet for this pod: Subnet any has IPv4 addresses: name it as an IPv4 Subnet, or name another Subnet");
    let preferred = town().pod("subnet", r#"{"ipv4":["any"],"ipv6":["any"]}"#);
    assert_eq!(preferred.summary(), "IPv4 Subnet: subnet/any");
}

#[test]
fn an_address_that_is_asked_for_is_one_of_a_subnet() {
    let pod = |address: &str| {
        let pod = town().single(Family::V4).asking_for(&[address]);
        pod.pod("subnet", r#"{"ipv4":["any","here"]}"#).summary()
    };
    assert_eq!(pod("10.1.0.9"), "IPv4 Subnet: subnet/here");
    insta::assert_snapshot!(pod("10.2.0.9"), @"error: 10.2.0.9 was requested, and no pool of this pod has it: request one of subnet/any, subnet/here");
}

#[test]
fn nodes_are_read_for_subnets_only_where_the_pod_names_one() {
    let needs = |setup: &Setup| needs_node(&setup.facts.pod, &setup.pools(), &Vrf::default());
    assert!(!needs(&town()));
    assert!(needs(&town().pod("subnet", r#"{"ipv4":["any"]}"#)));
}
