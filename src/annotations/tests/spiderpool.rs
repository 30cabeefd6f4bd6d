//! What Go's `encoding/json`, and so Spiderpool and Multus, read without complaint, and beside each
//! its neighbor that is refused.

use proptest::prelude::*;

use super::*;

/// What `ippool` names, else the problem.
fn pool(text: &str) -> Result<String, String> {
    match ippool(&ours("ippool", text)) {
        Ok(found) => Ok(found.map_or_else(String::new, |found| shown(&found.value.pools))),
        Err(error) => Err(error.problem),
    }
}

#[test]
fn a_key_is_read_in_any_case_and_the_last_of_two_counts() {
    for (text, expected) in [
        (r#"{"IPv4":["a"],"IPV6":["b"]}"#, "a / b"),
        (r#"{"ipv4":["a"],"ipv4":["b"]}"#, "b / "),
        (r#"{"ipv4":["a"],"IPv4":["b"]}"#, "b / "),
        (r#"{"ipv4":["a"],"ipv4":[]}"#, " / "),
        (r#"{"ipv4":["a"],"ipv4":null}"#, "a / "),
        (r#"{"Interface":"","ipv4":["a"]}"#, "a / "),
        ("\n{\t\"ipv4\" : [ \"a\" ] }\r\n", "a / "),
    ] {
        assert_eq!(pool(text).as_deref(), Ok(expected), "{text}");
    }
    for text in [
        r#"{"ipv-4":["a"]}"#,
        r#"{"ipv4 ":["a"]}"#,
        r#"{"ipv4Pools":["a"]}"#,
        r#"{"ipv4":["a"],"ipv4":"b"}"#,
        r#"{"ipv4":["a"],"ipv4":7}"#,
        r#"{"ipv4":["a"],}"#,
        "{'ipv4':['a']}",
        "\u{feff}{\"ipv4\":[\"a\"]}",
        "{\"ipv4\":[\"a\"]}\0",
    ] {
        assert!(pool(text).is_err(), "{text}");
    }
}

#[test]
fn cleangateway_is_read_in_any_case() {
    for (key, expected) in [
        ("cleangateway", Ok(Some(true))),
        ("cleanGateway", Ok(Some(true))),
        ("CLEANGATEWAY", Ok(Some(true))),
        (
            "clean_gateway",
            Err("unknown key \"clean_gateway\"; did you mean cleangateway?"),
        ),
        (
            "cleanGatewy",
            Err("unknown key \"cleanGatewy\"; did you mean cleangateway?"),
        ),
    ] {
        let text = format!(r#"[{{"interface":"eth0","{key}":true}}]"#);
        let read = ippools(&ours("ippools", &text));
        let read = read.map(|found| match found.expect("something").value {
            PerInterface::Named(items) => items["eth0"].clean_gateway,
            PerInterface::InOrder(_) => None,
        });
        let read = read.map_err(|error| error.problem);
        assert_eq!(read, expected.map_err(str::to_owned), "{key}");
    }
}

#[test]
fn routes_and_networks_are_read_in_any_case_too() {
    let read = routes(&ours(
        "routes",
        r#"[{"Dst":"10.0.0.0/8","GW":"10.6.0.1","gw":null}]"#,
    ));
    assert_eq!(
        read.expect("well-formed").expect("something").value.len(),
        1
    );
    let text =
        r#"[{"Name":"a","NAMESPACE":"x","interfaceRequest":"net7","mac":1e999,"name":null}]"#;
    let read = networks(&annotated(&[("k8s.v1.cni.cncf.io/networks", text)]));
    let expected = Network {
        namespace: Some("x".into()),
        name: "a".into(),
        interface: Some("net7".into()),
    };
    assert_eq!(read, Ok(vec![expected]));
}

#[test]
fn a_list_costs_at_most_64_items() {
    let list = |n: usize, item: &str| vec![item; n].join(",");
    for n in [65, 40_000] {
        for (name, text) in [
            ("ippool", format!(r#"{{"ipv4":[{}]}}"#, list(n, r#""*""#))),
            ("ippools", format!("[{}]", list(n, "{}"))),
            ("default-ipv4-ippool", format!("[{}]", list(n, r#""*""#))),
            (
                "routes",
                format!("[{}]", list(n, r#"{"dst":"10.0.0.0/8","gw":"10.6.0.1"}"#)),
            ),
        ] {
            assert!(
                refused(name, &text).contains("a list has at most 64 items"),
                "{name}"
            );
        }
    }
    assert!(pool(&format!(r#"{{"ipv4":[{}]}}"#, list(64, r#""*""#))).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_in_a_short_line(
        text in prop_oneof![any::<String>(), "[\\[\\]{}\",:a-z0-9*?/.@ ]{0,60}"],
    ) {
        let pod = annotated(&[
            ("ipam.leasehold.io/ippool", &text),
            ("ipam.spidernet.io/ippools", &text),
            ("ipam.leasehold.io/routes", &text),
            ("k8s.v1.cni.cncf.io/networks", &text),
        ]);
        let errors = [
            ippool(&pod).err(),
            ippools(&pod).err(),
            routes(&pod).err(),
            networks(&pod).err(),
            default_pools(&ours("default-ipv4-ippool", &text), Family::V4).err(),
        ];
        for error in errors.into_iter().flatten() {
            prop_assert!(error.to_string().len() < 1_000, "{}", error);
        }
    }
}
