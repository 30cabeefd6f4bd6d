use super::*;
use crate::ip::Family;
use crate::text::both_ends;

mod spiderpool;
mod unserved;

fn annotated(pairs: &[(&str, &str)]) -> Annotations {
    pairs
        .iter()
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect()
}

fn ours(name: &str, text: &str) -> Annotations {
    annotated(&[(&format!("ipam.leasehold.io/{name}"), text)])
}

fn listed(refs: &[PoolRef]) -> String {
    let names: Vec<String> = refs.iter().map(ToString::to_string).collect();
    names.join(" ")
}

fn shown(pools: &PoolLists) -> String {
    format!("{} / {}", listed(&pools.ipv4), listed(&pools.ipv6))
}

/// The message of a value that is refused.
fn refused(name: &str, text: &str) -> String {
    let annotations = ours(name, text);
    let error = match name {
        "ippool" => ippool(&annotations).err(),
        "ippools" => ippools(&annotations).err(),
        "subnet" => subnet(&annotations).err(),
        "subnets" => subnets(&annotations).err(),
        "routes" => routes(&annotations).err(),
        "default-ipv4-ippool" => default_pools(&annotations, Family::V4).err(),
        _ => None,
    };
    error.map_or_else(|| "accepted".to_owned(), |e| e.to_string())
}

#[test]
fn ours_is_read_and_spiderpools_only_where_ours_is_absent() {
    let theirs = ("ipam.spidernet.io/ippool", r#"{"ipv4":["theirs"]}"#);
    let ours = ("ipam.leasehold.io/ippool", r#"{"ipv4":["ours"]}"#);
    let empty = ("ipam.leasehold.io/ippool", "{}");
    let read = |pairs: &[(&str, &str)]| {
        let found = ippool(&annotated(pairs)).expect("well-formed");
        found.map(|found| format!("{}: {}", found.key, listed(&found.value.pools.ipv4)))
    };
    assert_eq!(read(&[]), None);
    assert_eq!(
        read(&[theirs]).as_deref(),
        Some("ipam.spidernet.io/ippool: theirs")
    );
    assert_eq!(
        read(&[ours, theirs]).as_deref(),
        Some("ipam.leasehold.io/ippool: ours")
    );
    assert_eq!(
        read(&[empty, theirs]),
        None,
        "ours is there, and names nothing"
    );
}

#[test]
fn what_names_nothing_is_no_error_in_any_annotation() {
    for text in ["", "  \n", "null", "{}", "[]", " [ ] ", "{\n}"] {
        assert_eq!(ippool(&ours("ippool", text)), Ok(None), "{text:?}");
        assert_eq!(ippools(&ours("ippools", text)), Ok(None), "{text:?}");
        assert_eq!(routes(&ours("routes", text)), Ok(None), "{text:?}");
        let v6 = default_pools(&ours("default-ipv6-ippool", text), Family::V6);
        assert_eq!(v6, Ok(None), "{text:?}");
    }
}

#[test]
fn a_list_of_pools_may_be_left_out_or_null_or_empty() {
    for (text, expected) in [
        (r#"{"ipv4":["a","b"],"ipv6":["c"]}"#, "a b / c"),
        (r#"{"ipv4":["a"]}"#, "a / "),
        (r#"{"ipv4":null,"ipv6":["c"]}"#, " / c"),
        (r#"{"ipv4":[],"ipv6":[]}"#, " / "),
    ] {
        let found = ippool(&ours("ippool", text))
            .expect("well-formed")
            .expect("something");
        assert_eq!(shown(&found.value.pools), expected, "{text}");
        assert_eq!(found.value.interface, None);
    }
    let one = ippool(&ours("ippool", r#"{"interface":"net1","ipv4":["a"]}"#));
    let one = one.expect("well-formed").expect("something");
    assert_eq!(one.value.interface.as_deref(), Some("net1"));
}

#[test]
fn all_items_of_ippools_name_their_interface_or_none_does() {
    let read = |text| {
        ippools(&ours("ippools", text))
            .expect("well-formed")
            .expect("something")
            .value
    };
    let named =
        read(r#"[{"interface":"eth0","ipv4":["a"],"cleangateway":true},{"interface":"net1"}]"#);
    let PerInterface::Named(items) = named else {
        panic!("each item has a name")
    };
    assert_eq!(items.keys().collect::<Vec<_>>(), ["eth0", "net1"]);
    assert_eq!(items["eth0"].clean_gateway, Some(true));
    assert_eq!(items["net1"], ForInterface::default());
    let in_order = read(r#"[{"ipv4":["a"]},{"interface":"","ipv6":["b"]}]"#);
    let PerInterface::InOrder(items) = in_order else {
        panic!("no item has a name")
    };
    let lines: Vec<String> = items.iter().map(|item| shown(&item.pools)).collect();
    assert_eq!(lines, ["a / ", " / b"]);
}

#[test]
fn subnets_are_named_as_pools_are() {
    for prefix in ["ipam.leasehold.io/", "ipam.spidernet.io/"] {
        let of = |name: &str, text| annotated(&[(&format!("{prefix}{name}"), text)]);
        let one = subnet(&of(
            "subnet",
            r#"{"interface":"eth0","IPv4":["a","b"],"ipv6":["c"]}"#,
        ));
        let one = one.expect("well-formed").expect("something");
        assert_eq!(one.key, format!("{prefix}subnet"));
        assert_eq!(one.value.interface.as_deref(), Some("eth0"));
        assert_eq!(shown(&one.value.pools), "subnet/a subnet/b / subnet/c");

        let text = r#"[{"interface":"eth0","ipv4":["a"]},{"interface":"net1","ipv6":["b"]}]"#;
        let each = subnets(&of("subnets", text));
        let PerInterface::Named(items) = each.expect("well-formed").expect("something").value
        else {
            panic!("each item has a name")
        };
        assert_eq!(shown(&items["net1"].pools), " / subnet/b");
    }
    for text in ["", "null", "{}", "[]"] {
        assert_eq!(subnet(&ours("subnet", text)), Ok(None), "{text}");
        assert_eq!(subnets(&ours("subnets", text)), Ok(None), "{text}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_fault_has_its_message_with_annotation_position_and_expectation() {
    let faults = [
        ("ippool", "a,b"),
        ("ippool", r#"{"ipv4":["a"]"#),
        ("ippool", r#"{"ipv4":["a"]} x"#),
        ("ippool", r#"["a"]"#),
        ("ippool", r#"{"ipv4":"a"}"#),
        ("ippool", r#"{"ipv4":["a", 7]}"#),
        ("ippool", r#"{"ipv4":["a", ""]}"#),
        ("ippool", r#"{"ipv4":["my pool"]}"#),
        ("ippool", r#"{"ipv6":["a", "b", "[c"]}"#),
        ("ippool", r#"{"ipv4":["a"],"ipv5":["b"]}"#),
        (
            "ippool",
            &format!(r#"{{"ipv4":["a"{}]}}"#, r#","*""#.repeat(64)),
        ),
        ("ippools", &format!("[{{}}{}]", ",{}".repeat(64))),
        ("routes", r#"[{"gw":"10.6.0.1"}]"#),
        ("subnet", r#"["a"]"#),
        ("subnet", r#"{"ipv4":["rack-*"]}"#),
        ("subnet", r#"{"ipv4":["ns/a"]}"#),
        ("subnet", r#"{"ipv4":"a"}"#),
        ("subnets", r#"{"ipv4":["a"]}"#),
        ("subnets", r#"[["a"]]"#),
        ("ippools", r#"{"ipv4":["a"]}"#),
        ("ippools", r#"["a"]"#),
        ("ippools", r#"[{"interface":"eth0"},{"ipv4":["a"]}]"#),
        ("ippools", r#"[{"ipv4":["a"]},{"interface":"eth0"}]"#),
        ("ippools", r#"[{"interface":"eth0"},{"interface":"eth0"}]"#),
        ("ippools", r#"[{"interface":"eth0","cleangateway":"yes"}]"#),
        ("default-ipv4-ippool", r#"{"ipv4":["a"]}"#),
        ("default-ipv4-ippool", r#""a""#),
        ("routes", r#"[{"dst":"10.0.0.0","gw":"10.6.0.1"}]"#),
        ("routes", r#"[{"dst":"10.0.0.0/8","gw":"router"}]"#),
        ("routes", r#"[{"dst":"10.0.0.0/8","gw":"fd00::1"}]"#),
        ("routes", r#"[{"dst":"10.0.0.0/8"}]"#),
        (
            "routes",
            r#"[{"dst":"10.0.0.0/8","gw":"10.6.0.1","metric":7}]"#,
        ),
    ];
    let lines: Vec<String> = faults
        .iter()
        .map(|(name, text)| format!("{}\n    {}", both_ends(text), refused(name, text)))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
        a,b
            annotation ipam.leasehold.io/ippool at $ (line 1, column 1): expected value; for example {"ipv4":["a","b"],"ipv6":["c"]}
        {"ipv4":["a"]
            annotation ipam.leasehold.io/ippool at $ (line 1, column 13): EOF while parsing an object; for example {"ipv4":["a","b"],"ipv6":["c"]}
        {"ipv4":["a"]} x
            annotation ipam.leasehold.io/ippool at $ (line 1, column 16): trailing characters; for example {"ipv4":["a","b"],"ipv6":["c"]}
        ["a"]
            annotation ipam.leasehold.io/ippool at $ (line 1, column 1): invalid type: sequence, expected an object: the pools of each family; for example {"ipv4":["a","b"],"ipv6":["c"]}
        {"ipv4":"a"}
            annotation ipam.leasehold.io/ippool at $.ipv4 (line 1, column 11): invalid type: string "a", expected a list of names of pools; for example {"ipv4":["a","b"],"ipv6":["c"]}
        {"ipv4":["a", 7]}
            annotation ipam.leasehold.io/ippool at $.ipv4[1] (line 1, column 15): invalid type: integer `7`, expected a string; for example {"ipv4":["a","b"],"ipv6":["c"]}
        {"ipv4":["a", ""]}
            annotation ipam.leasehold.io/ippool at $.ipv4[1] (line 1, column 17): "" is not the name of a pool: a-z, 0-9, "-" and ".", or a pattern with *, ? and […]; for example {"ipv4":["a","b"],"ipv6":["c"]}
        {"ipv4":["my pool"]}
            annotation ipam.leasehold.io/ippool at $.ipv4[0] (line 1, column 19): "my pool" is not the name of a pool: a-z, 0-9, "-" and ".", or a pattern with *, ? and […]; for example {"ipv4":["a","b"],"ipv6":["c"]}
        {"ipv6":["a", "b", "[c"]}
            annotation ipam.leasehold.io/ippool at $.ipv6[2] (line 1, column 24): "[c" is not a pattern: invalid range pattern; for example {"ipv4":["a","b"],"ipv6":["c"]}
        {"ipv4":["a"],"ipv5":["b"]}
            annotation ipam.leasehold.io/ippool at $.ipv5 (line 1, column 21): unknown key "ipv5"; did you mean ipv4?; for example {"ipv4":["a","b"],"ipv6":["c"]}
        {"ipv4":["a","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*"…*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*","*"]}
            annotation ipam.leasehold.io/ippool at $.ipv4 (line 1, column 269): a list has at most 64 items; for example {"ipv4":["a","b"],"ipv6":["c"]}
        [{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{…},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]
            annotation ipam.leasehold.io/ippools at $ (line 1, column 196): a list has at most 64 items; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
        [{"gw":"10.6.0.1"}]
            annotation ipam.leasehold.io/routes at $[0] (line 1, column 18): missing field `dst`; for example [{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]
        ["a"]
            annotation ipam.leasehold.io/subnet at $ (line 1, column 1): invalid type: sequence, expected an object: the Subnets of each family; for example {"ipv4":["a"],"ipv6":["b"]}
        {"ipv4":["rack-*"]}
            annotation ipam.leasehold.io/subnet at $.ipv4[0] (line 1, column 18): "rack-*" is not the name of a Subnet: a-z, 0-9, "-" and "."; for example {"ipv4":["a"],"ipv6":["b"]}
        {"ipv4":["ns/a"]}
            annotation ipam.leasehold.io/subnet at $.ipv4[0] (line 1, column 16): "ns/a" is not the name of a Subnet: a-z, 0-9, "-" and "."; for example {"ipv4":["a"],"ipv6":["b"]}
        {"ipv4":"a"}
            annotation ipam.leasehold.io/subnet at $.ipv4 (line 1, column 11): invalid type: string "a", expected a list of names of Subnets; for example {"ipv4":["a"],"ipv6":["b"]}
        {"ipv4":["a"]}
            annotation ipam.leasehold.io/subnets at $ (line 1, column 1): invalid type: map, expected a list of objects; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
        [["a"]]
            annotation ipam.leasehold.io/subnets at $[0] (line 1, column 1): invalid type: sequence, expected an object: the Subnets of an interface; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
        {"ipv4":["a"]}
            annotation ipam.leasehold.io/ippools at $ (line 1, column 1): invalid type: map, expected a list of objects; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
        ["a"]
            annotation ipam.leasehold.io/ippools at $[0] (line 1, column 4): invalid type: string "a", expected an object: the pools of an interface; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
        [{"interface":"eth0"},{"ipv4":["a"]}]
            annotation ipam.leasehold.io/ippools at $[1].interface: either all items name their interface, or none does; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
        [{"ipv4":["a"]},{"interface":"eth0"}]
            annotation ipam.leasehold.io/ippools at $[1].interface: either all items name their interface, or none does; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
        [{"interface":"eth0"},{"interface":"eth0"}]
            annotation ipam.leasehold.io/ippools at $[1].interface: interface "eth0" is listed twice; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
        [{"interface":"eth0","cleangateway":"yes"}]
            annotation ipam.leasehold.io/ippools at $[0].cleangateway (line 1, column 41): invalid type: string "yes", expected a boolean; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
        {"ipv4":["a"]}
            annotation ipam.leasehold.io/default-ipv4-ippool at $ (line 1, column 1): invalid type: map, expected a list of names of pools; for example ["a","b"]
        "a"
            annotation ipam.leasehold.io/default-ipv4-ippool at $ (line 1, column 3): invalid type: string "a", expected a list of names of pools; for example ["a","b"]
        [{"dst":"10.0.0.0","gw":"10.6.0.1"}]
            annotation ipam.leasehold.io/routes at $[0].dst (line 1, column 18): "10.0.0.0" is not a CIDR; for example [{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]
        [{"dst":"10.0.0.0/8","gw":"router"}]
            annotation ipam.leasehold.io/routes at $[0].gw (line 1, column 35): "router" is not an address; for example [{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]
        [{"dst":"10.0.0.0/8","gw":"fd00::1"}]
            annotation ipam.leasehold.io/routes at $[0]: 10.0.0.0/8 and fd00::1 are of two address families; for example [{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]
        [{"dst":"10.0.0.0/8"}]
            annotation ipam.leasehold.io/routes at $[0] (line 1, column 21): missing field `gw`; for example [{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]
        [{"dst":"10.0.0.0/8","gw":"10.6.0.1","metric":7}]
            annotation ipam.leasehold.io/routes at $[0].metric (line 1, column 46): unknown key "metric"; known are dst, gw; for example [{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]
        "#);
}

#[test]
fn a_message_stays_short_whatever_was_written() {
    let long = "x".repeat(250_000);
    for text in [
        format!(r#"{{"ipv4":"{long}"}}"#),
        format!(r#"{{"ipv4":["{long} {long}"]}}"#),
        format!(r#"{{"{long}":[]}}"#),
        format!(r#"{{"ipv4":["{}"]}}"#, "é".repeat(100_000)),
        "[".repeat(250_000),
    ] {
        let message = refused("ippool", &text);
        assert!(message.len() < 600, "{message}");
        assert!(message.contains("ipam.leasehold.io/ippool"), "{message}");
    }
}

#[test]
fn a_pattern_is_one_of_the_shell() {
    let matches = |pattern: &str, name: &str| match pattern.parse::<PoolRef>().expect("a pattern") {
        PoolRef::Name(_) => panic!("{pattern} is a name"),
        PoolRef::Pattern(wildcard) => wildcard.matches(&name.into()),
    };
    for (pattern, hits, misses) in [
        ("*", vec!["a", "a.b-c"], vec![]),
        (
            "zone-?",
            vec!["zone-a"],
            vec!["zone-", "zone-ab", "azone-b"],
        ),
        ("zone-[ab]", vec!["zone-a", "zone-b"], vec!["zone-c"]),
        ("zone-[a-c]*", vec!["zone-a", "zone-c7"], vec!["zone-d"]),
        ("zone-[!a]", vec!["zone-b"], vec!["zone-a"]),
        ("zone-[^a]", vec!["zone-b"], vec!["zone-a"]),
        ("*.blue", vec!["a.blue"], vec!["blue", "a.blue.b"]),
    ] {
        for name in hits {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for name in misses {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
    for bad in ["", "[", "a]", "[]", "a**b", "A", "a/b", "ä", "a b", "a!"] {
        assert!(bad.parse::<PoolRef>().is_err(), "{bad:?}");
    }
}

#[test]
fn networks_are_read_in_both_forms() {
    let read = |text: &str| {
        let annotations = annotated(&[("k8s.v1.cni.cncf.io/networks", text)]);
        match networks(&annotations) {
            Err(error) => error.to_string(),
            Ok(networks) => {
                let lines = networks.iter().map(|n| {
                    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
                    format!("{}/{}@{}", or(&n.namespace), n.name, or(&n.interface))
                });
                lines.collect::<Vec<_>>().join(" ")
            }
        }
    };
    for (text, expected) in [
        ("", ""),
        ("a", "-/a@-"),
        ("a, x/b@net7 ,c@eth1", "-/a@- x/b@net7 -/c@eth1"),
        ("[]", ""),
        (
            r#"[{"name":"a","ips":["10.0.0.1/24"],"mac":"02:00:00:00:00:01"},{"name":"b","namespace":"x","interface":"net7"}]"#,
            "-/a@- x/b@net7",
        ),
        (r#"[{"name":"a","interfaceRequest":"net7"}]"#, "-/a@net7"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    insta::assert_snapshot!(read("a,b/c/d"), @r#"annotation k8s.v1.cni.cncf.io/networks at item 2: expected [namespace/]name[@interface], found "b/c/d"; for example a,ns/b@net7 or [{"name":"b","namespace":"ns","interface":"net7"}]"#);
    insta::assert_snapshot!(read("a,@net1"), @r#"annotation k8s.v1.cni.cncf.io/networks at item 2: expected [namespace/]name[@interface], found "@net1"; for example a,ns/b@net7 or [{"name":"b","namespace":"ns","interface":"net7"}]"#);
    insta::assert_snapshot!(read(r#"[{"namespace":"x"}]"#), @r#"annotation k8s.v1.cni.cncf.io/networks at $[0] (line 1, column 18): missing field `name`; for example a,ns/b@net7 or [{"name":"b","namespace":"ns","interface":"net7"}]"#);
    insta::assert_snapshot!(read(r#"[{"name":"a"}"#), @r#"annotation k8s.v1.cni.cncf.io/networks at $ (line 1, column 13): EOF while parsing a list; for example a,ns/b@net7 or [{"name":"b","namespace":"ns","interface":"net7"}]"#);
}

#[test]
fn a_route_of_the_pod_may_be_a_default_route_and_host_bits_do_not_count() {
    let read = routes(&ours(
        "routes",
        r#"[{"dst":"0.0.0.0/0","gw":"10.6.0.1"},{"dst":"fd00::1/64","gw":"fd01::1"}]"#,
    ));
    let found = read.expect("well-formed").expect("something");
    let lines: Vec<String> = found
        .value
        .iter()
        .map(|r| format!("{} {}", r.dst, r.gw))
        .collect();
    assert_eq!(lines, ["0.0.0.0/0 10.6.0.1", "fd00::/64 fd01::1"]);
}

#[test]
fn the_interface_of_the_default_route_is_plain_text() {
    let read = |text| default_route_nic(&ours("default-route-nic", text)).map(|found| found.value);
    assert_eq!(read(" net1\n").as_deref(), Some("net1"));
    assert_eq!(read(" "), None);
    assert_eq!(default_route_nic(&Annotations::new()), None);
}
