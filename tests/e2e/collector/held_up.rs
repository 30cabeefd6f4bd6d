//! The collector held up at every request that it makes, while the address that it judges changes
//! hands.

use std::pin::pin;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::Node;
use testbed::proxy::{Came, Moment, On, Proxy};

use super::heartbeats::{alive, beat};
use super::run::Report;
use crate::env::TestEnv;

struct HeldUp {
    env: TestEnv,
    node: Node,
    proxy: Proxy,
}

impl HeldUp {
    /// Holds the `k`-th request of a run. `false`: there is no such request, and the run has done
    /// its work.
    async fn at(&self, moment: Moment, k: usize) -> Result<bool> {
        let Self { env, node, proxy } = self;
        let name = format!("{moment:?}-{k}").to_lowercase();
        let dead = env.attach(node, &format!("dead-{name}")).await?;
        dead.pod.force_delete().await?;
        // An earlier run has marked it, and its node has been heard of since: this one is to
        // release it.
        env.collect(&["--margin", "0"]).await?;
        beat(&env.cluster, node.name()).await?;
        let caller = format!("collector-{name}");
        let gate = proxy.hold_at(moment, On::any().caller(&caller).nth(k));
        let server = (proxy.url_for(&caller), proxy.ca_pem());
        let collector = env
            .collector(&["--margin", "0"], Some((&server.0, server.1)))
            .await?;
        let mut run = pin!(collector.run());
        let held = match gate.arrived_before(&mut run).await {
            Came::Over(outcome) => {
                let report = Report::of(&outcome?.success()?)?;
                let about = report.about(&dead.address.to_string());
                let is_released = about.is_some_and(|(event, _)| event == "reclaimed");
                ensure!(is_released, "it was not reclaimed: {report:#?}");
                return Ok(false);
            }
            Came::Arrived(held) => held,
        };
        let what = held.call.to_string();
        // The runtime's DEL comes after all, and the only address goes to another pod.
        dead.eth0.del().await?.success()?;
        let next = env.attach(node, &format!("next-{name}")).await?;
        ensure!(next.address == dead.address, "{}", next.address);
        held.release();
        let outcome = run.await?.success()?;
        let checked = next.eth0.check().await?.success();
        checked.with_context(|| format!("held up at {what}, it said: {outcome}"))?;
        next.eth0.del().await?.success()?;
        next.pod.force_delete().await?;
        Ok(true)
    }
}

#[tokio::test]
async fn a_collector_takes_nothing_from_the_next_pod_wherever_it_was_held_up() -> Result<()> {
    let env = super::run::env("held-up", "10.73.0.0/24").await?;
    let one = json!({"ips": ["10.73.0.7"], "cooldownSeconds": 0});
    env.pool_of("held-up", "10.73.0.0/24", one).await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let proxy = Proxy::start(&env.cluster.url(0), &env.cluster.ca_pem())?;
    let held_up = HeldUp { env, node, proxy };
    for moment in Moment::BOTH {
        let mut k = 1;
        while held_up.at(moment, k).await? {
            k += 1;
        }
        // The marks, seven lists, the Events, three live reads, the release, the deletion of what
        // has no cooldown, the marks.
        ensure!(k > 13, "it made {} requests only", k - 1);
    }
    Ok(())
}
