//! Where packets go: the gateway, and the routes beside it.

use serde_json::{Value, json};

use super::super::Rule;
use super::{NO_CIDR, v4, v6};

const NO_ADDRESS: &str =
    "this is not an address: write one without a prefix length, for example 10.6.0.1 or fd00:6::1";

pub(super) fn of_gateways() -> Vec<Rule> {
    let rule = |says, spec: fn(&Value) -> Value, kept: &str, broken: &str, fault| {
        Rule::new(
            says,
            &spec(&json!({"gateway": kept})),
            &spec(&json!({"gateway": broken})),
            "spec.gateway",
            fault,
        )
    };
    vec![
        rule(
            "a gateway is an address",
            v4,
            "10.6.0.1",
            "10.6.0.1/16",
            NO_ADDRESS,
        ),
        rule(
            "a gateway is inside the subnet",
            v4,
            "10.6.255.254",
            "10.7.0.1",
            "10.7.0.1 is not inside the subnet 10.6.0.0/16: a pod could not reach it",
        ),
        rule(
            "a gateway is of the subnet's family",
            v6,
            "fd00:6::1",
            "10.6.0.1",
            "10.6.0.1 is not inside the subnet fd00:6::/64: a pod could not reach it",
        ),
        rule(
            "a gateway of IPv6 may be link-local, and site-local is another thing",
            v6,
            "fe80::1",
            "fec0::1",
            "fec0::1 is not inside the subnet fd00:6::/64: a pod could not reach it",
        ),
        rule(
            "link-local ends with febf",
            v6,
            "febf:ffff::1",
            "fe7f::1",
            "fe7f::1 is not inside the subnet fd00:6::/64: a pod could not reach it",
        ),
        rule(
            "a gateway of IPv4 is not link-local",
            v4,
            "10.6.0.1",
            "169.254.0.1",
            "169.254.0.1 is not inside the subnet 10.6.0.0/16: a pod could not reach it",
        ),
        rule(
            "a gateway of IPv4 is no link-local address of IPv6",
            v4,
            "10.6.0.1",
            "fe80::1",
            "fe80::1 is not inside the subnet 10.6.0.0/16: a pod could not reach it",
        ),
        rule(
            "a gateway has no zone",
            v6,
            "fe80::1",
            "fe80::1%eth0",
            NO_ADDRESS,
        ),
    ]
}

pub(super) fn of_routes() -> Vec<Rule> {
    let routes = |routes: &[(&str, &str)]| -> Value {
        let routes = routes.iter().map(|(dst, gw)| json!({"dst": dst, "gw": gw}));
        v4(&json!({"routes": routes.collect::<Vec<_>>()}))
    };
    let good = ("192.168.0.0/16", "10.6.0.1");
    let kept = routes(&[good, ("172.16.0.0/12", "10.6.0.1")]);
    let rule = |says, broken: &[(&str, &str)], at, fault| {
        Rule::new(says, &kept, &routes(broken), at, fault)
    };
    vec![
        rule(
            "a destination is a CIDR",
            &[good, ("172.16.0.0", "10.6.0.1")],
            "spec.routes[1].dst",
            NO_CIDR,
        ),
        rule(
            "a destination has no host bits",
            &[good, ("172.16.0.1/12", "10.6.0.1")],
            "spec.routes[1].dst",
            "this CIDR is not in canonical form: write 172.16.0.0/12",
        ),
        rule(
            "a default route is the gateway's",
            &[good, ("0.0.0.0/0", "10.6.0.1")],
            "spec.routes[1].dst",
            "a default route is not written here: set gateway instead",
        ),
        rule(
            "a destination is listed once",
            &[good, ("192.168.0.0/16", "10.6.0.2")],
            "spec.routes[1]",
            r#"Duplicate value: {"dst":"192.168.0.0/16"}"#,
        ),
        rule(
            "a destination is of the subnet's family",
            &[good, ("fd00:7::/64", "10.6.0.1")],
            "spec.routes",
            "the destination fd00:7::/64 is not of the address family of the subnet 10.6.0.0/16",
        ),
        rule(
            "a next hop is an address",
            &[good, ("172.16.0.0/12", "router")],
            "spec.routes[1].gw",
            NO_ADDRESS,
        ),
        rule(
            "a next hop is inside the subnet",
            &[good, ("172.16.0.0/12", "10.7.0.1")],
            "spec.routes",
            "the next hop 10.7.0.1 is not inside the subnet 10.6.0.0/16: a pod could not reach it",
        ),
        Rule::new(
            "a next hop of IPv6 may be link-local",
            &v6(&json!({"routes": [{"dst": "fd00:7::/64", "gw": "fe80::1"}]})),
            &v6(&json!({"routes": [{"dst": "fd00:7::/64", "gw": "fec0::1"}]})),
            "spec.routes",
            "the next hop fec0::1 is not inside the subnet fd00:6::/64: a pod could not reach it",
        ),
        rule(
            "a next hop of IPv4 is not link-local",
            &[good, ("172.16.0.0/12", "169.254.0.1")],
            "spec.routes",
            "the next hop 169.254.0.1 is not inside the subnet 10.6.0.0/16: a pod could not reach it",
        ),
    ]
}
