//! Kubeconfigs that change while they are used, and those whose credentials are not in the file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use serde_json::json;
use testbed::proxy::{Do, On};
use testbed::{Attachment, Outcome, Pair, Sandbox};

use super::{DENIED, INVALID_CONFIG};
use crate::env::{Isolation, TestEnv, in_time};

/// An environment, and an interface whose kubeconfig is this file of its node. Of the two calls of
/// it, one has five seconds, and one that is to fail has two.
struct Identity {
    env: TestEnv,
    file: PathBuf,
    eth0: Attachment,
    hasty: Attachment,
}

impl Identity {
    async fn new(name: &'static str) -> Result<Self> {
        let env = Isolation::vrf(name).proxy().start().await?;
        env.default_pool(20).await?;
        let pod = env.pod("pod").create().await?;
        let file = env.node.kubeconfig().with_file_name(name);
        let sandbox = Arc::new(Sandbox::new()?);
        let eth0 = |seconds: u32| {
            let eth0 = env.eth0(&pod)?.in_sandbox(&sandbox);
            anyhow::Ok(
                eth0.ipam("kubeconfig", json!(file))
                    .ipam("timeoutSeconds", json!(seconds)),
            )
        };
        let (eth0, hasty) = (eth0(5)?, eth0(2)?);
        Ok(Self {
            env,
            file,
            eth0,
            hasty,
        })
    }

    /// ADD fails with this code, in time, and what it says names the file and `what`.
    async fn fails(&self, code: Option<u64>, what: &str) -> Result<Outcome> {
        let outcome = self.hasty.add().await?;
        let file = self.file.display().to_string();
        let named = [what, &file]
            .into_iter()
            .all(|word| outcome.stdout.contains(word));
        ensure!(
            outcome.error_code() == code && named,
            "it should fail with {code:?} and name {what:?}: {outcome}"
        );
        in_time(&outcome, 2)?;
        Ok(outcome)
    }

    /// ADD begins while this file is `wrong`, and ends well: once it has been read, it is put
    /// `right`.
    async fn recovers(&self, wrong: &Path, right: impl FnOnce() -> Result<()>) -> Result<()> {
        let read = Inotify::init(InitFlags::IN_NONBLOCK)?;
        read.add_watch(wrong, AddWatchFlags::IN_CLOSE_NOWRITE)?;
        let add = self.eth0.call("ADD")?.spawn()?;
        let begun = Instant::now();
        while matches!(read.read_events(), Err(Errno::EAGAIN)) {
            ensure!(begun.elapsed() < Duration::from_mins(1), "it was not read");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        right()?;
        add.wait().await?.success()?;
        self.eth0.del().await?.success()?;
        self.env.holds_nothing().await
    }
}

/// As kubelet and kubeadm replace files: the new one is there in full before it has the name.
fn replace(file: &Path, text: &str) -> Result<()> {
    let draft = file.with_added_extension("new");
    fs::write(&draft, text)?;
    Ok(fs::rename(draft, file)?)
}

fn text_of(env: &TestEnv, caller: &str) -> Result<String> {
    Ok(fs::read_to_string(env.kubeconfig_via(caller)?)?)
}

#[tokio::test]
async fn a_kubeconfig_that_is_replaced_between_two_calls_is_used_from_then_on() -> Result<()> {
    let Identity {
        env, file, eth0, ..
    } = Identity::new("between").await?;
    replace(&file, &text_of(&env, "old")?)?;
    eth0.add().await?.success()?;
    replace(&file, &text_of(&env, "new")?)?;
    let old = env.proxy().log().count(&On::any().caller("old"));
    eth0.check().await?.success()?;
    eth0.del().await?.success()?;
    let log = env.proxy().log();
    ensure!(
        old > 0 && log.count(&On::any().caller("old")) == old,
        "{log}"
    );
    ensure!(log.count(&On::any().caller("new")) > 0, "{log}");
    Ok(())
}

/// The old credentials end in the middle of a call: at each of its requests.
#[tokio::test]
async fn a_kubeconfig_that_is_replaced_during_a_call_is_used_for_the_rest_of_it() -> Result<()> {
    let Identity {
        env, file, eth0, ..
    } = Identity::new("during").await?;
    for k in 1..=6 {
        let [old, new] = ["old", "new"].map(|age| format!("{age}-{k}"));
        replace(&file, &text_of(&env, &old)?)?;
        let gate = env.proxy().hold(On::any().caller(&old).nth(k));
        env.proxy()
            .rule(On::any().caller(&old).from_nth(k), Do::answer(401));
        let add = eth0.call("ADD")?.spawn()?;
        let held = gate.arrived().await?;
        replace(&file, &text_of(&env, &new)?)?;
        held.release();
        add.wait().await?.success()?;
        let log = env.proxy().log();
        ensure!(log.count(&On::any().caller(&new)) > 0, "{log}");
        eth0.del().await?.success()?;
        env.holds_nothing().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_kubeconfig_that_is_missing_or_half_written_is_named_unless_it_is_whole_soon()
-> Result<()> {
    let identity = Identity::new("half-written").await?;
    let Identity {
        env, file, eth0, ..
    } = &identity;
    identity.fails(INVALID_CONFIG, "No such file").await?;
    let whole = text_of(env, "caller")?;
    for half in ["", &whole[..whole.len() / 2], "{", "hello", "[1, 2]"] {
        fs::write(file, half)?;
        identity
            .fails(INVALID_CONFIG, "")
            .await
            .context(half.to_owned())?;
    }
    let del = eth0.del().await?.success()?;
    ensure!(del.stderr.contains(&file.display().to_string()), "{del}");
    identity
        .recovers(file, || Ok(fs::write(file, &whole)?))
        .await
}

/// Makes a script that prints credentials as exec plugins do.
fn script(path: &Path, body: &str) -> Result<PathBuf> {
    let draft = path.with_added_extension("new");
    fs::write(&draft, format!("#!/bin/sh\n{body}\n"))?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))?;
    fs::rename(draft, path)?;
    Ok(path.to_owned())
}

fn credentials(token: &str) -> String {
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": token},
    });
    format!("echo '{credential}'")
}

#[tokio::test]
async fn a_token_file_is_read_and_read_again() -> Result<()> {
    let identity = Identity::new("token-file").await?;
    let Identity { env, file, .. } = &identity;
    let node = &env.node;
    let token = file.with_added_extension("token");
    replace(file, &node.identity().token_file(&token).to_yaml()?)?;
    identity
        .fails(INVALID_CONFIG, &token.display().to_string())
        .await?;
    fs::write(&token, "stale")?;
    identity.fails(DENIED, "401").await?;
    identity
        .recovers(&token, || replace(&token, &node.token()))
        .await
}

#[tokio::test]
async fn an_exec_plugin_says_who_it_is() -> Result<()> {
    let identity = Identity::new("exec").await?;
    let Identity {
        env, file, eth0, ..
    } = &identity;
    let node = &env.node;
    let program = file.with_added_extension("sh");
    replace(
        file,
        &node.identity().exec(&program, &["get-token"]).to_yaml()?,
    )?;
    identity.fails(INVALID_CONFIG, "No such file").await?;
    script(&program, &credentials(&node.token()))?;
    eth0.add().await?.success()?;
    eth0.del().await?.success()?;
    script(&program, "exit 1")?;
    identity
        .recovers(&program, || {
            script(&program, &credentials(&node.token())).map(drop)
        })
        .await
}

#[tokio::test]
async fn an_exec_plugin_that_hangs_holds_up_no_longer_than_the_deadline() -> Result<()> {
    let identity = Identity::new("exec-hangs").await?;
    let Identity { env, file, .. } = &identity;
    let program = script(&file.with_added_extension("sh"), "exec sleep 600")?;
    let yaml = env.node.identity().exec(&program, &[]).to_yaml()?;
    // Of its own accord such a plugin would have our stderr, and a runtime, like this call, waits
    // until no process has that any more.
    replace(file, &yaml.replace("Never", "IfAvailable"))?;
    identity
        .fails(INVALID_CONFIG, "did not end within 1.6 s")
        .await
        .map(drop)
}

#[tokio::test]
async fn a_client_certificate_that_has_expired_is_reported_and_its_successor_used() -> Result<()> {
    let identity = Identity::new("certificate").await?;
    let Identity { env, file, .. } = &identity;
    let (cluster, node) = (&env.cluster, &env.node);
    let (now, hour) = (SystemTime::now(), Duration::from_hours(1));
    let expired = cluster.node_certificate(node.name(), now - 2 * hour, now - hour)?;
    let valid = cluster.node_certificate(node.name(), now - hour, now + hour)?;
    replace(
        file,
        &node.identity().client_certificate(&expired).to_yaml()?,
    )?;
    let request = format!(
        "GET {}/api/v1/namespaces/certificate/pods/pod",
        cluster.url(0)
    );
    ensure!(
        identity
            .fails(DENIED, "401")
            .await?
            .stdout
            .contains(&request)
    );
    // As kubelet keeps it: a file beside, in which certificate and key are replaced together.
    let pem = file.with_added_extension("pem");
    let both = |pair: &Pair| format!("{}{}", pair.certificate, pair.key);
    fs::write(&pem, both(&expired))?;
    replace(
        file,
        &node.identity().client_certificate_file(&pem).to_yaml()?,
    )?;
    identity.fails(DENIED, "401").await?;
    identity
        .recovers(&pem, || replace(&pem, &both(&valid)))
        .await
}
