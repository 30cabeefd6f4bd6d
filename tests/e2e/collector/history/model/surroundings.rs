//! What happens around the pods: to nodes, the pool, the API server; and the collectors.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::{Api, Patch, PatchParams};
use leasehold::api::IPPool;
use serde_json::json;

use super::Model;
use crate::collector::heartbeats::alive;

impl Model<'_> {
    pub(super) async fn partition(&mut self, node: usize) -> Result<()> {
        if self.places[node].heartbeat.take().is_some() {
            self.note(format!("node {node} is cut off"));
            return Ok(());
        }
        // Kubelet ends what runs for pods that are gone, and some of its calls of DEL are lost.
        let (back, still): (Vec<_>, Vec<_>) = std::mem::take(&mut self.orphans)
            .into_iter()
            .partition(|live| live.node == node);
        self.orphans = still;
        for (number, live) in back.into_iter().enumerate() {
            if number % 2 == 0 {
                live.eth0.del().await?.success()?;
            }
        }
        self.places[node].heartbeat =
            Some(alive(&self.env.cluster, &self.places[node].node).await?);
        self.note(format!("node {node} is back"));
        Ok(())
    }

    /// Everything that ran there is gone; the objects of the pods stay.
    pub(super) async fn node_gone(&mut self, node: usize) -> Result<()> {
        self.note(format!("node {node} is gone"));
        self.orphans.retain(|live| live.node != node);
        self.ending.retain(|it| it.live.node != node);
        for slot in self.slots.values_mut().filter(|slot| slot.node == node) {
            slot.live = None;
        }
        let place = &mut self.places[node];
        place.heartbeat = None;
        place.node.delete().await?;
        place.node = self.env.cluster.node(place.node.name()).create().await?;
        place.heartbeat = Some(alive(&self.env.cluster, &place.node).await?);
        Ok(())
    }

    pub(super) async fn edit_pool(&mut self, index: usize) -> Result<()> {
        let pools: Api<IPPool> = Api::all(self.env.cluster.admin().await?);
        let last = index + 1;
        let spec = match index {
            0..3 => {
                json!({"excludeIPs": [format!("10.69.0.{last}-10.69.0.{}", last + 2)], "disable": null})
            }
            3 => json!({"disable": true}),
            _ => json!({"excludeIPs": null, "disable": null}),
        };
        let patch = Patch::Merge(json!({"spec": spec}));
        pools
            .patch(self.env.name(), &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    pub(super) async fn collect(&mut self, count: usize) -> Result<()> {
        self.await_collectors().await?;
        for _ in 0..count {
            let call = self
                .env
                .collector(&["--margin", "0", "--add-timeout", "1"], None)
                .await?;
            self.collectors.push(call.spawn()?);
        }
        Ok(())
    }

    pub(super) async fn await_collectors(&mut self) -> Result<()> {
        for running in std::mem::take(&mut self.collectors) {
            let outcome = running.wait().await?;
            ensure!(
                outcome.succeeded() || self.excused,
                "the collector failed: {outcome}"
            );
            for line in outcome.stdout.lines() {
                self.note(format!("collector: {line}"));
            }
        }
        self.excused = false;
        Ok(())
    }

    pub(super) async fn restart_server(&mut self) -> Result<()> {
        self.excused = true;
        self.env.cluster.kill_api_server(0);
        self.env.cluster.restart_api_server(0).await?;
        // It serves lists only once its caches are filled.
        let full = async {
            while self.leases().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), full)
            .await
            .context("the API server lists nothing")
    }
}
