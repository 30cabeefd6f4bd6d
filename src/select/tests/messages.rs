//! The messages of a choice.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::super::*;
use super::support::{Setup, setup};

/// Message and details, as they are in the event.
fn event(setup: &Setup) -> String {
    let error = setup
        .select()
        .and_then(|selection| selection.settle(|_| false))
        .expect_err("nothing fits");
    format!("{error}\n{}", error.details())
}

#[test]
fn the_first_line_says_what_to_do_and_the_second_what_was_considered() {
    let zone = |zone: &str| json!({"nodeAffinity": {"matchLabels": {"zone": zone}}});
    let setups = [
        setup(),
        setup()
            .v6("six", json!({"default": true}))
            .single(Family::V4),
        setup()
            .pod("ippool", r#"{"ipv4":["gone","zone-*"]}"#)
            .v6("six", json!({})),
        setup().v4("off", json!({"default": true, "disable": true})),
        setup()
            .v4("b", zone("b"))
            .v4("c", zone("c"))
            .namespace("default-ipv4-ippool", r#"["b","gone","c"]"#)
            .single(Family::V4),
        setup()
            .v4("blue", json!({"vrf": "blue"}))
            .config(Family::V4, &["blue"])
            .single(Family::V4),
        setup()
            .pool("broken", "fd00::/64", json!({"ips": ["fd00::9-fd00::5"]}))
            .pod("ippool", r#"{"ipv6":["broken"]}"#)
            .single(Family::V6),
        setup()
            .v4("four", json!({"default": true}))
            .requiring_both(),
        setup()
            .v4("four", json!({}))
            .pod("ippool", r#"{"ipv6":["four"]}"#),
        setup()
            .v4("p", json!({}))
            .pod("ippools", r#"[{"interface":"net1","ipv4":["p"]}]"#),
    ];
    let lines: Vec<String> = setups.iter().map(event).collect();
    insta::assert_snapshot!(lines.join("\n\n"), @r#"
        no IPv4 or IPv6 pool for this pod: set "default: true" in an IPPool with IPv4 addresses, or name one in the pod's annotation ipam.leasehold.io/ippool
        IPv4 from the default pools: there are none; IPv6 from the default pools: there are none

        no IPv4 pool for this pod: set "default: true" in an IPPool with IPv4 addresses, or name one in the pod's annotation ipam.leasehold.io/ippool
        IPv4 from the default pools: there are none

        no IPv4 pool for this pod: create IPPool gone or correct the pod's annotation ipam.leasehold.io/ippool
        IPv4 from the pod's annotation ipam.leasehold.io/ippool: gone: does not exist; zone-*: matches no pool; IPv6 from the default pools: there are none

        no IPv4 or IPv6 pool for this pod: set "disable: false" in IPPool off, or name another pool
        IPv4 from the default pools: off: disabled; IPv6 from the default pools: there are none

        no IPv4 pool for this pod: correct nodeAffinity of IPPool b, or name another pool: node n1 lacks zone=b (nodeAffinity)
        IPv4 from the namespace's annotation ipam.leasehold.io/default-ipv4-ippool: b: node n1 lacks zone=b (nodeAffinity); gone: does not exist; c: node n1 lacks zone=c (nodeAffinity)

        no IPv4 pool for this pod: IPPool blue is of vrf blue: set "vrf" in the CNI configuration, or name another pool
        IPv4 from the CNI configuration's ipv4Pools: blue: is of vrf blue

        no IPv6 pool for this pod: correct IPPool broken: spec.ips[0] "fd00::9-fd00::5" ends before it begins: write the lower address first
        IPv6 from the pod's annotation ipam.leasehold.io/ippool: broken: spec.ips[0] "fd00::9-fd00::5" ends before it begins: write the lower address first

        no IPv6 pool for this pod: set "default: true" in an IPPool with IPv6 addresses, or name one in the pod's annotation ipam.leasehold.io/ippool
        IPv4 from the default pools: four: fits; IPv6 from the default pools: there are none

        no IPv4 or IPv6 pool for this pod: IPPool four has IPv4 addresses: name it as an IPv4 pool, or name another pool
        IPv4 from the default pools: there are none; IPv6 from the pod's annotation ipam.leasehold.io/ippool: four: has IPv4 addresses

        the pod's annotation ipam.leasehold.io/ippools must name eth0 too: it names net1
        "#);
}

#[test]
fn a_trace_has_a_line_for_each_pool() {
    let setup = setup()
        .v4("a", json!({}))
        .v4("b", json!({"disable": true, "nodeName": ["n7"]}))
        .v6("six", json!({"default": true}))
        .pod("ippool", r#"{"ipv4":["gone","b","a","z*"]}"#);
    insta::assert_snapshot!(setup.select().expect("a selection").trace, @r#"
        IPv4 from the pod's annotation ipam.leasehold.io/ippool
          gone: does not exist
          b: disabled and node n1 is not listed (nodeName)
          a: fits
          z*: matches no pool
        IPv6 from the default pools
          six: fits
        "#);
}

/// Pools with the longest names there are, each with every condition.
fn crowd(pools: usize, more: impl Fn(usize) -> Value) -> Setup {
    let mut setup = setup();
    for n in 0..pools {
        let name = format!("{}-{n:04}", "pool".repeat(62));
        setup = setup.pool(&name, &format!("10.{}.{}.0/24", n / 250, n % 250), more(n));
    }
    setup
}

#[test]
fn an_event_has_room_for_the_error_of_a_thousand_pools() {
    let zone = "zone".repeat(15);
    let far = crowd(1_000, |n| {
        json!({
            "default": true,
            "disable": n % 3 == 0,
            "nodeAffinity": {"matchLabels": {"topology.kubernetes.io/zone": zone}},
            "podAffinity": {"matchLabels": {"app": zone}},
        })
    });
    let text = event(&far);
    assert!(text.len() < 760, "{} bytes: {text}", text.len());
    assert!(text.contains("and 99"), "{text}");
    let names: Vec<String> = (0..1_000)
        .map(|n| format!("\"{}-{n}\"", "gone".repeat(60)))
        .collect();
    let list = format!(r#"{{"ipv4":[{0}],"ipv6":[{0}]}}"#, names.join(","));
    let text = event(&setup().pod("ippool", &list));
    assert!(text.len() < 760, "{} bytes: {text}", text.len());
}

/// What a choice costs this thread, whatever else the machine does; the benchmark has the real
/// numbers.
fn cost(pools: usize) -> Duration {
    let setup = crowd(pools, |_| {
        json!({
            "default": true,
            "nodeAffinity": {"matchLabels": {"zone": "a"}},
            "podAffinity": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]},
        })
    });
    let read = setup.pools();
    let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock"));
    let runs = (0..5).map(|_| {
        let began = now();
        let selection = select(&setup.facts, &read, &setup.request).expect("a selection");
        assert_eq!(selection.families[0].candidates.len(), pools);
        now().saturating_sub(began)
    });
    runs.min().expect("five runs")
}

#[test]
fn ten_times_the_pools_take_some_ten_times_as_long_and_not_a_hundred_times() {
    let (few, many) = (cost(100), cost(1_000));
    assert!(many < few * 40, "{few:?}, and {many:?}");
}
