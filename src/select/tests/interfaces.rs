//! Several interfaces: which item, which routes.

use serde_json::json;

use super::super::*;
use super::support::{Setup, setup};

fn town() -> Setup {
    let with_gateway = |n: u8| json!({"gateway": format!("10.0.{n}.1")});
    setup()
        .v4("a", with_gateway(0))
        .v4("b", with_gateway(1))
        .v4("c", with_gateway(2))
        .v4("d", json!({"default": true, "gateway": "10.0.3.1"}))
        .single(Family::V4)
}

/// The pools and the routes of an interface that gets its address from the first of them.
fn served(setup: &Setup) -> String {
    match setup.select() {
        Err(error) => format!("error: {error}"),
        Ok(selection) => {
            let routes = selection
                .routing
                .routes(selection.families[0].candidates.first().map(|p| &**p));
            let routes: Vec<String> = routes
                .iter()
                .map(|r| format!("{} by {}", r.dst, r.gw))
                .collect();
            format!("{} ({})", setup.summary(), routes.join(", "))
        }
    }
}

fn each(setup: &Setup, interfaces: &[&str]) -> String {
    let lines = interfaces
        .iter()
        .map(|name| format!("{name}: {}", served(&setup.clone().at(name))));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_interface_has_its_item_by_name_or_by_place() {
    let named = r#"[{"interface":"net7","ipv4":["c"]},{"interface":"eth0","ipv4":["a"]},{"interface":"net1","ipv4":["b"]}]"#;
    let in_order = r#"[{"ipv4":["a"]},{"ipv4":["b"]},{"ipv4":["c"]}]"#;
    let pod = |items| town().attached("blue,red@net7").pod("ippools", items);
    let lines = each(&pod(named), &["eth0", "net1", "net7"]);
    assert_eq!(lines, each(&pod(in_order), &["eth0", "net1", "net7"]));
    insta::assert_snapshot!(lines, @r#"
        eth0: IPv4 Interface: a (0.0.0.0/0 by 10.0.0.1)
        net1: IPv4 Interface: b ()
        net7: IPv4 Interface: c ()
        "#);
    insta::assert_snapshot!(each(&pod(r#"[{"interface":"eth0","ipv4":["a"]}]"#), &["eth0", "net1"]), @r#"
        eth0: IPv4 Interface: a (0.0.0.0/0 by 10.0.0.1)
        net1: error: the pod's annotation ipam.leasehold.io/ippools must name net1 too: it names eth0
        "#);
    insta::assert_snapshot!(each(&pod(r#"[{"ipv4":["a"]},{"ipv4":["b"]}]"#), &["net1", "net7"]), @r#"
        net1: IPv4 Interface: b ()
        net7: error: the pod's annotation ipam.leasehold.io/ippools must have an item for net7, the pod's interface number 3: it has 2
        "#);
    // An item without pools leaves them to the next level.
    insta::assert_snapshot!(each(&pod(r#"[{"interface":"eth0"}]"#), &["eth0"]), @"eth0: IPv4 Default: d (0.0.0.0/0 by 10.0.3.1)");
}

#[test]
fn ippool_is_about_all_interfaces_unless_it_names_one() {
    let pod = |text| town().attached("blue").pod("ippool", text);
    insta::assert_snapshot!(each(&pod(r#"{"ipv4":["a"]}"#), &["eth0", "net1"]), @r#"
        eth0: IPv4 Pod: a (0.0.0.0/0 by 10.0.0.1)
        net1: IPv4 Pod: a ()
        "#);
    insta::assert_snapshot!(each(&pod(r#"{"interface":"net1","ipv4":["a"]}"#), &["eth0", "net1"]), @r#"
        eth0: IPv4 Default: d (0.0.0.0/0 by 10.0.3.1)
        net1: IPv4 Pod: a ()
        "#);
}

#[test]
fn one_interface_has_the_default_route() {
    let pod = || town().attached("blue,red@net7");
    let interfaces = ["eth0", "net1", "net7"];
    let carrier = |setup: &Setup| {
        let has = |name: &&&str| served(&setup.clone().at(name)).contains("0.0.0.0/0");
        interfaces
            .iter()
            .filter(has)
            .copied()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(carrier(&pod()), "eth0");
    assert_eq!(carrier(&pod().pod("default-route-nic", "eth0")), "eth0");
    assert_eq!(carrier(&pod().pod("default-route-nic", "net7")), "net7");
    assert_eq!(
        carrier(&pod().pod("ipam.spidernet.io/default-route-nic", "net1")),
        "net1"
    );
    // The only interface has it, whatever it is called.
    assert!(served(&town().at("ens1")).contains("0.0.0.0/0"));
    let nowhere = pod().pod("default-route-nic", "net9");
    insta::assert_snapshot!(each(&nowhere, &["eth0", "net1"]), @r#"
        eth0: error: the pod's annotation ipam.leasehold.io/default-route-nic must name one of eth0, net1, net7: it names net9
        net1: error: the pod's annotation ipam.leasehold.io/default-route-nic must name one of eth0, net1, net7: it names net9
        "#);
}

#[test]
fn the_default_route_is_left_to_others_as_the_closest_says() {
    let item = |clean: &str| format!(r#"[{{"interface":"eth0","ipv4":["a"]{clean}}}]"#);
    let has_default = |in_config: bool, clean: &str| {
        let mut setup = town().pod("ippools", &item(clean));
        setup.request.clean_gateway = in_config;
        served(&setup).contains("0.0.0.0/0")
    };
    assert!(has_default(false, ""));
    assert!(!has_default(true, ""));
    assert!(!has_default(false, r#","cleangateway":true"#));
    assert!(has_default(false, r#","cleangateway":false"#));
    assert!(has_default(true, r#","cleangateway":false"#));
}

#[test]
fn a_route_of_the_pods_goes_where_its_next_hop_is_a_neighbor() {
    let items = r#"[{"ipv4":["a"]},{"ipv4":["b"]}]"#;
    let pod = |routes| {
        town()
            .attached("blue")
            .pod("ippools", items)
            .pod("routes", routes)
    };
    let lines = |routes| each(&pod(routes), &["eth0", "net1"]);
    insta::assert_snapshot!(lines(r#"[{"dst":"172.16.0.0/12","gw":"10.0.0.9"},{"dst":"192.168.0.0/16","gw":"10.0.1.9"}]"#), @r#"
        eth0: IPv4 Interface: a (0.0.0.0/0 by 10.0.0.1, 172.16.0.0/12 by 10.0.0.9)
        net1: IPv4 Interface: b (192.168.0.0/16 by 10.0.1.9)
        "#);
    // One destination by each interface's own neighbor.
    insta::assert_snapshot!(lines(r#"[{"dst":"172.16.0.0/12","gw":"10.0.0.9"},{"dst":"172.16.0.0/12","gw":"10.0.1.9"}]"#), @r#"
        eth0: IPv4 Interface: a (0.0.0.0/0 by 10.0.0.1, 172.16.0.0/12 by 10.0.0.9)
        net1: IPv4 Interface: b (172.16.0.0/12 by 10.0.1.9)
        "#);
    insta::assert_snapshot!(lines(r#"[{"dst":"172.16.0.0/12","gw":"192.0.2.1"}]"#), @r#"
        eth0: error: the pod's annotation ipam.leasehold.io/routes: $[0] must have a next hop in the subnet of a pool of this pod: 192.0.2.1, by which 172.16.0.0/12 is to be reached, fits no interface
        net1: error: the pod's annotation ipam.leasehold.io/routes: $[0] must have a next hop in the subnet of a pool of this pod: 192.0.2.1, by which 172.16.0.0/12 is to be reached, fits no interface
        "#);
    insta::assert_snapshot!(lines(r#"[{"dst":"172.16.0.0/12","gw":"10.0.0.9"},{"dst":"172.16.0.0/12","gw":"10.0.0.8"}]"#), @r#"
        eth0: error: the pod's annotation ipam.leasehold.io/routes: $[1] leads to 172.16.0.0/12 by another neighbor on the same interface than an item before it: keep one
        net1: IPv4 Interface: b ()
        "#);
    // The pod's own default route takes the place of every gateway's.
    insta::assert_snapshot!(lines(r#"[{"dst":"0.0.0.0/0","gw":"10.0.1.9"}]"#), @r#"
        eth0: IPv4 Interface: a ()
        net1: IPv4 Interface: b (0.0.0.0/0 by 10.0.1.9)
        "#);
}

#[test]
fn on_the_only_interface_a_route_has_to_fit_a_candidate() {
    let pod = |routes| {
        town()
            .pod("ippool", r#"{"ipv4":["a","b"]}"#)
            .pod("routes", routes)
    };
    // The second fits the backup pool: it is for a pod that gets its address there.
    insta::assert_snapshot!(served(&pod(r#"[{"dst":"172.16.0.0/12","gw":"10.0.0.9"},{"dst":"172.16.0.0/12","gw":"10.0.1.9"}]"#)), @"IPv4 Pod: a b (0.0.0.0/0 by 10.0.0.1, 172.16.0.0/12 by 10.0.0.9)");
    insta::assert_snapshot!(served(&pod(r#"[{"dst":"172.16.0.0/12","gw":"10.0.2.9"}]"#)), @"error: the pod's annotation ipam.leasehold.io/routes: $[0] must have a next hop in the subnet of a pool of this pod: 10.0.2.9, by which 172.16.0.0/12 is to be reached, fits no interface");
    // It is the only default route that this pod can have.
    insta::assert_snapshot!(served(&pod(r#"[{"dst":"0.0.0.0/0","gw":"10.0.1.9"}]"#)), @"IPv4 Pod: a b (0.0.0.0/0 by 10.0.0.1)");
    insta::assert_snapshot!(served(&pod(r#"[{"dst":"0.0.0.0/0","gw":"10.0.0.9"}]"#)), @"IPv4 Pod: a b (0.0.0.0/0 by 10.0.0.9)");
}
