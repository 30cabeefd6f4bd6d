//! What libcni and the main plugins, which are written in Go, pass on without complaint.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::PLUGIN;
use crate::env::Isolation;

#[tokio::test]
async fn a_configuration_is_read_as_go_reads_it() -> Result<()> {
    let env = Isolation::vrf("lenient").start().await?;
    env.pool_of("lenient-blue", "10.1.0.0/24", json!({}))
        .await?;
    env.pool_of("lenient-default", "10.2.0.0/24", json!({"default": true}))
        .await?;
    let pod = env.pod("pod").create().await?;
    let eth0 = env.eth0(&pod)?;
    let ipam = serde_json::to_string(&eth0.config()["ipam"])?;
    let with = |text: &str| ipam.replacen('{', &format!("{{{text},"), 1);
    for (text, expected) in [
        (r#""ipv4Pools":["lenient-blue"]"#, "lenient-blue"),
        (r#""IPV4POOLS":["lenient-blue"]"#, "lenient-blue"),
        (
            r#""ipv4Pools":["gone"],"ipv4Pools":["lenient-blue"]"#,
            "lenient-blue",
        ),
        (
            r#""ipv4Pools":["gone"],"IPv4Pools":["lenient-blue"]"#,
            "lenient-blue",
        ),
        (r#""ipv4Pools":[],"ipv6Pools":null"#, "lenient-default"),
        (r#""ipFamilies":[],"ipFamilyPolicy":"""#, "lenient-default"),
    ] {
        let stdin = eth0.config().to_string();
        let stdin = stdin.replace(&ipam, &with(text));
        let added = eth0.call("ADD")?.stdin(stdin.into_bytes()).run().await?;
        assert_eq!(env.pools_of(&added).await?, expected, "{text}");
        eth0.del().await?.success()?;
    }
    for text in [
        r#""ipv4Pool":["lenient-blue"]"#,
        r#""ipv4Pools":"lenient-blue""#,
        r#""ipv4Pools":[""]"#,
        r#""ipv4Pools":{}"#,
    ] {
        let stdin = eth0.config().to_string();
        let stdin = stdin.replace(&ipam, &with(text));
        let refused = eth0.call("ADD")?.stdin(stdin.into_bytes()).run().await?;
        ensure!(
            [Some(2), Some(7)].contains(&refused.error_code()),
            "{text}: {refused}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn no_version_is_the_first_one_and_answered_in_its_shape() -> Result<()> {
    let env = Isolation::vrf("unversioned").start().await?;
    let default = |gateway: &str| json!({"default": true, "gateway": gateway});
    env.pool_of("unversioned-4", "10.1.0.0/24", default("10.1.0.1"))
        .await?;
    env.pool_of("unversioned-6", "fd00:1::/64", default("fe80::1"))
        .await?;
    let pod = env.pod("pod").create().await?;
    for version in [json!(null), json!(""), json!("0.1.0"), json!("0.2.0")] {
        let eth0 = env.eth0(&pod)?.set("cniVersion", version.clone());
        let added = eth0.add().await?.success()?.json()?;
        let expected = match version.as_str() {
            None | Some("") => "0.1.0",
            Some(version) => version,
        };
        assert_eq!(added["cniVersion"], expected);
        for (family, gateway, dst) in [("ip4", "10.1.0.1", "0.0.0.0/0"), ("ip6", "fe80::1", "::/0")]
        {
            let answer = &added[family];
            assert!(answer["ip"].is_string(), "{added}");
            assert_eq!(answer["gateway"], gateway);
            assert_eq!(answer["routes"], json!([{"dst": dst, "gw": gateway}]));
        }
        assert_eq!(
            (&added["ips"], &added["routes"]),
            (&Value::Null, &Value::Null)
        );
        // These versions have no prevResult for DEL.
        eth0.remember(None);
        eth0.del().await?.success()?;
        env.holds_nothing().await?;
    }
    for version in ["0.0.9", "1.0", "v1.0.0", " "] {
        let refused = env
            .eth0(&pod)?
            .set("cniVersion", json!(version))
            .add()
            .await?;
        assert_eq!(refused.error_code(), Some(1), "{refused}");
    }
    Ok(())
}

/// The answer of a plugin whose stdin stays open behind what is written.
async fn with_open_stdin(command: &str, written: &[u8]) -> Result<String> {
    let mut plugin = Command::new(PLUGIN)
        .env_clear()
        .envs([
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", "0pen"),
            ("CNI_NETNS", "/run/netns/no-such-namespace"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_ARGS", "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b"),
            ("CNI_PATH", "/opt/cni/bin"),
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = plugin.stdin.take().context("a pipe")?;
    stdin.write_all(written).await?;
    stdin.flush().await?;
    let mut answer = String::new();
    let mut stdout = plugin.stdout.take().context("a pipe")?;
    let read = stdout.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_mins(1), read)
        .await
        .context("it waits for the end of stdin")??;
    drop(stdin);
    plugin.wait().await?;
    Ok(answer)
}

#[tokio::test]
async fn no_verb_waits_for_the_end_of_stdin() -> Result<()> {
    let answer = with_open_stdin("VERSION", b"").await?;
    assert!(answer.starts_with(r#"{"cniVersion":"1.1.0","#), "{answer}");
    let answer = with_open_stdin("VERSION", br#"{"cniVersion":"0.4.0"}"#).await?;
    assert!(answer.starts_with(r#"{"cniVersion":"0.4.0","#), "{answer}");
    let config = br#"{"cniVersion":"1.1.0","name":"test","ipam":{"kubeconfig":"/no/such/file"}}"#;
    for (command, code) in [("ADD", "7"), ("STATUS", "50")] {
        let answer = with_open_stdin(command, config).await?;
        assert!(answer.contains(&format!(r#""code":{code}"#)), "{answer}");
    }
    let answer = with_open_stdin("DEL", config).await?;
    assert_eq!(answer, "");
    // What can't become a configuration is not waited for either.
    for written in [&b"cniVersion: 1.1.0"[..], b"[]", b"\0", b"{}}"] {
        let answer = with_open_stdin("ADD", written).await?;
        assert!(answer.contains(r#""code":"#), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn the_plugins_own_network_namespace_is_no_containers() -> Result<()> {
    let env = Isolation::vrf("own").start().await?;
    env.pool_of("own-pool", "10.1.0.0/24", json!({"default": true}))
        .await?;
    let eth0 = env.eth0(&env.pod("pod").create().await?)?;
    for path in ["/proc/self/ns/net", "/proc/thread-self/ns/net"] {
        let refused = eth0.call("ADD")?.env("CNI_NETNS", path).run().await?;
        assert_eq!(refused.error_code(), Some(8), "{refused}");
        env.holds_nothing().await?;
    }
    // As CNI's Go library has it, for those who mean it.
    let call = eth0.call("ADD")?.env("CNI_NETNS", "/proc/self/ns/net");
    call.env("CNI_NETNS_OVERRIDE", "TRUE")
        .run()
        .await?
        .success()?;
    Ok(())
}
