//! STATUS and VERSION, and the text for a person who starts the plugin by hand: no server is asked.

mod distributions;

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testbed::{Call, Outcome};

use crate::PLUGIN;
use crate::env::Isolation;

/// STATUS as libcni sends it, with this `ipam`.
async fn status(version: &str, ipam: Value) -> Result<Outcome> {
    let config = json!({"cniVersion": version, "name": "test", "type": "macvlan", "ipam": ipam});
    let call = Call::new(Path::new(PLUGIN)).env("CNI_COMMAND", "STATUS");
    let unset = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"];
    let call = unset
        .into_iter()
        .fold(call, |call, name| call.env(name, ""));
    call.stdin(config.to_string()).run().await
}

#[tokio::test]
async fn status_is_good_where_a_configuration_leads_to_an_api_server_and_asks_it_nothing()
-> Result<()> {
    let env = Isolation::subnets().start().await?;
    let mark = env.cluster.mark().await?;
    let up = json!({"type": "leasehold", "kubeconfig": env.node.kubeconfig()});
    let outcome = status("1.1.0", up).await?.success()?;
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
    let mut requests = env.cluster.requests_since(&mark).await?;
    requests.retain(|request| request.user() == env.node.user());
    ensure!(requests.is_empty(), "{requests:?}");

    // Were it otherwise, all nodes would be unready at once when the API server is away.
    let away = env.node.identity().server("https://127.0.0.1:1");
    let away = env.node.write_kubeconfig("away", &away)?;
    let outcome = status("1.1.0", json!({"kubeconfig": away})).await?;
    outcome.success()?;
    Ok(())
}

#[tokio::test]
async fn status_says_which_kubeconfig_is_no_good_and_why() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let folder = env.cluster.dir().join(env.name());
    fs::create_dir(&folder)?;
    let file =
        |name: &str, text: &str| fs::write(folder.join(name), text).map(|()| folder.join(name));
    let mut lines = Vec::new();
    for kubeconfig in [
        folder.join("missing"),
        folder.clone(),
        file("empty", "")?,
        file("other", "apiVersion: v1\nkind: Config\nclusters: []\n")?,
        file("text", "no\n: {kubeconfig")?,
        file("broken", "users: [{name: me, user: {token: [secret]}}]")?,
        file("binary", "\0\u{1}")?,
        "/dev/zero".into(),
    ] {
        let outcome = status("1.1.0", json!({"kubeconfig": kubeconfig})).await?;
        let line = env.message(&outcome);
        lines.push(line.replace(&env.redact(&folder.display().to_string()), "<folder>"));
    }
    insta::assert_snapshot!(lines.join("\n"), @"
    50: the kubeconfig <folder>/missing cannot be used; No such file or directory (os error 2)
    50: the kubeconfig <folder> cannot be used; it is not a regular file
    50: the kubeconfig <folder>/empty cannot be used; it has no current-context, and no context with a cluster and a user
    50: the kubeconfig <folder>/other cannot be used; it has no current-context, and no context with a cluster and a user
    50: the kubeconfig <folder>/text cannot be used; it is not a kubeconfig from line 1, column 1 on
    50: the kubeconfig <folder>/broken cannot be used; it is not a kubeconfig from line 1, column 34 on
    50: the kubeconfig <folder>/binary cannot be used; it is not a kubeconfig from line 1, column 1 on
    50: the kubeconfig /dev/zero cannot be used; it is not a regular file
    ");
    Ok(())
}

#[tokio::test]
async fn status_finds_what_is_wrong_in_the_configuration() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let kubeconfig = env.node.kubeconfig();
    let mistyped = json!({"kubeconfig": kubeconfig, "ipv4Pool": ["a"]});
    insta::assert_snapshot!(env.message(&status("1.1.0", mistyped).await?), @r#"2: ipam.ipv4Pool is unknown (its value is ["a"]); did you mean ipv4Pools?"#);
    let older = json!({"kubeconfig": kubeconfig});
    insta::assert_snapshot!(env.message(&status("1.0.0", older).await?), @"1: cniVersion is 1.0.0, which has no STATUS");
    Ok(())
}

#[tokio::test]
async fn version_repeats_the_configurations_version_and_names_all() -> Result<()> {
    let mut lines = Vec::new();
    for stdin in [
        r#"{"cniVersion": "1.0.0"}"#,
        r#"{"cniVersion": "0.2.0"}"#,
        "{}",
        "",
    ] {
        let call = Call::new(Path::new(PLUGIN)).env("CNI_COMMAND", "VERSION");
        lines.push(call.stdin(stdin).run().await?.success()?.stdout);
    }
    insta::assert_snapshot!(lines.concat(), @r#"
    {"cniVersion":"1.0.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}
    {"cniVersion":"0.2.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}
    {"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}
    {"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}
    "#);
    Ok(())
}

#[tokio::test]
async fn started_by_hand_it_says_what_it_is() -> Result<()> {
    let outcome = Call::new(Path::new(PLUGIN)).run().await?.success()?;
    assert_eq!(outcome.stdout, "");
    let text = outcome
        .stderr
        .replace(env!("CARGO_PKG_VERSION"), "<version>");
    insta::assert_snapshot!(text, @"
    CNI plugin leasehold <version>: IP address management for Kubernetes pods on underlay networks: a CNI plugin without daemon, webhook or controller.
    Container runtimes run it, with CNI_COMMAND set: see the README.
    CNI versions supported: <version>, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0
    ");
    Ok(())
}
