//! Writes of unknown outcome: one lease comes of them, and the answer holds it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::proxy::{By, Do, Gate, Log, On, Reply, Rule};

use super::EXHAUSTED;
use crate::env::{Isolation, TestEnv};

const LEASES: &str = "ipleases";

/// What becomes of one write and its reply without the plugin knowing.
enum Doubt {
    /// It meets this fault.
    Fault(Do),
    /// It reaches the API server once the test lets it go.
    Late,
    /// Its reply reaches the plugin once the test lets it go.
    LateReply,
}

impl From<Do> for Doubt {
    fn from(fault: Do) -> Self {
        Self::Fault(fault)
    }
}

/// Lets what is late go when it is dropped.
enum InDoubt {
    Fault(Rule),
    Late(Gate),
}

impl InDoubt {
    /// Whether one write was in doubt, and is still where it is late.
    fn is_one(&self) -> bool {
        match self {
            Self::Fault(rule) => rule.acted() == 1,
            Self::Late(gate) => gate.standing() == 1,
        }
    }
}

impl Doubt {
    fn about(self, env: &TestEnv, write: On) -> InDoubt {
        match self {
            Self::Fault(fault) => InDoubt::Fault(env.proxy().rule(write, fault)),
            Self::Late => InDoubt::Late(env.proxy().hold(write)),
            Self::LateReply => InDoubt::Late(env.proxy().hold_reply(write)),
        }
    }
}

fn doubts() -> Vec<(&'static str, Doubt)> {
    vec![
        ("reset", Do::LoseReply(By::Reset).into()),
        ("closed", Do::LoseReply(By::Close).into()),
        ("stream-reset", Do::LoseReply(By::StreamReset).into()),
        ("silent", Do::LoseReply(By::Silence).into()),
        ("half", Do::LoseHalf(By::Reset).into()),
        ("not-sent", Do::LoseRequest(By::Reset).into()),
        ("late", Doubt::Late),
        ("late-reply", Doubt::LateReply),
        ("twice", Do::Duplicate(Reply::Second).into()),
        ("done-and-denied", Do::AnswerInstead(Do::answer(503)).into()),
        (
            "done-and-limited",
            Do::AnswerInstead(Do::answer(429).retry_after(1)).into(),
        ),
    ]
}

/// An ADD whose first create is in this doubt: what it answers is all that it holds, and DEL gives
/// it back.
async fn holds_what_it_answers(env: &TestEnv, name: &str, doubt: Doubt) -> Result<Log> {
    let in_doubt = doubt.about(env, On::create(LEASES).caller(name).nth(1));
    let pod = env.pod(name).create().await?;
    let eth0 = env.eth0_via(name, &pod)?;
    eth0.add().await?.success()?;
    ensure!(in_doubt.is_one(), "nothing was lost");
    drop(in_doubt);
    let log = env.until_all_has_arrived(name).await?;
    env.holds_only(&eth0).await?;
    eth0.del().await?.success()?;
    env.holds_nothing().await?;
    Ok(log)
}

#[tokio::test]
async fn an_add_whose_create_is_in_doubt_has_one_lease_and_answers_it() -> Result<()> {
    let env = Isolation::vrf("lost-create").proxy().start().await?;
    env.default_pool(200).await?;
    for (name, doubt) in doubts() {
        holds_what_it_answers(&env, name, doubt)
            .await
            .context(name)?;
    }
    Ok(())
}

/// Has the node forget what lists of pools like this one have shown.
fn forget_lists() {
    let hints = Path::new(leasehold::plugin::RELEASE_CACHE).join("pools");
    for file in fs::read_dir(hints).into_iter().flatten().flatten() {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        if text.contains("\"10.0.0.") {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// What is chosen from a list is left at the first sign that it is another's, so that the sign has
/// to be right.
#[tokio::test]
async fn an_add_whose_create_after_a_list_is_in_doubt_has_one_lease_and_answers_it() -> Result<()> {
    let env = Isolation::vrf("lost-listed").proxy().start().await?;
    env.default_pool(200).await?;
    env.report_full("lost-listed").await?;
    // Where a create comes twice, what was made first looks like another's: the collector knows it
    // for a surplus.
    for (name, doubt) in doubts().into_iter().filter(|(name, _)| *name != "twice") {
        forget_lists();
        let log = holds_what_it_answers(&env, name, doubt)
            .await
            .context(name)?;
        ensure!(
            log.count(&On::list(LEASES).caller(name)) > 0,
            "{name}: {log}"
        );
    }
    Ok(())
}

/// Both families or neither: what was created is released, whether the create was answered or not.
#[tokio::test]
async fn an_add_that_fails_after_a_create_in_doubt_gives_that_back() -> Result<()> {
    let env = Isolation::vrf("lost-half").proxy().start().await?;
    env.default_pool(200).await?;
    let one = json!({"ips": ["fd00::1"], "default": true, "cooldownSeconds": 0});
    env.pool_of("lost-half-6", "fd00::/64", one).await?;
    let other = env.pod("other").create().await?;
    env.eth0_via("other", &other)?.add().await?.success()?;
    for (name, doubt) in doubts() {
        let in_doubt = doubt.about(&env, On::create(LEASES).caller(name).nth(1));
        let pod = env.pod(name).create().await?;
        let eth0 = env.eth0_via(name, &pod)?;
        let outcome = eth0.add().await?;
        ensure!(
            outcome.error_code() == EXHAUSTED && in_doubt.is_one(),
            "{name}: {outcome}"
        );
        drop(in_doubt);
        env.until_all_has_arrived(name).await?;
        // A create that comes after its own undoing is for DEL, and so is one that came twice.
        if !["late", "twice"].contains(&name) {
            let left = env.held_by(&pod).await?;
            ensure!(left.is_empty(), "{name}: {left:#?}");
        }
        eth0.del().await?.success()?;
        let left = env.held_by(&pod).await?;
        ensure!(left.is_empty(), "{name}, after DEL: {left:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_add_whose_move_is_in_doubt_has_the_earlier_lease_and_answers_it() -> Result<()> {
    let env = Isolation::vrf("lost-move").proxy().start().await?;
    env.default_pool(200).await?;
    for (name, doubt) in doubts() {
        let pod = env.pod(name).create().await?;
        let earlier = env.eth0_via("earlier", &pod)?;
        let address = earlier.add().await?.success()?.ips()?;
        let in_doubt = doubt.about(&env, On::replace(LEASES).caller(name).nth(1));
        let eth0 = env.eth0_via(name, &pod)?;
        let moved = eth0.add().await?.success().context(name)?.ips()?;
        ensure!(moved == address, "{name}: {moved:?}");
        ensure!(in_doubt.is_one(), "{name}: nothing was lost");
        drop(in_doubt);
        env.until_all_has_arrived(name).await?;
        env.holds_only(&eth0).await.context(name)?;
        earlier.del().await?.success()?;
        env.holds_only(&eth0).await.context(name)?;
        eth0.del().await?.success()?;
        env.holds_nothing().await.context(name)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_del_whose_write_is_in_doubt_releases_and_takes_nothing_else() -> Result<()> {
    let env = Isolation::vrf("lost-release").proxy().start().await?;
    env.default_pool(1).await?;
    for (name, doubt) in doubts() {
        let pod = env.pod(name).create().await?;
        let eth0 = env.eth0_via(name, &pod)?;
        eth0.add().await?.success().context(name)?;
        let in_doubt = doubt.about(&env, On::delete(LEASES).caller(name).nth(1));
        let outcome = eth0.del().await?.success().context(name)?;
        ensure!(
            outcome.stderr.is_empty() && in_doubt.is_one(),
            "{name}: {outcome}"
        );
        // The only address goes to another pod at once, and stays there whatever comes late.
        let next = env.pod(&format!("{name}-next")).create().await?;
        let next = env.eth0_via("next", &next)?;
        next.add().await?.success().context(name)?;
        drop(in_doubt);
        env.until_all_has_arrived(name).await?;
        env.holds_only(&next).await.context(name)?;
        next.del().await?.success()?;
        env.holds_nothing().await.context(name)?;
    }
    Ok(())
}
