//! The rules of a ReservedIP.

use anyhow::Result;
use leasehold::api::ReservedIP;
use serde_json::json;

use super::{Judge, Rule};

#[tokio::test]
async fn a_reserved_ip_lists_spans_of_both_families() -> Result<()> {
    let no_span = "this is neither an address, nor a range, nor a CIDR: write for example 10.6.0.9, \
                   10.6.0.10-10.6.0.99 or 10.6.1.0/24, without spaces";
    let mixed = "this range begins in one address family and ends in the other: write two ranges";
    let item = |says, kept, broken, fault| {
        let (kept, broken) = (
            json!({"ips": ["10.6.0.9", kept]}),
            json!({"ips": ["10.6.0.9", broken]}),
        );
        Rule::new(says, &kept, &broken, "spec.ips[1]", fault)
    };
    let rules = vec![
        item("an address is one", "fd00:6::9", "fd00:6:::9", no_span),
        item(
            "a range is of addresses",
            "10.6.0.9-10.6.0.11",
            "10.6.0.9-11",
            no_span,
        ),
        item("a CIDR is one", "10.6.0.0/24", "10.6.0/24", no_span),
        item(
            "a CIDR has no host bits",
            "fd00:6::/64",
            "fd00:6::9/64",
            "this CIDR is not in canonical form: write fd00:6::/64 for all of it, fd00:6::9 for the one address",
        ),
        item(
            "a range goes upwards",
            "9.255.255.255-10.0.0.0",
            "10.0.0.0-9.255.255.255",
            "this range ends before it begins: write 9.255.255.255-10.0.0.0",
        ),
        item(
            "a range ends in the family that it began in",
            "10.6.0.1-10.6.0.2",
            "10.6.0.1-fd00:6::2",
            mixed,
        ),
        item(
            "a range begins in the family that it ends in",
            "fd00:6::1-fd00:6::2",
            "fd00:6::1-10.6.0.2",
            mixed,
        ),
        Rule::new(
            "a vrf is a DNS label",
            &json!({"ips": ["10.6.0.9"], "vrf": "blue"}),
            &json!({"ips": ["10.6.0.9"], "vrf": "Blue"}),
            "spec.vrf",
            "a vrf is a-z, 0-9 and \"-\", the first a letter, the last no \"-\": for example blue or vrf-7",
        ),
    ];
    Judge::<ReservedIP>::new().await?.holds(rules).await
}

#[tokio::test]
async fn a_reserved_ip_may_list_as_much_as_is_declared() -> Result<()> {
    let ips: Vec<String> = (0x1000..0x1400)
        .map(|i| {
            format!("fd00:6666:6666:6666:6666:6666:6666:{i}-fd00:6666:6666:6666:6666:6666:7777:{i}")
        })
        .collect();
    let one_more: Vec<&str> = ips.iter().map(String::as_str).chain(["10.6.0.9"]).collect();
    let full = json!({"ips": ips, "vrf": "v".repeat(63), "reason": "r".repeat(1024)});
    let rule = Rule::new(
        "1024 ranges of 79 characters",
        &full,
        &super::with(&full, &json!({"ips": one_more})),
        "spec.ips",
        "Too many: 1025: must have at most 1024 items",
    );
    Judge::<ReservedIP>::new().await?.holds(vec![rule]).await
}
