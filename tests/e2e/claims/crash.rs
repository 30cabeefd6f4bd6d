//! ADDs that are killed at each of their requests: the set keeps its members, and another pod gets
//! what the dead one had.

use anyhow::{Result, bail, ensure};
use serde_json::json;
use testbed::proxy::{Came, Moment, On};

use crate::env::Isolation;

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
            let eth0 = env.eth0_via(&caller, &pod)?;
            let gate = env
                .proxy()
                .hold_at(moment, On::any().caller(&caller).nth(k));
            let mut process = Box::pin(eth0.call("ADD")?.spawn()?.wait());
            match gate.arrived_before(&mut process).await {
                Came::Arrived(_) => drop(process),
                Came::Over(outcome) => {
                    outcome?.success()?;
                    break;
                }
            }
            drop(gate);
            env.until_all_has_arrived(&caller).await?;
            // As runtimes do with an attempt that has failed.
            eth0.del().await?.success()?;
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
