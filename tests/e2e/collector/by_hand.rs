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
        .arg("--margin")
        .arg("0s");

    let marked = call.run().await?.success()?;
    let reason = "this run is the first to see it; the next one decides";
    ensure!(marked.stdout.contains(reason), "{marked}");
    let kept = call.run().await?.success()?;
    let reason = format!(
        "node {} has not renewed its heartbeat since the pod was gone",
        node.name()
    );
    ensure!(kept.stdout.contains(&reason), "{kept}");
    ensure!(env.is_held(dead.address).await?, "{kept}");

    let taken = call.arg("--release-unreachable").run().await?.success()?;
    let line = format!("reclaimed {} of by-hand/dead", dead.address);
    ensure!(taken.stdout.contains(&line), "{taken}");
    ensure!(env.lease(dead.address).await?.is_none(), "{taken}");
    ensure!(env.is_held(alive.address).await?, "{taken}");
    Ok(())
}

#[tokio::test]
async fn the_flag_of_a_wait_within_a_run_names_its_successor() -> Result<()> {
    for grace in [&["--grace", "45"][..], &["--grace=2m"], &["--grace"]] {
        let call = Call::new(Path::new(COLLECTOR));
        let call = grace.iter().fold(call, |call, arg| call.arg(*arg));
        let outcome = call.run().await?;
        ensure!(outcome.code == Some(2), "{outcome}");
        ensure!(outcome.stderr.contains("--margin"), "{outcome}");
    }
    Ok(())
}

#[tokio::test]
async fn durations_are_written_as_people_write_them() -> Result<()> {
    for (margin, is_fine) in [
        ("45", true),
        ("45s", true),
        ("2m", true),
        ("1m30s", true),
        ("0.5", true),
        ("-5s", false),
        ("soon", false),
        ("", false),
    ] {
        let call = Call::new(Path::new(COLLECTOR));
        let call = call
            .arg(format!("--margin={margin}"))
            .without_env("KUBECONFIG");
        let outcome = call.run().await?;
        // Without credentials nothing is read.
        ensure!(outcome.code == Some(2), "{margin}: {outcome}");
        let is_refused = outcome.stderr.contains("--margin");
        ensure!(is_refused != is_fine, "{margin}: {outcome}");
    }
    Ok(())
}
