//! Late calls: ADD of a first sandbox is held up while that sandbox is cleared away and a second
//! one made.
//!
//! A runtime that is killed leaves its plugins running; the next one knows nothing of them.

use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::api::Api;
use testbed::proxy::{Came, Moment, On};
use testbed::{Attachment, Pod};

use super::SANDBOX_GONE;
use crate::env::{Isolation, TestEnv};

/// What the pod had before its first sandbox of this test.
#[derive(Clone, Copy)]
enum Past {
    /// Nothing: the late write is a create.
    None,
    /// A sandbox that was never cleared away: the late write is a move.
    Sandbox,
}

/// A pod, and the sandbox whose ADD will be late.
struct First {
    pod: Pod,
    add: Attachment,
}

impl First {
    async fn new(env: &TestEnv, past: Past, caller: &str) -> Result<Self> {
        let pod = env.pod(caller).create().await?;
        if let Past::Sandbox = past {
            let before = env.eth0_via("before", &pod)?;
            let addresses = before.add().await?.success()?.ips()?;
            pod.report_addresses(&addresses).await?;
        }
        let add = env.eth0_via(caller, &pod)?;
        Ok(Self { pod, add })
    }

    /// The first sandbox goes, and the second comes.
    async fn gives_way(&self, env: &TestEnv) -> Result<Attachment> {
        self.by_the_runtime(env)?.del().await?.success()?;
        self.add.sandbox().remove();
        let eth0 = env.eth0_via("runtime", &self.pod)?;
        eth0.add().await?.success()?;
        Ok(eth0)
    }

    /// What the second has, it keeps, through the repeated DEL of the first and up to its own.
    async fn takes_nothing(&self, env: &TestEnv, eth0: &Attachment) -> Result<()> {
        env.holds_only(eth0).await?;
        let repeated = self.by_the_runtime(env)?.without_netns();
        // Once without a result, as there was none, and once with what it might have been.
        for result in [None, eth0.result()] {
            repeated.remember(result);
            repeated.del().await?.success()?;
            env.holds_only(eth0).await?;
        }
        eth0.check().await?.success()?;
        eth0.del().await?.success()?;
        env.holds_nothing().await
    }

    /// As a runtime that knows of no answer to the ADD.
    fn by_the_runtime(&self, env: &TestEnv) -> Result<Attachment> {
        let eth0 = env.eth0_via("runtime", &self.pod)?;
        Ok(eth0.in_sandbox(self.add.sandbox()))
    }
}

/// Holds the `k`-th request of the first sandbox's ADD. `false`: there is no such request.
async fn hold_up(env: &TestEnv, past: Past, moment: Moment, k: usize) -> Result<bool> {
    let late = format!("late-{k}-{moment:?}").to_lowercase();
    let first = First::new(env, past, &late).await?;
    let gate = env.proxy().hold_at(moment, On::any().caller(&late).nth(k));
    let mut process = pin!(first.add.add());
    let held = match gate.arrived_before(&mut process).await {
        Came::Over(outcome) => {
            outcome?.success()?;
            first.add.del().await?.success()?;
            return Ok(false);
        }
        Came::Arrived(held) => held,
    };
    let what = held.call.to_string();
    let goes_on = async {
        let eth0 = first.gives_way(env).await?;
        held.release();
        let outcome = process.await?;
        ensure!(outcome.error_code() == SANDBOX_GONE, "{outcome}");
        env.until_all_has_arrived(&late).await?;
        first.takes_nothing(env, &eth0).await
    };
    goes_on.await.context(what)?;
    Ok(true)
}

/// Each request of ADD in turn, on both sides of its execution. Says how many there are.
async fn hold_up_each(env: &TestEnv, past: Past) -> Result<usize> {
    for k in 1.. {
        for moment in Moment::BOTH {
            let arrived = hold_up(env, past, moment, k).await;
            if !arrived.with_context(|| format!("request {k}, {moment:?}"))? {
                return Ok(k - 1);
            }
        }
    }
    unreachable!("an ADD ends")
}

#[tokio::test]
async fn a_late_add_takes_nothing_from_the_next_sandbox_wherever_it_was_held_up() -> Result<()> {
    let env = Isolation::vrf("late-create").proxy().start().await?;
    env.default_pool(20).await?;
    let requests = hold_up_each(&env, Past::None).await?;
    ensure!(requests == 6, "{requests} requests");
    Ok(())
}

#[tokio::test]
async fn a_late_add_that_would_move_a_lease_takes_nothing_either() -> Result<()> {
    let env = Isolation::vrf("late-move").proxy().start().await?;
    env.default_pool(20).await?;
    let requests = hold_up_each(&env, Past::Sandbox).await?;
    ensure!(requests == 8, "{requests} requests");
    Ok(())
}

#[tokio::test]
async fn a_write_that_arrives_after_its_process_was_killed_takes_nothing() -> Result<()> {
    let env = Isolation::vrf("late-killed").proxy().start().await?;
    env.default_pool(20).await?;
    for (number, past) in [Past::None, Past::Sandbox].into_iter().enumerate() {
        for moment in Moment::BOTH {
            let late = format!("late-{number}-{moment:?}").to_lowercase();
            let first = First::new(&env, past, &late).await?;
            let gate = env.proxy().hold_at(moment, On::writes().caller(&late));
            let process = first.add.call("ADD")?.spawn()?;
            let held = gate.arrived().await?;
            process.kill();
            process.wait().await?;
            let eth0 = first.gives_way(&env).await?;
            held.release();
            env.until_all_has_arrived(&late).await?;
            first.takes_nothing(&env, &eth0).await.context(late)?;
        }
    }
    Ok(())
}

/// Of a write that comes when its sandbox was cleared away and no other came, no DEL would know;
/// the pod does.
#[tokio::test]
async fn a_write_that_arrives_after_its_pod_is_gone_is_refused() -> Result<()> {
    let env = Isolation::vrf("late-pod").proxy().start().await?;
    env.default_pool(20).await?;
    let first = First::new(&env, Past::None, "late").await?;
    let gate = env.proxy().hold(On::create("ipleases").caller("late"));
    let process = first.add.call("ADD")?.spawn()?;
    let held = gate.arrived().await?;
    process.kill();
    process.wait().await?;
    first.by_the_runtime(&env)?.del().await?.success()?;
    first.add.sandbox().remove();
    first.pod.force_delete().await?;
    until_forgotten(&env, &first.pod).await?;
    held.release();
    let log = env.until_all_has_arrived("late").await?;
    let served = log
        .of(&On::create("ipleases"))
        .next()
        .and_then(|create| create.served);
    ensure!(served.is_some_and(|status| status == 403), "{log}");
    env.holds_nothing().await
}

/// The authorizer hears of a pod's end by a watch: a 404 says that it was there for this node a
/// moment ago.
async fn until_forgotten(env: &TestEnv, pod: &Pod) -> Result<()> {
    let client = env.node.client().await?;
    let pods: Api<PodObject> = Api::namespaced(client, pod.namespace());
    while pods.get_opt(pod.name()).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
