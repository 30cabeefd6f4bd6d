//! Collectors against ADD.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use testbed::Node;
use tokio::sync::{Mutex, watch};

use super::heartbeats::alive;
use super::run::Report;
use crate::env::TestEnv;

/// Rounds of a worker: a pod is created, attached and force-deleted in each.
const ROUNDS: usize = 25;
const WORKERS: usize = 8;

/// Who is on which address now, as far as the test knows for certain.
type OnAir = Arc<Mutex<HashMap<IpAddr, String>>>;

async fn work(
    env: Arc<TestEnv>,
    node: Node,
    worker: usize,
    on_air: OnAir,
    mut runs: watch::Receiver<usize>,
) -> Result<()> {
    for round in 0..ROUNDS {
        // On a busy machine a run takes longer than a round, and all rounds would be over before
        // it.
        runs.wait_for(|runs| *runs >= round / 2)
            .await
            .context("the collectors have ended")?;
        let attached = env.attach(&node, &format!("pod-{worker}-{round}")).await?;
        let (address, name) = (attached.address, attached.pod.name().to_owned());
        let before = on_air.lock().await.insert(address, name.clone());
        ensure!(before.is_none(), "{address} is {before:?}'s and {name}'s");
        attached
            .eth0
            .check()
            .await?
            .success()
            .with_context(|| format!("{name} lost {address}"))?;
        on_air.lock().await.remove(&address);
        attached.pod.force_delete().await?;
        // Half of them are torn down as a runtime does, half are left to the collectors.
        if round % 2 == 0 {
            attached.eth0.del().await?.success()?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn collectors_without_pause_take_nothing_from_pods_that_come_and_go() -> Result<()> {
    // Fewer addresses than pods: without the collectors they would not do.
    let env = Arc::new(super::run::env("race", "10.67.0.0/25").await?);
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let (over, runs) = (Arc::new(AtomicBool::new(false)), watch::Sender::new(0));
    let collectors = (0..2).map(|_| {
        let (env, over, runs) = (Arc::clone(&env), Arc::clone(&over), runs.clone());
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                env.collect(&["--margin", "0", "--add-timeout", "0"])
                    .await?;
                runs.send_modify(|runs| *runs += 1);
            }
            anyhow::Ok(())
        })
    });
    let collectors: Vec<_> = collectors.collect();
    let on_air = OnAir::default();
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            tokio::spawn(work(
                Arc::clone(&env),
                node.clone(),
                worker,
                Arc::clone(&on_air),
                runs.subscribe(),
            ))
        })
        .collect();
    drop(runs);
    let mut outcomes = Vec::new();
    for worker in workers {
        outcomes.push(worker.await?);
    }
    over.store(true, Ordering::Relaxed);
    for collector in collectors {
        collector.await??;
    }
    outcomes.into_iter().collect::<Result<Vec<()>>>()?;
    let is_empty = async |_: &Report| Ok(env.leases().await?.is_empty());
    env.collect_until(&["--margin", "0"], "release everything", is_empty)
        .await?;
    Ok(())
}
