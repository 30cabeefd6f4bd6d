//! The rules that an IPPool and a Subnet have in common.

mod routes;

use anyhow::Result;
use leasehold::api::{IPPool, Subnet};
use serde_json::{Value, json};

use super::{Judge, Rule, with};

const NO_CIDR: &str = "this is not a CIDR: write an address and a prefix length, for example 10.6.0.0/16 or fd00:6::/64";
const NO_VRF: &str =
    "a vrf is a-z, 0-9 and \"-\", the first a letter, the last no \"-\": for example blue or vrf-7";
const VRF_CHANGED: &str =
    "the vrf can't be changed, added or removed: create another object in the other vrf";

#[tokio::test]
async fn a_pool_keeps_the_rules_of_its_segment() -> Result<()> {
    Judge::<IPPool>::new().await?.holds(rules()).await
}

#[tokio::test]
async fn a_subnet_keeps_the_rules_of_its_segment() -> Result<()> {
    Judge::<Subnet>::new().await?.holds(rules()).await
}

fn rules() -> Vec<Rule> {
    [
        of_subnets(),
        of_items("ips"),
        of_items("excludeIPs"),
        of_lists("ips"),
        of_lists("excludeIPs"),
        routes::of_gateways(),
        routes::of_routes(),
        of_changes(),
    ]
    .concat()
}

fn v4(more: &Value) -> Value {
    with(&json!({"subnet": "10.6.0.0/16"}), more)
}

fn v6(more: &Value) -> Value {
    with(&json!({"subnet": "fd00:6::/64"}), more)
}

fn of_subnets() -> Vec<Rule> {
    let rule = |says, kept, broken, fault| {
        Rule::new(
            says,
            &json!({"subnet": kept}),
            &json!({"subnet": broken}),
            "spec.subnet",
            fault,
        )
    };
    let vrf = |says, kept, broken| {
        Rule::new(
            says,
            &v4(&json!({"vrf": kept})),
            &v4(&json!({"vrf": broken})),
            "spec.vrf",
            NO_VRF,
        )
    };
    vec![
        rule("a subnet is a CIDR", "10.6.0.0/16", "10.6.0.0", NO_CIDR),
        rule("a subnet may be everything", "0.0.0.0/0", "all", NO_CIDR),
        rule(
            "a subnet is of one family",
            "10.6.0.0/24",
            "::ffff:10.6.0.0/120",
            NO_CIDR,
        ),
        rule(
            "a subnet has no host bits",
            "10.6.0.0/16",
            "10.6.0.1/16",
            "this CIDR is not in canonical form: write 10.6.0.0/16",
        ),
        rule(
            "an IPv6 subnet is written in one way",
            "fd00:6::/64",
            "FD00:6:0::/64",
            "this CIDR is not in canonical form: write fd00:6::/64",
        ),
        Rule::new(
            "null is as good as nothing",
            &v4(
                &json!({"ips": null, "excludeIPs": null, "gateway": null, "routes": null, "vrf": null}),
            ),
            &json!({"subnet": null}),
            "spec.subnet",
            "Required value",
        ),
        vrf("a vrf is a DNS label", "blue-7", "blue.7"),
        vrf("a vrf begins with a letter, or there is none", "", "7"),
        vrf("a vrf does not end with a hyphen", "b", "b-"),
    ]
}

fn of_items(list: &str) -> Vec<Rule> {
    let no_span = "this is neither an address, nor a range, nor a CIDR: write for example 10.6.0.9, \
                   10.6.0.10-10.6.0.99 or 10.6.1.0/24, without spaces";
    let item = |says, kept: &str, broken: &str, fault| {
        Rule::new(
            says,
            &v4(&json!({list: ["10.6.0.5", kept]})),
            &v4(&json!({list: ["10.6.0.5", broken]})),
            &format!("spec.{list}[1]"),
            fault,
        )
    };
    vec![
        item("an address is one", "10.6.0.9", "10.6.0.256", no_span),
        item(
            "an address has no leading zeros",
            "10.6.0.9",
            "10.6.0.09",
            no_span,
        ),
        item(
            "an address is not mapped into the other family",
            "10.6.0.9",
            "::ffff:10.6.0.9",
            no_span,
        ),
        item(
            "a range has two ends",
            "10.6.0.1-10.6.0.9",
            "10.6.0.1-",
            no_span,
        ),
        item(
            "a range has no third end",
            "10.6.0.9-10.6.0.9",
            "10.6.0.1-10.6.0.2-10.6.0.3",
            no_span,
        ),
        item(
            "a range has no spaces",
            "10.6.0.1-10.6.0.9",
            "10.6.0.1 - 10.6.0.9",
            no_span,
        ),
        item(
            "a range is of addresses",
            "10.6.0.1-10.6.0.9",
            "10.6.0.1-10.6.0.9999999999999999999999",
            no_span,
        ),
        item("a CIDR is one", "10.6.1.0/24", "10.6.1.0/33", no_span),
        item(
            "a CIDR has no host bits",
            "10.6.1.0/24",
            "10.6.1.7/24",
            "this CIDR is not in canonical form: write 10.6.1.0/24 for all of it, 10.6.1.7 for the one address",
        ),
        item(
            "a range goes upwards",
            "10.6.0.9-10.6.1.0",
            "10.6.1.0-10.6.0.9",
            "this range ends before it begins: write 10.6.0.9-10.6.1.0",
        ),
    ]
}

fn of_lists(list: &str) -> Vec<Rule> {
    let inside = |says, spec: fn(&Value) -> Value, kept: &str, broken: &str, fault| {
        Rule::new(
            says,
            &spec(&json!({list: [kept]})),
            &spec(&json!({list: [kept, broken]})),
            &format!("spec.{list}"),
            fault,
        )
    };
    vec![
        inside(
            "an address is inside the subnet",
            v4,
            "10.6.255.255",
            "10.7.0.0",
            "10.7.0.0 is not inside the subnet 10.6.0.0/16",
        ),
        inside(
            "the end of a range is inside the subnet",
            v4,
            "10.6.0.0-10.6.255.255",
            "10.6.255.255-10.7.0.0",
            "10.6.255.255-10.7.0.0 is not inside the subnet 10.6.0.0/16",
        ),
        inside(
            "the beginning of a range is inside the subnet",
            v6,
            "fd00:6::-fd00:6::ffff:ffff:ffff:ffff",
            "fd00:5::1-fd00:6::1",
            "fd00:5::1-fd00:6::1 is not inside the subnet fd00:6::/64",
        ),
        inside(
            "a CIDR is inside the subnet",
            v6,
            "fd00:6::/64",
            "fd00:6::/63",
            "fd00:6::/63 is not inside the subnet fd00:6::/64",
        ),
        inside(
            "an address is of the subnet's family",
            v6,
            "fd00:6::9",
            "10.6.0.9",
            "10.6.0.9 is not inside the subnet fd00:6::/64",
        ),
    ]
}

fn of_changes() -> Vec<Rule> {
    let plain = v4(&json!({}));
    let blue = v4(&json!({"vrf": "blue"}));
    let edited = |base: &Value| with(base, &json!({"ips": ["10.6.0.9"], "gateway": "10.6.0.1"}));
    let vrf = |says, before: &Value, broken: &Value| {
        Rule::new(says, &edited(before), broken, "spec.vrf", VRF_CHANGED).of_a_change(before)
    };
    vec![
        Rule::new(
            "a subnet stays",
            &edited(&plain),
            &json!({"subnet": "10.6.0.0/17"}),
            "spec.subnet",
            "a subnet can't change: create another object for the new one",
        )
        .of_a_change(&plain),
        vrf("a vrf stays", &blue, &v4(&json!({"vrf": "red"}))),
        vrf("a vrf is not added", &plain, &blue),
        vrf("a vrf is not taken away", &blue, &plain),
    ]
}
