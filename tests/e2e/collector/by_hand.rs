//! The collector run by a person, who need not be who it is in its `CronJob`.

use std::path::Path;

use anyhow::{Result, ensure};
use testbed::Call;

use super::run::COLLECTOR;

#[tokio::test]
async fn an_administrator_takes_back_what_a_dead_node_left() -> Result<()> {
    let env = super::run::env("by-hand", "10.77.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let (dead, alive) = (
        env.attach(&node, "dead").await?,
        env.attach(&node, "alive").await?,
    );
    dead.pod.force_delete().await?;
    let call = Call::new(Path::new(COLLECTOR))
        .env("KUBECONFIG", env.cluster.kubeconfig())
        .arg("--grace")
        .arg("0");

    let kept = call.run().await?.success()?;
    let reason = "the pod's node shows no sign of life, so that the pod may run on";
    ensure!(kept.stdout.contains(reason), "{kept}");
    ensure!(env.is_held(dead.address).await?, "{kept}");

    let taken = call.arg("--release-unreachable").run().await?.success()?;
    let line = format!("took back {} of by-hand/dead", dead.address);
    ensure!(taken.stdout.contains(&line), "{taken}");
    ensure!(env.lease(dead.address).await?.is_none(), "{taken}");
    ensure!(env.is_held(alive.address).await?, "{taken}");
    Ok(())
}
