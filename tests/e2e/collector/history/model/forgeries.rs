//! What others write: annotations of pods, metadata of leases, addresses of nodes, objects that
//! can't be read.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use leasehold::api::{IPLease, ReservedIP};
use serde_json::{Value, json};
use testbed::Pod;

use super::Model;

/// An annotation of leases: the uid of the pod that it was written for.
pub(super) const MARK: &str = "example.com/of";

/// How many addresses a forged annotation claims.
const CLAIMED: usize = 30;

/// How many such pods there are at most.
const FORGERS: usize = 3;

/// A pod whose annotation claims addresses.
pub(super) struct Forgery {
    pod: Pod,
    /// How many of them it may have: as many as it requests networks, if it runs and its pools
    /// may have them.
    allowed: usize,
}

impl Forgery {
    pub(super) fn ensure_bounded(&self, leases: &BTreeMap<String, IPLease>) -> Result<()> {
        let holders = leases
            .values()
            .filter_map(|lease| lease.spec.holder.as_ref());
        let has = holders
            .filter(|holder| holder.uid == self.pod.uid())
            .count();
        ensure!(
            has <= self.allowed,
            "{} has {has} leases by its annotation, and may have {}",
            self.pod.name(),
            self.allowed
        );
        Ok(())
    }

    pub(super) async fn end(&self) -> Result<()> {
        self.pod.force_delete().await
    }
}

fn address(last: usize) -> String {
    format!("10.69.0.{}", last % 126 + 1)
}

impl Model<'_> {
    /// One that runs asks for a network, one that is bound to no node for many.
    pub(super) async fn forge(&mut self, index: usize, runs: bool) -> Result<()> {
        if let Some(forgery) = self.forgeries.remove(&(index % FORGERS)) {
            return forgery.end().await;
        }
        let claimed = (0..CLAIMED).map(|n| address(index * 7 + n));
        let (networks, status) = if runs {
            let ips: Vec<String> = claimed.collect();
            let status = json!([{"name": "net", "interface": "net1", "ips": ips}]);
            ("net".to_owned(), status)
        } else {
            let entry =
                |(n, ip)| json!({"name": "net", "interface": format!("net{n}"), "ips": [ip]});
            let status: Value = claimed.enumerate().map(entry).collect();
            (vec!["net"; CLAIMED].join(","), status)
        };
        let name = format!("forger-{}", index % FORGERS);
        let pod = self.env.cluster.pod(self.env.name(), &name);
        let pod = pod
            .annotation("k8s.v1.cni.cncf.io/networks", &networks)
            .annotation("k8s.v1.cni.cncf.io/network-status", &status.to_string());
        // Its pools are others than the one whose addresses it claims.
        let elsewhere = runs && index.is_multiple_of(2);
        let pod = if elsewhere {
            pod.annotation("ipam.leasehold.io/ippool", r#"{"ipv4": ["elsewhere"]}"#)
        } else {
            pod
        };
        let pod = if runs {
            pod.on(&self.places[index % self.places.len()].node)
        } else {
            pod
        };
        let pod = pod.create().await?;
        if runs {
            pod.patch_status(json!({"phase": "Running"})).await?;
        }
        let allowed = usize::from(runs && !elsewhere);
        self.forgeries
            .insert(index % FORGERS, Forgery { pod, allowed });
        Ok(())
    }

    pub(super) async fn annotate(&mut self, index: usize) -> Result<()> {
        let live = self
            .pods
            .get(&index)
            .and_then(|present| present.live.as_ref());
        let Some(live) = live else { return Ok(()) };
        let leases: Api<IPLease> = self.env.api().await?;
        let patch = Patch::Merge(json!({"metadata": {
            "annotations": {MARK: live.uid},
            "labels": {"example.com/rack": "7"},
        }}));
        let name = live.address.to_string();
        leases.patch(&name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    pub(super) async fn name_addresses(&mut self, index: usize, names: bool) -> Result<()> {
        let node = &self.places[index % self.places.len()].node;
        let addresses = (0..CLAIMED).map(|n| address(index * 11 + n));
        let addresses = addresses.map(|ip| json!({"type": "InternalIP", "address": ip}));
        let addresses: Value = if names {
            addresses.collect()
        } else {
            Value::Null
        };
        node.report_addresses(&addresses).await?;
        Ok(())
    }

    pub(super) async fn collect_unreadable(&mut self) -> Result<()> {
        self.await_collectors().await?;
        let broken = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "ReservedIP",
            "metadata": {"name": "history-broken"}, "spec": {"ips": ["fd00::9-fd00::1"]}});
        self.env.cluster.apply_yaml(&broken.to_string()).await?;
        let outcome = self.collector().await?.run().await?;
        let reserved: Api<ReservedIP> = self.env.api().await?;
        reserved
            .delete("history-broken", &DeleteParams::default())
            .await?;
        ensure!(outcome.code == Some(1), "{outcome}");
        self.heed(&outcome)
    }
}
