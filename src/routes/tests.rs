use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::ip::{Span, Vrf};
use crate::pool::Pools;

fn pool(subnet: &str, spec: &Value, inherited: &Value) -> Pool {
    let object = |kind: &str, more: &Value| {
        let mut spec = more.clone();
        spec["subnet"] = subnet.into();
        json!({
            "apiVersion": "leasehold.io/v1alpha1",
            "kind": kind,
            "metadata": {"name": "p"},
            "spec": spec,
        })
    };
    let written = serde_json::from_value(object("IPPool", spec)).expect("a pool");
    let segment = serde_json::from_value(object("Subnet", inherited)).expect("a subnet");
    let pools = Pools::read(vec![written], &[segment], &[], &Vrf::default());
    let pools = pools.expect("no reservations");
    Pool::clone(pools.get("p").expect("the pool").expect("a sound pool"))
}

fn route(dst: &str, gw: &str) -> Route {
    Route {
        dst: dst.parse().expect("a CIDR"),
        gw: gw.parse().expect("an address"),
    }
}

/// An interface that has the default route if it goes by the gateway.
fn link<'a>(by_gateway: bool, subnets: &'a [IpNet], elsewhere: Option<&'a Spans>) -> Link<'a> {
    Link {
        by_gateway,
        carries_default: by_gateway,
        subnets,
        elsewhere,
    }
}

fn shown(routes: &[Route]) -> String {
    let lines = routes.iter().map(|r| format!("{} by {}", r.dst, r.gw));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_higher_level_wins_for_each_destination() {
    let all = |gw: &str| {
        json!([
            {"dst": "172.16.0.0/12", "gw": gw},
            {"dst": "192.168.0.0/16", "gw": gw},
            {"dst": "198.51.100.0/24", "gw": gw},
        ])
    };
    let mut subnets = json!({"gateway": "10.0.0.1", "routes": all("10.0.0.2")});
    let mut pools = json!({"routes": [
        {"dst": "192.168.0.0/16", "gw": "10.0.0.3"},
        {"dst": "198.51.100.0/24", "gw": "10.0.0.3"},
    ]});
    let from_pod = vec![route("198.51.100.0/24", "10.0.0.4")];
    let routes = |spec: &Value, inherited: &Value, from_pod: &[Route]| {
        let pool = pool("10.0.0.0/24", spec, inherited);
        let routing = Routing::with(&link(true, &[pool.subnet], None), from_pod.to_vec());
        shown(&routing.expect("routes that fit").routes([&pool]))
    };
    insta::assert_snapshot!(routes(&json!({}), &subnets, &[]), @r#"
        0.0.0.0/0 by 10.0.0.1
        172.16.0.0/12 by 10.0.0.2
        192.168.0.0/16 by 10.0.0.2
        198.51.100.0/24 by 10.0.0.2
        "#);
    insta::assert_snapshot!(routes(&pools, &subnets, &[]), @r#"
        0.0.0.0/0 by 10.0.0.1
        172.16.0.0/12 by 10.0.0.2
        192.168.0.0/16 by 10.0.0.3
        198.51.100.0/24 by 10.0.0.3
        "#);
    insta::assert_snapshot!(routes(&pools, &subnets, &from_pod), @r#"
        0.0.0.0/0 by 10.0.0.1
        172.16.0.0/12 by 10.0.0.2
        192.168.0.0/16 by 10.0.0.3
        198.51.100.0/24 by 10.0.0.4
        "#);
    // The default route is a destination like any other.
    pools["gateway"] = "10.0.0.9".into();
    subnets["routes"] = json!([]);
    let default = [route("0.0.0.0/0", "10.0.0.4")];
    insta::assert_snapshot!(routes(&pools, &subnets, &[]), @r#"
        0.0.0.0/0 by 10.0.0.9
        192.168.0.0/16 by 10.0.0.3
        198.51.100.0/24 by 10.0.0.3
        "#);
    insta::assert_snapshot!(routes(&pools, &subnets, &default), @r#"
        0.0.0.0/0 by 10.0.0.4
        192.168.0.0/16 by 10.0.0.3
        198.51.100.0/24 by 10.0.0.3
        "#);
}

#[test]
fn each_family_has_its_default_route_and_default_routes_come_first() {
    let v4 = pool(
        "10.0.0.0/24",
        &json!({"gateway": "10.0.0.1", "routes": [{"dst": "10.0.0.0/8", "gw": "10.0.0.2"}]}),
        &json!({}),
    );
    let v6 = pool(
        "fd00::/64",
        &json!({"gateway": "fd00::1", "routes": [{"dst": "fd01::/64", "gw": "fd00::2"}]}),
        &json!({}),
    );
    insta::assert_snapshot!(shown(&Routing::by_pools(true).routes([&v6, &v4])), @r#"
        0.0.0.0/0 by 10.0.0.1
        10.0.0.0/8 by 10.0.0.2
        ::/0 by fd00::1
        fd01::/64 by fd00::2
        "#);
    insta::assert_snapshot!(shown(&Routing::by_pools(false).routes([&v6, &v4])), @r#"
        10.0.0.0/8 by 10.0.0.2
        fd01::/64 by fd00::2
        "#);
    // A default route of the pod's in one family leaves the other family's alone.
    let elsewhere = std::iter::once(Span::from(route("10.9.0.0/24", "10.9.0.1").dst)).collect();
    let from_pod = vec![route("0.0.0.0/0", "10.9.0.1")];
    let subnets = [v4.subnet, v6.subnet];
    let routing = Routing::with(&link(true, &subnets, Some(&elsewhere)), from_pod)
        .expect("it fits elsewhere");
    insta::assert_snapshot!(shown(&routing.routes([&v4, &v6])), @r#"
        10.0.0.0/8 by 10.0.0.2
        ::/0 by fd00::1
        fd01::/64 by fd00::2
        "#);
}

/// The routes of an interface in `fd00::/64` with the gateway `fe80::1`, where the pod has one.
fn by_link_local(from_pod: &[Route], carries_default: bool, several: bool) -> String {
    let routes = json!([{"dst": "fd01::/64", "gw": "fe80::2"}]);
    let pool = pool(
        "fd00::/64",
        &json!({"gateway": "fe80::1", "routes": routes}),
        &json!({}),
    );
    let elsewhere = std::iter::once("fd09::/64".parse::<Span>().expect("a span")).collect();
    let subnets = [pool.subnet];
    let link = link(carries_default, &subnets, several.then_some(&elsewhere));
    match Routing::with(&link, from_pod.to_vec()) {
        Ok(routing) => shown(&routing.routes([&pool])),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_next_hop_may_be_link_local_and_then_the_interface_of_the_default_route_has_it() {
    insta::assert_snapshot!(by_link_local(&[], true, false), @r"
    ::/0 by fe80::1
    fd01::/64 by fe80::2
    ");
    insta::assert_snapshot!(by_link_local(&[], false, true), @"fd01::/64 by fe80::2");
    let own = [route("::/0", "fe80::9"), route("fd02::/64", "fe80::9")];
    insta::assert_snapshot!(by_link_local(&own, true, true), @r"
    ::/0 by fe80::9
    fd01::/64 by fe80::2
    fd02::/64 by fe80::9
    ");
    insta::assert_snapshot!(by_link_local(&own, false, true), @"fd01::/64 by fe80::2");
    // The only interface has every route, with the gateway's default route or without.
    assert_eq!(
        by_link_local(&own, false, false),
        by_link_local(&own, true, true)
    );
    insta::assert_snapshot!(by_link_local(&[route("fd02::/64", "fe80::9"), route("fd02::/64", "fd00::9")], true, true), @"$[1] leads to fd02::/64 by another neighbor on the same interface than an item before it: keep one");
    insta::assert_snapshot!(by_link_local(&[route("fd02::/64", "fec0::9")], true, true), @"$[0] must have a next hop in the subnet of a pool of this pod: fec0::9, by which fd02::/64 is to be reached, fits no interface");
    let v4 = ["10.0.0.0/24".parse().expect("a CIDR")];
    let refused = Routing::with(&link(true, &v4, None), own.to_vec());
    assert!(refused.is_err(), "no interface has IPv6");
}

#[test]
fn a_pool_without_a_gateway_has_no_default_route() {
    let pool = pool("10.0.0.0/24", &json!({}), &json!({}));
    assert_eq!(shown(&Routing::by_pools(true).routes([&pool])), "");
}

#[test]
fn a_route_that_can_fit_no_interface_is_refused_and_so_is_a_second_neighbor() {
    let subnet = |text: &str| text.parse::<IpNet>().expect("a CIDR");
    let here = [subnet("10.0.0.0/24"), subnet("10.1.0.0/24")];
    let elsewhere: Spans = std::iter::once(Span::from(subnet("10.9.0.0/24"))).collect();
    let judged = |routes: &[(&str, &str)], several: bool| {
        let routes = routes.iter().map(|(dst, gw)| route(dst, gw)).collect();
        match Routing::with(&link(true, &here, several.then_some(&elsewhere)), routes) {
            Ok(_) => "fits".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(judged(&[("172.16.0.0/12", "10.1.0.9")], false), "fits");
    assert_eq!(judged(&[("172.16.0.0/12", "10.9.0.9")], true), "fits");
    insta::assert_snapshot!(judged(&[("172.16.0.0/12", "10.9.0.9")], false), @"$[0] must have a next hop in the subnet of a pool of this pod: 10.9.0.9, by which 172.16.0.0/12 is to be reached, fits no interface");
    insta::assert_snapshot!(judged(&[("172.16.0.0/12", "10.0.0.9"), ("0.0.0.0/0", "fd00::1")], true), @"$[1] must have a next hop in the subnet of a pool of this pod: fd00::1, by which 0.0.0.0/0 is to be reached, fits no interface");
    let twice = |second| [("172.16.0.0/12", "10.0.0.9"), ("172.16.0.0/12", second)];
    assert_eq!(judged(&twice("10.0.0.9"), false), "fits");
    assert_eq!(
        judged(&twice("10.1.0.9"), false),
        "fits",
        "another interface, or another zone"
    );
    insta::assert_snapshot!(judged(&twice("10.0.0.8"), false), @"$[1] leads to 172.16.0.0/12 by another neighbor on the same interface than an item before it: keep one");
}

fn some_route() -> impl Strategy<Value = Route> {
    (0..4u8, 0..3u8, 1..5u8).prop_map(|(dst, net, host)| {
        let dst = if dst == 0 {
            "0.0.0.0/0".to_owned()
        } else {
            format!("172.{dst}.0.0/16")
        };
        route(&dst, &format!("10.0.{net}.{host}"))
    })
}

proptest! {
    #[test]
    fn no_destination_comes_twice_and_every_next_hop_is_a_neighbor(
        from_pod in prop::collection::vec(some_route(), 0..6),
        by_gateway: bool,
        several: bool,
    ) {
        let pool = pool(
            "10.0.0.0/24",
            &json!({"gateway": "10.0.0.254", "routes": [{"dst": "172.1.0.0/16", "gw": "10.0.0.9"}]}),
            &json!({"routes": [{"dst": "172.2.0.0/16", "gw": "10.0.0.9"}]}),
        );
        let all: Spans = std::iter::once("10.0.0.0/16".parse::<Span>().expect("a span")).collect();
        let Ok(routing) = Routing::with(&link(by_gateway, &[pool.subnet], several.then_some(&all)), from_pod.clone()) else {
            return Ok(());
        };
        let routes = routing.routes([&pool]);
        for pair in routes.windows(2) {
            prop_assert!(pair[0].dst < pair[1].dst);
        }
        for given in &routes {
            prop_assert!(pool.subnet.contains(&given.gw), "{given:?}");
        }
        for own in from_pod.iter().filter(|r| pool.subnet.contains(&r.gw)) {
            prop_assert!(routes.contains(own), "{own:?}");
        }
    }
}
