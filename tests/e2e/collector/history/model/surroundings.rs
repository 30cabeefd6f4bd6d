//! What happens around the pods: to nodes, the pool, the API server; and the collectors.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use leasehold::api::IPPool;
use serde_json::{Value, json};
use testbed::{Call, Outcome};

use super::{LONGEST_ADD, Model};
use crate::collector::heartbeats::alive;
use crate::collector::run::SYSTEM;

impl Model<'_> {
    pub(super) fn cut_off(&mut self, node: usize) {
        if self.places[node].heartbeat.take().is_some() {
            self.note(format!("node {node} is cut off"));
        }
    }

    /// Kubelet ends what runs for pods that are gone, and some of its calls of DEL are lost.
    pub(super) async fn reconnect(&mut self) -> Result<()> {
        for (number, live) in std::mem::take(&mut self.orphans).into_iter().enumerate() {
            if number % 2 == 0 {
                live.eth0.del().await?.success()?;
            }
        }
        for place in self.places.iter_mut().filter(|it| it.heartbeat.is_none()) {
            place.heartbeat = Some(alive(&self.env.cluster, &place.node).await?);
        }
        Ok(())
    }

    /// Everything that ran there is gone; the objects of the pods stay.
    pub(super) async fn node_gone(&mut self, node: usize) -> Result<()> {
        self.note(format!("node {node} is gone"));
        self.orphans.retain(|live| live.node != node);
        self.ending.retain(|it| it.live.node != node);
        for present in self
            .pods
            .values_mut()
            .filter(|present| present.node == node)
        {
            present.live = None;
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
        // Two that run at once may act on each other's marks.
        self.marked = match count {
            1 => Some(self.marked().await?),
            _ => None,
        };
        for _ in 0..count {
            let call = self.collector().await?;
            self.collectors.push(call.spawn()?);
        }
        Ok(())
    }

    pub(super) async fn collector(&mut self) -> Result<Call> {
        self.unexpected.clear();
        self.note_unexpected();
        let longest = LONGEST_ADD.to_string();
        let waits = [
            "--margin",
            "0",
            "--claim-grace",
            "1",
            "--add-timeout",
            &longest,
        ];
        self.env.collector(&waits, None).await
    }

    /// The leases whose marks name the versions that they have.
    async fn marked(&self) -> Result<BTreeSet<String>> {
        let maps: Api<ConfigMap> = Api::namespaced(self.env.cluster.admin().await?, SYSTEM);
        let maps = maps.list(&ListParams::default()).await?.items.into_iter();
        let maps = maps.filter(|map| map.name_any().starts_with("leasehold-gc-marks"));
        let marks = maps.flat_map(|map| map.data.unwrap_or_default());
        let leases = self.leases().await?;
        let is_valid = |(lease, mark): &(String, String)| {
            let version = leases.get(lease).and_then(ResourceExt::resource_version);
            let named = version.map(|version| format!("version={version}"));
            named.is_some_and(|named| mark.split(' ').any(|field| field == named))
        };
        Ok(marks.filter(is_valid).map(|(lease, _)| lease).collect())
    }

    /// A run releases what looks dead only where an earlier one has marked it, and nothing has
    /// written the lease since.
    fn ensure_marked(&self, event: &Value) -> Result<()> {
        let is_over =
            ["cooled", "quarantine_over"].contains(&event["reason"].as_str().unwrap_or(""));
        let (Some(marked), "reclaimed", false) =
            (&self.marked, event["event"].as_str().unwrap_or(""), is_over)
        else {
            return Ok(());
        };
        let lease = event["lease"].as_str().unwrap_or("");
        ensure!(
            marked.contains(lease),
            "no mark named this version of it: {event}"
        );
        Ok(())
    }

    pub(super) async fn await_collectors(&mut self) -> Result<()> {
        for running in std::mem::take(&mut self.collectors) {
            let outcome = running.wait().await?;
            ensure!(
                outcome.succeeded() || self.excused,
                "the collector failed: {outcome}"
            );
            self.heed(&outcome)?;
        }
        self.ensure_reported()?;
        self.marked = None;
        self.excused = false;
        Ok(())
    }

    /// Judges what a run reported.
    pub(super) fn heed(&mut self, outcome: &Outcome) -> Result<()> {
        for line in outcome.stdout.lines() {
            self.note(format!("collector: {line}"));
            let event = serde_json::from_str(line)?;
            self.ensure_marked(&event)?;
            self.ensure_expected(&event)?;
        }
        Ok(())
    }

    pub(super) async fn restart_server(&mut self) -> Result<()> {
        self.excused = true;
        self.env.cluster.kill_api_server(0);
        self.env.cluster.restart_api_server(0).await?;
        // It serves lists only once its caches are filled.
        let full = async {
            while self.claims().await.is_err() || self.leases().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), full)
            .await
            .context("the API server lists nothing")
    }
}
