//! The collector held up at every request that it makes, while the address that it judges changes hands.

use std::pin::pin;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::Node;
use testbed::proxy::{Came, Moment, On, Proxy};

use super::heartbeats::alive;
use super::run::Report;
use crate::env::TestEnv;

struct HeldUp {
    env: TestEnv,
    node: Node,
    proxy: Proxy,
}

impl HeldUp {
    /// Holds the `k`-th request of a run. `false`: there is no such request, and the run has done its work.
    async fn at(&self, moment: Moment, k: usize) -> Result<bool> {
        let Self { env, node, proxy } = self;
        let name = format!("{moment:?}-{k}").to_lowercase();
        let dead = env.attach(node, &format!("dead-{name}")).await?;
        dead.pod.force_delete().await?;
        let caller = format!("collector-{name}");
        let gate = proxy.hold_at(moment, On::any().caller(&caller).nth(k));
        let server = (proxy.url_for(&caller), proxy.ca_pem());
        let collector = env
            .collector(&["--grace", "2"], Some((&server.0, server.1)))
            .await?;
        let mut run = pin!(collector.run());
        let held = match gate.arrived_before(&mut run).await {
            Came::Over(outcome) => {
                let told = Report::of(&outcome?.success()?)?;
                let about = told.about(&dead.address.to_string());
                ensure!(about.is_some(), "it was not taken back: {told:#?}");
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
        // Seven lists, a second look of four, the release and the deletion of what has no cooldown.
        ensure!(k > 13, "it made {} requests only", k - 1);
    }
    Ok(())
}
