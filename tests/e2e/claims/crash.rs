//! ADDs that are killed at each of their requests: the set keeps its members, and another pod gets
//! what the dead one had.

use anyhow::{Result, bail, ensure};
use serde_json::json;
use testbed::Pod;
use testbed::proxy::{Came, Moment, On};

use crate::env::{Isolation, TestEnv};

impl TestEnv {
    /// Kills the ADD of a pod at its `k`-th request, which arrives all the same, and ends the
    /// attempt; `false`: it makes fewer, and has succeeded.
    pub async fn kill_add(
        &self,
        pod: &Pod,
        caller: &str,
        (moment, k): (Moment, usize),
    ) -> Result<bool> {
        let eth0 = self.eth0_via(caller, pod)?;
        let at = On::any().caller(caller).nth(k);
        let gate = self.proxy().hold_at(moment, at);
        let mut process = Box::pin(eth0.call("ADD")?.spawn()?.wait());
        let is_killed = match gate.arrived_before(&mut process).await {
            Came::Arrived(_) => true,
            Came::Over(outcome) => {
                outcome?.success()?;
                false
            }
        };
        drop(process);
        drop(gate);
        self.until_all_has_arrived(caller).await?;
        // As runtimes do with an attempt that has failed.
        eth0.del().await?.success()?;
        Ok(is_killed)
    }
}

#[tokio::test]
async fn a_set_outlives_a_call_that_is_killed_at_any_request() -> Result<()> {
    let env = Isolation::subnets().proxy().start().await?;
    env.pool("pool", env.v4(1..=200)).await?;
    let mut number = 0;
    for moment in Moment::BOTH {
        let mut k = 1;
        loop {
            number += 1;
            let claim = format!("web-{number}");
            let address = env.at(number);
            env.claim(&claim, json!({"addresses": [address.to_string()]}))
                .await?;
            let caller = format!("dying-{number}");
            let (pod, _) = env.claiming(&caller, &claim).await?;
            if !env.kill_add(&pod, &caller, (moment, k)).await? {
                break;
            }
            let (_next, next) = env.claiming(&format!("next-{number}"), &claim).await?;
            let added = next.add().await?.success()?;
            ensure!(added.ips()? == [address], "request {k}: {added}");
            k += 1;
            if k > 30 {
                bail!("ADD makes more than 30 requests");
            }
        }
        ensure!(k > 8, "ADD made only {} requests", k - 1);
    }
    Ok(())
}
