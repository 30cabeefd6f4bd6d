//! Kubeconfigs that lead nowhere: ADD says which, and why, and no word of what may be secret.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::json;
use testbed::{Attachment, Kubeconfig, Node};

use super::attached;
use crate::env::{TestEnv, in_time};

type Case = (&'static str, PathBuf);

/// The errors of an ADD with each of these, all at once.
async fn errors(env: &TestEnv, eth0: &Attachment, cases: Vec<Case>) -> Result<String> {
    let mut calls = Vec::new();
    for (case, kubeconfig) in cases {
        let mut config = eth0.config().clone();
        config["ipam"]["kubeconfig"] = json!(kubeconfig);
        calls.push((case, eth0.call("ADD")?.stdin(config.to_string()).spawn()?));
    }
    let mut lines = Vec::new();
    for (case, call) in calls {
        let outcome = call.wait().await?;
        let line = env.message(&outcome);
        let fits = !line.contains("secret") && !outcome.succeeded();
        ensure!(fits, "{case}: {outcome}");
        in_time(&outcome, 8)?;
        lines.push(format!("{case}: {line}"));
    }
    Ok(lines.join("\n"))
}

/// Kubeconfigs, written for a node.
struct Written<'a> {
    node: &'a Node,
    cases: Vec<Case>,
}

impl<'a> Written<'a> {
    fn by(node: &'a Node) -> Self {
        Self {
            node,
            cases: Vec::new(),
        }
    }

    /// The node's own, varied.
    fn and(mut self, case: &'static str, vary: impl Fn(Kubeconfig) -> Kubeconfig) -> Result<Self> {
        let kubeconfig = vary(self.node.identity());
        let path = self
            .node
            .write_kubeconfig(&case.replace(' ', "-"), &kubeconfig)?;
        self.cases.push((case, path));
        Ok(self)
    }

    /// One whose credentials a shell is run for.
    fn exec(self, case: &'static str, script: &str) -> Result<Self> {
        self.and(case, |k| k.exec(Path::new("/bin/sh"), &["-c", script]))
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_talked_to_is_named_with_the_reason() -> Result<()> {
    let (env, eth0) = attached().await?;
    let cases = Written::by(&env.node)
        .and("no server", |k| k.server("https://127.0.0.1:1"))?
        .and("another scheme", |k| k.server("ftp://127.0.0.1"))?
        .and("plain HTTP", |k| {
            k.server(&env.cluster.url(0).replace("https", "http"))
        })?
        .and("no authority", Kubeconfig::without_ca)?
        .and("a broken authority", |k| k.ca("no PEM"))?
        .cases;
    let eth0 = eth0.ipam("timeoutSeconds", json!(2));
    insta::assert_snapshot!(errors(&env, &eth0, cases).await?, @r#"
    no server: 11: no definite answer within 2 s; GET https://127.0.0.1:1/api/v1/namespaces/test/pods/web was not sent: cannot connect to 127.0.0.1:1: Connection refused (os error 111)
    another scheme: 7: the kubeconfig /cluster/nodes/node/another-scheme cannot be used: its server "ftp://127.0.0.1" is neither HTTPS nor HTTP
    plain HTTP: 11: GET http://server/api/v1/namespaces/test/pods/web was refused; 400 Bad Request: Client sent an HTTP request to an HTTPS server.
    no authority: 7: GET https://server/api/v1/namespaces/test/pods/web was not sent; the server's certificate is not trusted: it is not signed by the kubeconfig's certificate-authority
    a broken authority: 7: the kubeconfig /cluster/nodes/node/a-broken-authority cannot be used: its certificate-authority holds no certificate in PEM
    "#);
    Ok(())
}

#[tokio::test]
async fn credentials_that_cannot_be_used_are_named_with_the_reason_and_not_shown() -> Result<()> {
    let (env, eth0) = attached().await?;
    let broken = env.node.kubeconfig().with_file_name("broken");
    fs::write(&broken, "users: [{name: me, user: {token: [secret]}}]")?;
    let nowhere = Path::new("/nowhere");
    let mut cases = Written::by(&env.node)
        .and("no URL", |k| k.server("https://[::1"))?
        .and("an unknown token", |k| k.token("secret"))?
        .and("no token file", |k| k.token_file(nowhere))?
        .and("no certificate", |k| k.client_certificate_file(nowhere))?
        .and("no exec plugin", |k| k.exec(nowhere, &[]))?
        .exec("one that fails", "echo secret; echo no token >&2; exit 3")?
        .exec("one that talks", "echo '[secret]'")?
        .exec("one that hangs", "exec sleep 600")?
        .exec("one that is mute", "")?
        .cases;
    cases.push(("no file", "/nowhere".into()));
    cases.push(("no YAML", broken));
    // A kubeconfig may be half a file for three seconds; then there is a pause, and another
    // attempt.
    let eth0 = eth0.ipam("timeoutSeconds", json!(8));
    insta::assert_snapshot!(errors(&env, &eth0, cases).await?, @r#"
    no URL: 7: the kubeconfig /cluster/nodes/node/no-URL cannot be used: its server "https://[::1" is not a URL: invalid authority
    an unknown token: 106: renew the credentials in /cluster/nodes/node/an-unknown-token: the API server does not know them; GET https://server/api/v1/namespaces/test/pods/web was denied: 401 Unauthorized: Unauthorized
    no token file: 7: the kubeconfig /cluster/nodes/node/no-token-file cannot be used: its token file /nowhere cannot be read: No such file or directory (os error 2)
    no certificate: 7: the kubeconfig /cluster/nodes/node/no-certificate cannot be used: its client-certificate /nowhere cannot be read: No such file or directory (os error 2)
    no exec plugin: 7: the kubeconfig /cluster/nodes/node/no-exec-plugin cannot be used: its exec plugin /nowhere could not be run: No such file or directory (os error 2)
    one that fails: 7: the kubeconfig /cluster/nodes/node/one-that-fails cannot be used: its exec plugin /bin/sh failed with exit status: 3: no token
    one that talks: 7: the kubeconfig /cluster/nodes/node/one-that-talks cannot be used: its exec plugin /bin/sh did not print an ExecCredential
    one that hangs: 7: the kubeconfig /cluster/nodes/node/one-that-hangs cannot be used: its exec plugin /bin/sh did not end within 6.4 s
    one that is mute: 7: the kubeconfig /cluster/nodes/node/one-that-is-mute cannot be used: its exec plugin /bin/sh did not print an ExecCredential
    no file: 7: the kubeconfig /nowhere cannot be used: No such file or directory (os error 2)
    no YAML: 7: the kubeconfig /cluster/nodes/node/broken cannot be used: it is not a kubeconfig from line 1, column 34 on
    "#);
    Ok(())
}
