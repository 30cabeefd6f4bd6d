//! Hostile input: refused by ADD, CHECK, GC and STATUS, tolerated by DEL.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;

use serde_json::json;

use super::super::{Call, Code};
use super::{Said, configuration, page, says};

fn brackets(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// Hostile configurations, each with a kubeconfig that DEL could find.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let with = |ipam: &str| {
        format!(
            r#"{{"cniVersion":"1.1.0","name":"storage","ipam":{{"kubeconfig":"/etc/leasehold/kubeconfig",{ipam}}}}}"#
        )
        .into_bytes()
    };
    let sane = configuration().to_string();
    let mut not_utf8 = sane.clone().into_bytes();
    not_utf8.splice(not_utf8.len() - 1.., *b",\"x\":\"\xff\"}");
    vec![
        ("an unknown key", with(r#""subnet":"10.0.0.0/8""#)),
        ("a wrong type", with(r#""ipv4Pools":"blue""#)),
        ("a huge number", with(r#""timeoutSeconds":1e999"#)),
        (
            "a longer number",
            with(&format!(r#""timeoutSeconds":{}"#, "9".repeat(5_000))),
        ),
        (
            "65 pools",
            with(&format!(r#""ipv4Pools":["*"{}]"#, r#","*""#.repeat(64))),
        ),
        (
            "5,000 levels in a known key",
            with(&format!(r#""vrf":{}"#, brackets(5_000))),
        ),
        (
            "5,000 levels in an unknown key",
            with(&format!(r#""x":{}"#, brackets(5_000))),
        ),
        (
            "5,000 levels in a foreign key",
            sane.replacen('{', &format!(r#"{{"x":{},"#, brackets(5_000)), 1)
                .into_bytes(),
        ),
        (
            "5,000 objects",
            with(&format!(
                r#""x":{}1{}"#,
                r#"{"x":"#.repeat(5_000),
                "}".repeat(5_000)
            )),
        ),
        (
            "100,000 unknown keys",
            with(
                &(0..100_000)
                    .map(|n| format!(r#""{n}":0"#))
                    .collect::<Vec<_>>()
                    .join(","),
            ),
        ),
        ("no end", sane.as_bytes()[..sane.len() - 1].to_vec()),
        ("two documents", format!("{sane}{sane}").into_bytes()),
        ("not UTF-8", not_utf8),
        (
            "10 MB of spaces behind",
            format!("{sane}{}", " ".repeat(10_000_000)).into_bytes(),
        ),
        (
            "10 MB in a foreign key",
            format!(
                r#"{},"z":"{}"}}"#,
                &sane[..sane.len() - 1],
                "z".repeat(10_000_000)
            )
            .into_bytes(),
        ),
        (
            "a kubeconfig and nothing else",
            br#"{"ipam":{"kubeconfig":"/etc/leasehold/kubeconfig"}}"#.to_vec(),
        ),
    ]
}

/// The same, but nothing to be found in them.
fn hopeless() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("nothing", Vec::new()),
        ("white space", b" \n".to_vec()),
        ("not JSON", b"cniVersion: 1.1.0".to_vec()),
        ("a list", b"[]".to_vec()),
        ("a NUL", vec![0]),
        ("only 0xff", vec![0xff; 100]),
        ("5,000 levels", brackets(5_000).into_bytes()),
        ("5,000 levels without end", vec![b'['; 5_000]),
        ("10 MB of brackets", vec![b'{'; 10_000_000]),
        ("10 MB of zeros", vec![b'0'; 10_000_000]),
        ("an ipam that is none", br#"{"ipam":"leasehold"}"#.to_vec()),
    ]
}

#[test]
fn a_hostile_configuration_gets_an_error_object_and_no_panic() {
    for command in ["ADD", "CHECK", "GC", "STATUS"] {
        for (case, stdin) in hostile().into_iter().chain(hopeless()) {
            let refusal = says(command).stdin(stdin).refusal();
            assert!(refusal["code"].as_u64().is_some(), "{command}: {case}");
            assert!(
                refusal.to_string().len() < 1_000,
                "{command}: {case}: {refusal}"
            );
        }
    }
}

#[test]
fn del_finds_the_api_server_in_a_hostile_configuration() {
    for (case, stdin) in hostile() {
        let detach = says("DEL").stdin(stdin).del();
        let kubeconfig = detach.config.kubeconfig.expect(case);
        assert_eq!(
            kubeconfig.to_str(),
            Some("/etc/leasehold/kubeconfig"),
            "{case}"
        );
        assert!(!detach.remarks.is_empty(), "{case}");
        assert!(detach.remarks.len() <= 11, "{case}");
        assert!(
            detach.remarks.iter().all(|line| line.len() < 1_000),
            "{case}"
        );
    }
}

#[test]
fn del_does_without_a_configuration() {
    for (case, stdin) in hopeless() {
        let detach = says("DEL").stdin(stdin).del();
        assert!(!detach.remarks.is_empty(), "{case}");
        assert_eq!(&*detach.container, "4b1d", "{case}");
    }
}

#[test]
fn del_does_without_a_pod_a_namespace_and_a_version() {
    let detach = says("DEL")
        .with("CNI_NETNS", OsString::from_vec(vec![b'/', 0xff]))
        .with("CNI_ARGS", "gibberish")
        .set("/cniVersion", json!("0.0.9"))
        .set("/name", json!("-"))
        .del();
    insta::assert_snapshot!(detach.remarks.join("\n"), @r#"
    ignored: CNI_NETNS is "/�"; expected UTF-8
    ignored: CNI_ARGS has "gibberish"; expected pairs KEY=VALUE, with one "=" in each and ";" between them
    ignored: cniVersion is "0.0.9"; supported are 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0
    ignored: name is "-"; expected a network's name: at most 253 of a-z, A-Z, 0-9, "_", "." and "-", the first a letter or digit
    "#);
}

#[test]
fn stdin_that_is_no_configuration_is_refused() {
    let mut cases: Vec<(&str, Said)> = hopeless()
        .into_iter()
        .map(|(case, stdin)| (case, says("ADD").stdin(stdin)))
        .collect();
    cases.push((
        "10 MB, nearly all right",
        says("ADD").stdin(hostile().swap_remove(13).1),
    ));
    insta::assert_snapshot!(page(cases), @r#"
    nothing:
      6 stdin is empty; expected the network configuration
    white space:
      6 stdin is empty; expected the network configuration
    not JSON:
      6 stdin is not a JSON object; expected value at line 1 column 1
    a list:
      6 stdin is not a JSON object; invalid type: sequence, expected an object at line 1 column 0
    a NUL:
      6 stdin is not a JSON object; expected value at line 1 column 1
    only 0xff:
      6 stdin is not UTF-8; invalid utf-8 sequence of 1 bytes from index 0
    5,000 levels:
      6 stdin is JSON of more than 128 levels; no network configuration is that deep
    5,000 levels without end:
      6 stdin is JSON of more than 128 levels; no network configuration is that deep
    10 MB of brackets:
      7 stdin has more than 1048576 bytes; no network configuration is that long
    10 MB of zeros:
      7 stdin has more than 1048576 bytes; no network configuration is that long
    an ipam that is none:
      7 name is missing; expected a network's name: at most 253 of a-z, A-Z, 0-9, "_", "." and "-", the first a letter or digit
    10 MB, nearly all right:
      7 stdin has more than 1048576 bytes; no network configuration is that long
    "#);
}

#[test]
fn a_stdin_that_breaks_is_an_io_failure_and_no_hindrance_to_del() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the pipe burst"))
        }
    }
    let read = |command| {
        let said = says(command);
        Call::read(|name| said.env.get(name).cloned(), Broken)
    };
    let failure = read("ADD").expect_err("refused");
    assert_eq!(failure.code(), Code::Io);
    assert_eq!(failure.details(), "the pipe burst");
    assert!(matches!(read("DEL"), Ok(Call::Del(_))));
}
