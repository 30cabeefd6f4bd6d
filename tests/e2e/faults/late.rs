//! Late calls: ADD of a first sandbox is held up while that sandbox is cleared away and a second one made.
//!
//! A runtime that is killed leaves its plugins running; the next one knows nothing of them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::api::Api;
use testbed::proxy::{Came, Moment, On};
use testbed::{Attachment, Pod, Sandbox};

use super::scene::{SANDBOX_GONE, Scene};

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
    sandbox: Arc<Sandbox>,
    add: Attachment,
}

impl First {
    async fn new(scene: &Scene, past: Past, caller: &str) -> Result<Self> {
        let pod = scene.place.pod(caller).create().await?;
        if let Past::Sandbox = past {
            let before = scene.eth0("before", &pod)?;
            let addresses = before.add().await?.success()?.ips()?;
            pod.report_addresses(&addresses).await?;
        }
        let sandbox = Arc::new(Sandbox::new()?);
        let add = scene.eth0_in(caller, &sandbox, &pod)?;
        Ok(Self { pod, sandbox, add })
    }

    /// The first sandbox goes, and the second comes.
    async fn gives_way(&self, scene: &Scene) -> Result<(Arc<Sandbox>, Attachment)> {
        self.by_the_runtime(scene)?.del().await?.success()?;
        self.sandbox.remove();
        let second = Arc::new(Sandbox::new()?);
        let eth0 = scene.eth0_in("runtime", &second, &self.pod)?;
        eth0.add().await?.success()?;
        Ok((second, eth0))
    }

    /// What the second has, it keeps, through the repeated DEL of the first and up to its own.
    async fn takes_nothing(
        &self,
        scene: &Scene,
        second: &Sandbox,
        eth0: &Attachment,
    ) -> Result<()> {
        scene
            .holds_its_answer_only(eth0, second.container())
            .await?;
        let repeated = self.by_the_runtime(scene)?.without_netns();
        // Once without a result, as there was none, and once with what it might have been.
        for result in [None, eth0.result()] {
            repeated.remember(result);
            repeated.del().await?.success()?;
            scene
                .holds_its_answer_only(eth0, second.container())
                .await?;
        }
        eth0.check().await?.success()?;
        eth0.del().await?.success()?;
        scene.holds_nothing().await
    }

    /// As a runtime that knows of no answer to the ADD.
    fn by_the_runtime(&self, scene: &Scene) -> Result<Attachment> {
        scene.eth0_in("runtime", &self.sandbox, &self.pod)
    }
}

/// Holds the `k`-th request of the first sandbox's ADD. `false`: there is no such request.
async fn hold_up(scene: &Scene, past: Past, moment: Moment, k: usize) -> Result<bool> {
    let late = format!("late-{k}-{moment:?}").to_lowercase();
    let first = First::new(scene, past, &late).await?;
    let gate = scene.proxy.hold_at(moment, On::any().caller(&late).nth(k));
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
        let (second, eth0) = first.gives_way(scene).await?;
        held.release();
        let outcome = process.await?;
        ensure!(outcome.error_code() == SANDBOX_GONE, "{outcome}");
        scene.until_all_has_arrived(&late).await?;
        first.takes_nothing(scene, &second, &eth0).await
    };
    goes_on.await.context(what)?;
    Ok(true)
}

/// Each request of ADD in turn, on both sides of its execution. Says how many there are.
async fn hold_up_each(scene: &Scene, past: Past) -> Result<usize> {
    for k in 1.. {
        for moment in Moment::BOTH {
            let arrived = hold_up(scene, past, moment, k).await;
            if !arrived.with_context(|| format!("request {k}, {moment:?}"))? {
                return Ok(k - 1);
            }
        }
    }
    unreachable!("an ADD ends")
}

#[tokio::test]
async fn a_late_add_takes_nothing_from_the_next_sandbox_wherever_it_was_held_up() -> Result<()> {
    let scene = Scene::named("late-create").await?;
    scene.pool("late-create", 20).await?;
    let requests = hold_up_each(&scene, Past::None).await?;
    ensure!(requests == 6, "{requests} requests");
    Ok(())
}

#[tokio::test]
async fn a_late_add_that_would_move_a_lease_takes_nothing_either() -> Result<()> {
    let scene = Scene::named("late-move").await?;
    scene.pool("late-move", 20).await?;
    let requests = hold_up_each(&scene, Past::Sandbox).await?;
    ensure!(requests == 8, "{requests} requests");
    Ok(())
}

#[tokio::test]
async fn a_write_that_arrives_after_its_process_was_killed_takes_nothing() -> Result<()> {
    let scene = Scene::named("late-killed").await?;
    scene.pool("late-killed", 20).await?;
    for (number, past) in [Past::None, Past::Sandbox].into_iter().enumerate() {
        for moment in Moment::BOTH {
            let late = format!("late-{number}-{moment:?}").to_lowercase();
            let first = First::new(&scene, past, &late).await?;
            let gate = scene.proxy.hold_at(moment, On::writes().caller(&late));
            let process = first.add.call("ADD")?.spawn()?;
            let held = gate.arrived().await?;
            process.kill();
            process.wait().await?;
            let (second, eth0) = first.gives_way(&scene).await?;
            held.release();
            scene.until_all_has_arrived(&late).await?;
            first
                .takes_nothing(&scene, &second, &eth0)
                .await
                .context(late)?;
        }
    }
    Ok(())
}

/// Of a write that comes when its sandbox was cleared away and no other came, no DEL would know; the pod does.
#[tokio::test]
async fn a_write_that_arrives_after_its_pod_is_gone_is_refused() -> Result<()> {
    let scene = Scene::named("late-pod").await?;
    scene.pool("late-pod", 20).await?;
    let first = First::new(&scene, Past::None, "late").await?;
    let gate = scene.proxy.hold(On::create("ipleases").caller("late"));
    let process = first.add.call("ADD")?.spawn()?;
    let held = gate.arrived().await?;
    process.kill();
    process.wait().await?;
    first.by_the_runtime(&scene)?.del().await?.success()?;
    first.sandbox.remove();
    first.pod.force_delete().await?;
    until_forgotten(&scene, &first.pod).await?;
    held.release();
    let log = scene.until_all_has_arrived("late").await?;
    let served = log
        .of(&On::create("ipleases"))
        .next()
        .and_then(|create| create.served);
    ensure!(served.is_some_and(|status| status == 403), "{log}");
    scene.holds_nothing().await
}

/// The authorizer hears of a pod's end by a watch: a 404 says that it was there for this node a moment ago.
async fn until_forgotten(scene: &Scene, pod: &Pod) -> Result<()> {
    let client = scene.place.node.client().await?;
    let pods: Api<PodObject> = Api::namespaced(client, pod.namespace());
    while pods.get_opt(pod.name()).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
