//! Input that makes no sense: a process that gets it answers with an error object, or with a DEL
//! that works all the same.

mod kubeconfigs;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::{Attachment, Outcome};

use crate::env::{Isolation, TestEnv};

/// Configurations, each with what it is, made of a sane one.
fn configurations(sane: &Value) -> Vec<(&'static str, Vec<u8>)> {
    let text = sane.to_string();
    let with = |key: &str, value: Value| {
        let mut config = sane.clone();
        config["ipam"][key] = value;
        config.to_string().into_bytes()
    };
    // Values that no JSON library would write.
    let raw = |value: &str| with("vrf", json!("@")).replace_once(b"\"@\"", value.as_bytes());
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let large = format!(
        "{},\"z\":\"{}\"}}",
        &text[..text.len() - 1],
        "z".repeat(10_000_000)
    );
    vec![
        ("an unknown key", with("subnet", json!("10.0.0.0/8"))),
        ("a wrong type", with("ipv4Pools", json!("blue"))),
        ("a huge number", with("timeoutSeconds", json!(1e300))),
        ("a number too large for any type", raw("1e999")),
        ("65 pools", with("ipv4Pools", json!(vec!["*"; 65]))),
        ("nested 5,000 deep", raw(&deep)),
        ("not UTF-8", raw("\"@\"").replace_once(b"@", b"\xff\xfe")),
        ("10 MB", large.into_bytes()),
        ("cut off", text.as_bytes()[..text.len() - 1].to_vec()),
        ("two of them", format!("{text}{text}").into_bytes()),
        ("not JSON", b"cniVersion: 1.1.0\nipam: {}\n".to_vec()),
        ("nothing", Vec::new()),
        ("only 5,000 brackets", vec![b'['; 5_000]),
        ("only 0xff", vec![0xff; 1_000]),
    ]
}

trait ReplaceOnce {
    fn replace_once(self, from: &[u8], to: &[u8]) -> Vec<u8>;
}

impl ReplaceOnce for Vec<u8> {
    fn replace_once(mut self, from: &[u8], to: &[u8]) -> Vec<u8> {
        if let Some(at) = self.windows(from.len()).position(|window| window == from) {
            self.splice(at..at + from.len(), to.iter().copied());
        }
        self
    }
}

/// `CNI_ARGS` that no runtime sends.
fn args() -> Vec<OsString> {
    let long = format!("K8S_POD_NAME={}", "x".repeat(100_000));
    let texts = [
        "K8S_POD_NAMESPACE",
        "K8S_POD_NAME=a=b",
        ";;",
        "K8S_POD_NAMESPACE=../..;K8S_POD_NAME=web",
        "K8S_POD_NAMESPACE=a;K8S_POD_NAME=web%00;IgnoreUnknown=1",
        "K8S_POD_NAMESPACE=a;K8S_POD_NAME=web;IP=everything",
        "K8S_POD_NAMESPACE=a;K8S_POD_NAME=web;UNKNOWN=1",
        "IgnoreUnknown=perhaps",
        &long,
    ];
    let mut all: Vec<OsString> = texts.into_iter().map(OsString::from).collect();
    all.push(OsString::from_vec(b"K8S_POD_NAME=\xff".to_vec()));
    all
}

/// An error object with a code, at once, in one line, and without a panic.
fn refused(case: &str, outcome: &Outcome) -> Result<u64> {
    let code = outcome
        .error_code()
        .with_context(|| format!("{case}: {outcome}"))?;
    let fits = outcome.code == Some(1)
        && outcome.elapsed < Duration::from_secs(5)
        && outcome.stdout.lines().count() == 1
        && outcome.stdout.len() < 1_000
        && outcome.stderr.is_empty();
    ensure!(fits, "{case}: {outcome}");
    Ok(code)
}

/// A pod's first interface, attached.
async fn attached() -> Result<(TestEnv, Attachment)> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=100)).await?;
    let (_, eth0) = env.pod_on("web", &pool).await?;
    Ok((env, eth0))
}

#[tokio::test]
async fn a_hostile_configuration_is_refused() -> Result<()> {
    let (env, eth0) = attached().await?;
    for (case, stdin) in configurations(eth0.config()) {
        for command in ["ADD", "CHECK", "GC", "STATUS"] {
            let outcome = eth0.call(command)?.stdin(stdin.clone()).run().await?;
            let code = refused(&format!("{command}: {case}"), &outcome)?;
            ensure!(
                matches!(code, 1 | 2 | 6 | 7),
                "{command}: {case}: {outcome}"
            );
        }
    }
    assert_eq!(env.leases().await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn del_lives_with_a_hostile_configuration_and_releases_where_it_finds_the_api_server()
-> Result<()> {
    let (env, eth0) = attached().await?;
    let mut released = 0;
    for (case, stdin) in configurations(eth0.config()) {
        eth0.add().await?.success()?;
        let outcome = eth0.call("DEL")?.stdin(stdin.clone()).run().await?;
        ensure!(
            outcome.succeeded() && outcome.stdout.is_empty() && !outcome.stderr.is_empty(),
            "{case}: {outcome}"
        );
        let kubeconfig = eth0.config()["ipam"]["kubeconfig"].to_string();
        let names_it = str::from_utf8(&stdin).is_ok_and(|text| text.contains(&kubeconfig));
        let held = env.held().await?.len();
        ensure!(held == usize::from(!names_it), "{case}: {outcome}");
        released += usize::from(names_it);
    }
    assert_eq!(released, 9);
    Ok(())
}

#[tokio::test]
async fn malformed_args_are_refused_and_del_does_not_need_them() -> Result<()> {
    let (env, eth0) = attached().await?;
    for args in args() {
        let case = format!("{:.60?}", args.to_string_lossy());
        let outcome = eth0.call("ADD")?.env("CNI_ARGS", &args).run().await?;
        assert_eq!(refused(&case, &outcome)?, 4, "{case}: {outcome}");
        eth0.add().await?.success()?;
        let outcome = eth0.call("DEL")?.env("CNI_ARGS", &args).run().await?;
        ensure!(outcome.succeeded(), "{case}: {outcome}");
        ensure!(env.held().await?.is_empty(), "{case}: {outcome}");
    }
    Ok(())
}

#[tokio::test]
async fn an_environment_that_does_not_say_what_is_meant_is_refused_even_in_a_del() -> Result<()> {
    let (_stage, eth0) = attached().await?;
    let long = "x".repeat(100_000);
    let not_utf8 = OsString::from_vec(vec![0xff]);
    for command in ["ADD", "CHECK", "DEL"] {
        for (name, value) in [
            ("CNI_CONTAINERID", OsString::new()),
            ("CNI_CONTAINERID", "../../etc/passwd".into()),
            ("CNI_CONTAINERID", "a b".into()),
            ("CNI_CONTAINERID", long.clone().into()),
            ("CNI_CONTAINERID", not_utf8.clone()),
            ("CNI_IFNAME", OsString::new()),
            ("CNI_IFNAME", "..".into()),
            ("CNI_IFNAME", "eth0/../..".into()),
            ("CNI_IFNAME", "sixteen-letters-".into()),
            ("CNI_IFNAME", "a\nb".into()),
            ("CNI_IFNAME", not_utf8.clone()),
            ("CNI_COMMAND", "add".into()),
            ("CNI_COMMAND", long.clone().into()),
            ("CNI_COMMAND", not_utf8.clone()),
        ] {
            let case = format!("{command}: {name}={:.60?}", value.to_string_lossy());
            let outcome = eth0.call(command)?.env(name, &value).run().await?;
            assert_eq!(refused(&case, &outcome)?, 4, "{case}: {outcome}");
            ensure!(outcome.stdout.contains(name), "{case}: {outcome}");
        }
    }
    let outcome = eth0.call("ADD")?.env("CNI_NETNS", "").run().await?;
    assert_eq!(refused("no namespace", &outcome)?, 4);
    let nothing = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"];
    let call = nothing
        .iter()
        .fold(eth0.call("ADD")?, |call, name| call.without_env(name));
    let outcome = call.run().await?;
    refused("nothing", &outcome)?;
    let names_all = nothing.iter().all(|name| outcome.stdout.contains(name));
    ensure!(names_all, "{outcome}");
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_is_none_is_a_sandbox_that_is_gone() -> Result<()> {
    let (env, eth0) = attached().await?;
    for path in ["/etc/passwd", "/nowhere", "relative", "/", "\u{1}"] {
        let outcome = eth0.call("ADD")?.env("CNI_NETNS", path).run().await?;
        assert_eq!(refused(path, &outcome)?, 104, "{path}: {outcome}");
    }
    assert_eq!(env.leases().await?.len(), 0);
    Ok(())
}
