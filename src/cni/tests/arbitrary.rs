//! Any input: no panic, and an answer of ours. Any stdin and any `CNI_ARGS` are for `fuzz/`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;
use serde_json::Value;

use super::super::Call;
use super::super::document::Document;
use super::{Said, configuration, says};

fn commands() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"])
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..200)
}

/// A good text with a stretch of it replaced: bad ones that get further than noise does.
fn damaged(good: String) -> impl Strategy<Value = Vec<u8>> {
    let good = good.into_bytes();
    let scrap = prop_oneof![
        bytes(),
        "[{}\\[\\]\",:0-9a-z;=./\\\\-]{0,12}".prop_map(String::into_bytes),
    ];
    (0..good.len(), 0..40_usize, scrap).prop_map(move |(start, len, scrap)| {
        let end = (start + len).min(good.len());
        [&good[..start], &scrap, &good[end..]].concat()
    })
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A call or one line of JSON, and for DEL always a call.
fn is_answered(said: &Said) {
    if said.read().is_err() {
        assert_ne!(said.env["CNI_COMMAND"], "DEL");
        assert!(said.refusal()["code"].is_u64());
    }
}

proptest! {
    #[test]
    fn any_environment_is_answered(
        variable in prop::sample::select(vec!["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]),
        command in commands(),
        value in bytes(),
    ) {
        let said = says(command).with(variable, OsString::from_vec(value));
        if said.read().is_err() {
            prop_assert!(said.refusal()["code"].is_u64());
        }
    }

    #[test]
    fn any_ipam_is_answered(command in commands(), ipam in json()) {
        is_answered(&says(command).set("/ipam", ipam));
    }

    #[test]
    fn any_earlier_result_is_answered(command in commands(), result in json()) {
        is_answered(&says(command).set("/prevResult", result));
    }

    #[test]
    fn keys_of_other_plugins_do_not_matter(
        key in prop_oneof![
            prop::sample::select(vec!["type", "dns", "ipMasq", "gateway", "interface", "capabilities", "prevResult", "mtu"])
                .prop_map(str::to_owned),
            "[a-z]{1,3}",
        ],
        value in json(),
    ) {
        let said = says("ADD").set(&format!("/{key}"), value);
        prop_assert_eq!(said.add(), says("ADD").add());
    }

    #[test]
    fn a_document_is_whole_or_says_what_is_wrong(bytes in damaged(configuration().to_string())) {
        let (_, fault) = Document::parse(&bytes, None).salvaged();
        let is_object = serde_json::from_slice::<Value>(&bytes).is_ok_and(|value| value.is_object());
        prop_assert!(is_object || fault.is_some());
    }
}

#[test]
fn a_key_of_another_plugin_may_be_a_number_that_does_not_exist() {
    let stdin = configuration()
        .to_string()
        .replacen('{', r#"{"mtu":1e999,"#, 1);
    assert!(matches!(says("ADD").stdin(stdin).read(), Ok(Call::Add(_))));
}
