//! What Go's `encoding/json`, libcni and the interface plugins read without complaint, and beside
//! each its neighbor that they or we refuse.

use rscni_types::version::SpecVersion;
use serde_json::json;

use super::super::{Call, Config, FamilyPolicy};
use super::{Said, addresses, configuration, says};
use crate::ip::Family;

/// The `ipam` object of a call, read; else the key and the problem.
fn ipam(text: &str) -> Result<Config, String> {
    let stdin = configuration()
        .to_string()
        .replace(&configuration()["ipam"].to_string(), text);
    config(&says("ADD").stdin(stdin))
}

fn config(said: &Said) -> Result<Config, String> {
    match said.read() {
        Ok(Call::Add(add)) => Ok(add.config),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.msg().to_owned()),
    }
}

#[test]
fn a_key_is_read_in_any_case_and_the_last_of_two_counts() {
    let blue = Config {
        ipv4_pools: vec!["blue".into()],
        ..Config::default()
    };
    for text in [
        r#"{"ipv4Pools":["blue"]}"#,
        r#"{"IPV4POOLS":["blue"]}"#,
        r#"{"ipv4pools":["blue"]}"#,
        r#"{"ipv4Poolſ":["blue"]}"#,
        r#"{"ipv4Pools":["blue"]}"#,
        r#"{"ipv4Pools":["red"],"ipv4Pools":["blue"]}"#,
        r#"{"ipv4Pools":["red"],"IPv4Pools":["blue"]}"#,
        r#"{"IPv4Pools":"no list","ipv4Pools":["blue"]}"#,
        r#"{"ipv4Pools":["blue"],"ipv4pools":null}"#,
        r#"{"TYPE":"leasehold","ipv4Pools":["blue"]}"#,
    ] {
        assert_eq!(ipam(text), Ok(blue.clone()), "{text}");
    }
    for text in [
        r#"{"ipv4Pool":["blue"]}"#,
        r#"{"ipv4_pools":["blue"]}"#,
        r#"{"ipv4Pools ":["blue"]}"#,
        r#"{"ipv4-Pools":["blue"]}"#,
        r#"{"ípv4Pools":["blue"]}"#,
    ] {
        let refusal = ipam(text).expect_err("an unknown key");
        assert!(refusal.ends_with("did you mean ipv4Pools?"), "{refusal}");
    }
    assert!(ipam(r#"{"ipv4Pools":["blue"],"IPv4Pools":"no list"}"#).is_err());
}

#[test]
fn what_is_empty_says_what_an_absent_key_says() {
    for text in [
        "{}",
        r#"{"ipv4Pools":[],"ipv6Pools":[ ]}"#,
        r#"{"ipFamilies":[],"ipFamilyPolicy":""}"#,
        r#"{"kubeconfig":"","metricsDir":"","vrf":""}"#,
        r#"{"ipv4Pools":null,"kubeconfig":null,"timeoutSeconds":null,"unheardOf":null}"#,
    ] {
        assert_eq!(ipam(text), Ok(Config::default()), "{text}");
    }
    let single = Config {
        policy: FamilyPolicy::SingleStack,
        families: vec![Family::V4],
        ..Config::default()
    };
    let text = r#"{"ipFamilies":[],"ipFamilyPolicy":"SingleStack"}"#;
    assert_eq!(ipam(text), Ok(single));
    for text in [
        r#"{"ipv4Pools":[""]}"#,
        r#"{"ipv4Pools":{}}"#,
        r#"{"ipv4Pools":""}"#,
        r#"{"ipv4Pools":[null]}"#,
        r#"{"ipFamilies":[""]}"#,
        r#"{"ipFamilies":{}}"#,
        r#"{"ipFamilyPolicy":" "}"#,
        r#"{"kubeconfig":" "}"#,
        r#"{"kubeconfig":[]}"#,
        r#"{"timeoutSeconds":0}"#,
        r#"{"timeoutSeconds":"7"}"#,
        r#"{"timeoutSeconds":7.0}"#,
        r#"{"cleanGateway":1}"#,
        r#"{"cleanGateway":""}"#,
        r#"{"unheardOf":false}"#,
    ] {
        assert!(ipam(text).is_err(), "{text}");
    }
}

#[test]
fn a_list_has_at_most_64_items() {
    let list = |n: usize| format!(r#"{{"ipv4Pools":[{}]}}"#, vec![r#""*""#; n].join(","));
    assert_eq!(
        ipam(&list(64)).map(|config| config.ipv4_pools.len()),
        Ok(64)
    );
    for n in [65, 40_000] {
        assert!(ipam(&list(n)).is_err());
    }
}

#[test]
fn the_keys_of_the_whole_document_are_read_in_any_case_too() {
    let stdin = r#"{"CNIVersion":"0.4.0","NAME":"storage","Type":"macvlan",
        "Ipam":{"Type":"leasehold"},"RuntimeConfig":{"IPS":["10.0.0.9/24"]}}"#;
    let add = says("ADD").stdin(stdin).add();
    assert_eq!(add.version, SpecVersion::new(0, 4, 0));
    assert_eq!(add.network, "storage");
    assert_eq!(add.requested, addresses(&["10.0.0.9"]));
    let args = says("ADD").set("/ARGS", json!({"CNI": {"Ips": ["10.0.0.9"]}}));
    assert_eq!(args.add().requested, addresses(&["10.0.0.9"]));
    let check = says("CHECK").unset("prevResult");
    let check = check.set("/PrevResult", json!({"IPs": [{"Address": "10.0.0.8/24"}]}));
    assert_eq!(check.check().previous, addresses(&["10.0.0.8"]));
    let gc = says("GC").set(
        "/cni.dev~1valid-attachments",
        json!([{"CONTAINERID": "4b1d", "IfName": "net1"}]),
    );
    assert_eq!(gc.gc().valid, says("GC").gc().valid);
}

#[test]
fn no_version_is_the_first_one() {
    for said in [
        says("ADD").unset("cniVersion"),
        says("ADD").set("/cniVersion", json!("")),
        says("ADD").set("/cniVersion", json!(null)),
    ] {
        assert_eq!(said.add().version, SpecVersion::new(0, 1, 0));
    }
    // Which has neither CHECK nor GC nor STATUS.
    for command in ["CHECK", "GC", "STATUS"] {
        let refusal = says(command).unset("cniVersion").refusal();
        assert_eq!(
            (&refusal["code"], &refusal["cniVersion"]),
            (&json!(1), &json!("0.1.0"))
        );
    }
    let del = says("DEL").unset("cniVersion").del();
    assert_eq!(
        (del.version, del.remarks),
        (SpecVersion::new(0, 1, 0), Vec::new())
    );
}

#[test]
fn white_space_may_surround_the_document_and_nothing_else_may() {
    let sane = configuration().to_string();
    let around = |before: &str, after: &str| says("ADD").stdin(format!("{before}{sane}{after}"));
    for (before, after) in [("", "\n"), (" \t\r\n", ""), ("\n\n", " \r\n\t")] {
        assert_eq!(around(before, after).add(), says("ADD").add());
    }
    for (before, after) in [
        ("\u{feff}", ""),
        ("", "\0"),
        ("\0", ""),
        ("", "}"),
        ("", ","),
        ("", "{}"),
        ("---\n", ""),
        ("// a remark\n", ""),
        ("\u{a0}", ""),
        ("", "\u{feff}"),
    ] {
        let refusal = around(before, after).refusal();
        assert_eq!(refusal["code"], 6, "{before:?} {after:?}");
    }
    let mark = around("\u{feff}", "").refusal();
    assert_eq!(
        mark["msg"],
        "stdin begins with a byte order mark; save the configuration as UTF-8 without one"
    );
}

#[test]
fn a_foreign_key_may_hold_what_go_reads() {
    for foreign in [
        r#""\ud800":1"#,
        r#""a":"\ud800""#,
        r#""mtu":1e999"#,
        r#""a":-0"#,
        r#""":{}"#,
        r#""a":"\u0000""#,
    ] {
        let stdin = configuration()
            .to_string()
            .replacen('{', &format!("{{{foreign},"), 1);
        assert_eq!(
            says("ADD").stdin(stdin).add(),
            says("ADD").add(),
            "{foreign}"
        );
    }
    for foreign in [
        "\"a\nb\":1",
        "\"a\":\"\n\"",
        r#""a":01"#,
        r#""a":+1"#,
        "'a':1",
        r#""a":NaN"#,
        r#""a":"\x41""#,
    ] {
        let stdin = configuration()
            .to_string()
            .replacen('{', &format!("{{{foreign},"), 1);
        assert_eq!(says("ADD").stdin(stdin).refusal()["code"], 6, "{foreign}");
    }
}

#[test]
fn an_address_of_another_interface_is_another_plugins() {
    let result = json!({
        "interfaces": [
            {"name": "cni0"},
            {"name": "net1", "sandbox": "/var/run/netns/cni-1"},
            {"name": "lo", "sandbox": "/var/run/netns/cni-1"},
        ],
        "ips": [
            {"address": "10.0.0.7/24", "interface": 1},
            {"address": "127.0.0.1/8", "interface": 2},
            {"address": "fd00::7/64"},
            {"address": "10.9.0.1/24", "interface": 0},
            {"address": "10.9.0.2/24", "interface": 7},
            {"address": "10.9.0.3/24", "interface": -1},
        ],
    });
    let expected = addresses(&["10.0.0.7", "fd00::7", "10.9.0.1", "10.9.0.2", "10.9.0.3"]);
    let check = says("CHECK").set("/prevResult", result.clone()).check();
    assert_eq!(check.previous, expected);
    let del = says("DEL").set("/prevResult", result).del();
    assert_eq!(del.previous, Some(expected));
}
