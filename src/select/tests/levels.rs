//! Which level decides, and which pools each level's list selects.

use serde_json::json;

use super::super::*;
use super::support::{Setup, setup};

/// A default pool of each family, and two of each that only serve who names them.
fn town() -> Setup {
    let none = || json!({});
    setup()
        .v4("d4", json!({"default": true}))
        .v6("d6", json!({"default": true}))
        .v4("a4", none())
        .v4("b4", none())
        .v6("a6", none())
        .v6("b6", none())
}

#[test]
fn the_first_level_that_names_a_pool_decides_for_each_family_by_itself() {
    let mut setup = town();
    let mut lines = vec![setup.summary()];
    setup = setup.config(Family::V4, &["a4"]);
    lines.push(setup.summary());
    setup = setup.namespace("default-ipv6-ippool", r#"["a6"]"#);
    lines.push(setup.summary());
    setup = setup.namespace("default-ipv4-ippool", r#"["b4"]"#);
    lines.push(setup.summary());
    setup = setup.pod("ippool", r#"{"ipv4":["a4","b4"]}"#);
    lines.push(setup.summary());
    setup = setup.pod(
        "ippools",
        r#"[{"interface":"eth0","ipv4":["b4","a4"],"ipv6":["b6","a6"]}]"#,
    );
    lines.push(setup.summary());
    insta::assert_snapshot!(lines.join("\n"), @r#"
        IPv4 Default: d4; IPv6 Default: d6
        IPv4 Config: a4; IPv6 Default: d6
        IPv4 Config: a4; IPv6 Namespace: a6
        IPv4 Namespace: b4; IPv6 Namespace: a6
        IPv4 Pod: a4 b4; IPv6 Namespace: a6
        IPv4 Interface: b4 a4; IPv6 Interface: b6 a6
        "#);
}

/// A level at which a list of pools of a family can stand, and how it is written there.
type Place = (Level, fn(Setup, Family, &str) -> Setup);

/// `list` is JSON; the pattern characters are the same everywhere.
const PLACES: [Place; 6] = [
    (Level::Interface, |setup, family, list| {
        setup.pod(
            "ippools",
            &format!(r#"[{{"interface":"eth0","{}":{list}}}]"#, key(family)),
        )
    }),
    (Level::Interface, |setup, family, list| {
        setup.pod(
            "ipam.spidernet.io/ippools",
            &format!(r#"[{{"{}":{list}}}]"#, key(family)),
        )
    }),
    (Level::Pod, |setup, family, list| {
        setup.pod("ippool", &format!(r#"{{"{}":{list}}}"#, key(family)))
    }),
    (Level::Pod, |setup, family, list| {
        setup.pod(
            "ipam.spidernet.io/ippool",
            &format!(r#"{{"{}":{list}}}"#, key(family)),
        )
    }),
    (Level::Namespace, |setup, family, list| {
        setup.namespace(&format!("default-{}-ippool", key(family)), list)
    }),
    (Level::Namespace, |setup, family, list| {
        setup.namespace(
            &format!("ipam.spidernet.io/default-{}-ippool", key(family)),
            list,
        )
    }),
];

fn key(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

/// Which pools a list selects: `N` stands for 4 or 6, the family's own pools.
const LISTS: [(&str, &str, &str); 16] = [
    ("a pool is taken", r#"["aN"]"#, "aN"),
    ("an empty list names nothing", "[]", "lower"),
    ("null names nothing", "null", "lower"),
    ("the order is kept", r#"["bN","aN","dN"]"#, "bN aN dN"),
    (
        "who is named twice counts where it is named first",
        r#"["bN","aN","bN"]"#,
        "bN aN",
    ),
    (
        "what a pattern brings is sorted by name",
        r#"["?N"]"#,
        "aN bN dN",
    ),
    (
        "who is named and matched counts where it is named first",
        r#"["dN","*N"]"#,
        "dN aN bN",
    ),
    (
        "a match may come first",
        r#"["[ab]N","dN","aN"]"#,
        "aN bN dN",
    ),
    ("who does not exist is skipped", r#"["zN","aN"]"#, "aN"),
    (
        "a pattern without a match is skipped",
        r#"["z*","aN"]"#,
        "aN",
    ),
    ("no named pool exists: an error", r#"["zN"]"#, "error"),
    (
        "no named or matched pool exists: an error",
        r#"["zN","y*"]"#,
        "error",
    ),
    (
        "nothing matches: the family is left out",
        r#"["z*"]"#,
        "left out",
    ),
    ("malformed: not a list", r#""aN""#, "malformed"),
    ("malformed: not a name", r#"["aN",""]"#, "malformed"),
    ("malformed: not a pattern", r#"["[aN"]"#, "malformed"),
];

#[test]
fn a_list_means_the_same_at_every_level_and_for_both_families() {
    for family in Family::BOTH {
        let (own, other) = match family {
            Family::V4 => ("4", Family::V6),
            Family::V6 => ("6", Family::V4),
        };
        for (level, write) in PLACES {
            for (rule, list, expected) in LISTS {
                let input = format!("{rule}: {list} for {family} at {level:?}");
                let lower = format!("b{own}");
                let setup = town().config(family, &[&lower]);
                let setup = write(setup, family, &list.replace('N', own));
                let settled = setup
                    .select()
                    .and_then(|selection| selection.settle(|_| false));
                let selection = match (expected, settled) {
                    ("error", Err(Error::NoPool { families, .. })) => {
                        assert_eq!(families, [family], "{input}");
                        continue;
                    }
                    ("malformed", Err(Error::Malformed { .. })) => continue,
                    (_, Err(error)) => panic!("{input}: {error}"),
                    (_, Ok(selection)) => selection,
                };
                let of = |family| {
                    let choice = selection.families.iter().find(|c| c.family == family);
                    choice.map(|c| (c.level, super::support::names(&c.candidates).join(" ")))
                };
                let wanted = match expected {
                    "left out" => None,
                    "lower" => Some((Level::Config, lower)),
                    pools => Some((level, pools.replace('N', own))),
                };
                assert_eq!(of(family), wanted, "{input}");
                let untouched = Some((
                    Level::Default,
                    if own == "4" { "d6" } else { "d4" }.to_owned(),
                ));
                assert_eq!(of(other), untouched, "{input}: the other family");
            }
        }
    }
}

#[test]
fn a_value_that_names_nothing_leaves_the_choice_to_the_next_level() {
    for nothing in ["{}", "[]", "null", "", " "] {
        let setup = town()
            .pod("ippools", nothing)
            .pod("ippool", nothing)
            .namespace("default-ipv4-ippool", nothing);
        assert_eq!(
            setup.summary(),
            "IPv4 Default: d4; IPv6 Default: d6",
            "{nothing:?}"
        );
    }
}

#[test]
fn an_annotation_that_no_level_comes_to_is_not_judged() {
    let setup = town()
        .pod("ippool", r#"{"ipv4":["a4"],"ipv6":["a6"]}"#)
        .namespace("default-ipv4-ippool", "nonsense")
        .namespace("default-ipv6-ippool", "nonsense");
    assert_eq!(setup.summary(), "IPv4 Pod: a4; IPv6 Pod: a6");
    let setup = town()
        .pod("ippool", r#"{"ipv4":["a4"]}"#)
        .namespace("default-ipv4-ippool", "nonsense");
    assert_eq!(setup.summary(), "IPv4 Pod: a4; IPv6 Default: d6");
}

#[test]
fn pools_that_are_not_named_are_sorted_by_specificity() {
    let default = |mut more: serde_json::Value| {
        more["default"] = true.into();
        more
    };
    let by_label = |label: &str| json!({"matchLabels": {label: "a"}});
    let setup = setup()
        .v4("any-pod", default(json!({})))
        .v4("multus", default(json!({"multusName": ["blue"]})))
        .v4(
            "namespace-labels",
            default(json!({"namespaceAffinity": by_label("team")})),
        )
        .v4(
            "namespace-name",
            default(json!({"namespaceName": ["default"]})),
        )
        .v4(
            "node-labels",
            default(json!({"nodeAffinity": by_label("zone")})),
        )
        .v4("node-name", default(json!({"nodeName": ["n1"]})))
        // Labels count for nothing where names are listed.
        .v4(
            "node-name-2",
            default(json!({"nodeName": ["n1"], "nodeAffinity": by_label("nope")})),
        )
        .v4("pod", default(json!({"podAffinity": by_label("app")})))
        .v4(
            "all-but-pod",
            default(json!({
                "nodeName": ["n1"], "namespaceName": ["default"], "multusName": ["blue"],
            })),
        )
        .v4(
            "pod-and-node",
            default(json!({"podAffinity": by_label("app"), "nodeAffinity": by_label("zone")})),
        )
        .v4("empty-selector", default(json!({"podAffinity": {}})))
        .attached("blue")
        .at("net1")
        .single(Family::V4);
    let lines = setup.summary().replace(' ', "\n");
    insta::assert_snapshot!(lines, @r#"
        IPv4
        Default:
        pod-and-node
        pod
        all-but-pod
        node-name
        node-name-2
        node-labels
        namespace-name
        namespace-labels
        multus
        any-pod
        empty-selector
        "#);
    let explicit = setup.pod("ippool", r#"{"ipv4":["any-pod","multus","pod-and-node"]}"#);
    assert_eq!(explicit.summary(), "IPv4 Pod: any-pod multus pod-and-node");
}

#[test]
fn families_come_as_the_policy_has_it() {
    let v4_only = || setup().v4("d4", json!({"default": true}));
    let error = |setup: Setup| setup.summary().starts_with("error: no ");
    assert_eq!(v4_only().summary(), "IPv4 Default: d4");
    assert_eq!(v4_only().single(Family::V4).summary(), "IPv4 Default: d4");
    assert!(error(v4_only().single(Family::V6)));
    assert!(error(v4_only().requiring_both()));
    assert!(error(setup()));
    assert_eq!(
        town().requiring_both().summary(),
        "IPv4 Default: d4; IPv6 Default: d6"
    );
    let mut six_first = town();
    six_first.request.families.reverse();
    assert_eq!(six_first.summary(), "IPv6 Default: d6; IPv4 Default: d4");
}

#[test]
fn a_pool_named_for_the_other_family_is_no_pool_of_this_one() {
    let setup = town().pod("ippool", r#"{"ipv4":["a4"],"ipv6":["b4"]}"#);
    assert_eq!(setup.summary(), "IPv4 Pod: a4");
    assert!(
        setup
            .requiring_both()
            .summary()
            .contains("IPPool b4 has IPv4 addresses")
    );
}

#[test]
fn the_annotations_of_a_pod_may_be_as_large_as_the_server_takes_them() {
    let list = |count: usize, space: usize| {
        let names: Vec<String> = (1..count).map(|n| format!("\"zone-{n:05}\"")).collect();
        let space = " ".repeat(space);
        format!(r#"{{"ipv4":[{},"a4"{space}]}}"#, names.join(","))
    };
    assert_eq!(
        town().pod("ippool", &list(64, 250_000)).summary(),
        "IPv4 Pod: a4; IPv6 Default: d6"
    );
    for count in [65, 20_000] {
        let lines = town().pod("ippool", &list(count, 0)).summary();
        assert!(lines.contains("a list has at most 64 items"), "{lines}");
    }
}

/// Of a star in a pattern each position may be the right one, and of sixty each combination of
/// them.
#[test]
fn a_pattern_of_many_stars_costs_no_more_than_its_length_times_the_names() {
    let name = "a".repeat(253);
    let stars = format!("[\"{}b\"]", "*a".repeat(120));
    let list = format!(r#"{{"ipv4":{stars}}}"#);
    let setup = setup().v4(&name, json!({})).pod("ippool", &list);
    assert!(setup.summary().contains("create IPPool *a*a"));
}
