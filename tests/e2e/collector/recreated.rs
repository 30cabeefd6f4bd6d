//! Leases that are missing come back; addresses of nodes stay out.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use leasehold::api::{IPLease, ReservedIP};
use serde_json::json;

use super::heartbeats::alive;
use super::run::{Attached, Report};
use crate::env::TestEnv;

impl TestEnv {
    /// Deletes the lease of a pod that has it, as an administrator does by mistake.
    pub async fn delete_held(&self, address: IpAddr) -> Result<()> {
        let (leases, name) = (self.api::<IPLease>().await?, address.to_string());
        let holder = leases.get(&name).await?.spec.holder.unwrap_or_default();
        let cleared =
            json!({"metadata": {"annotations": {"ipam.leasehold.io/release": holder.uid}}});
        leases
            .patch(&name, &PatchParams::default(), &Patch::Merge(&cleared))
            .await?;
        leases.delete(&name, &DeleteParams::default()).await?;
        Ok(())
    }
}

#[tokio::test]
async fn leases_that_were_deleted_by_mistake_are_made_again_before_anybody_takes_their_addresses()
-> Result<()> {
    let env = super::run::env("recreated", "10.61.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let web = env.attach(&node, "web").await?;
    web.pod.report_addresses(&[web.address]).await?;
    // What Multus writes of a second interface, which kubelet does not know of.
    let db = env.attach(&node, "db").await?;
    let status =
        json!([{"name": "recreated/net", "interface": "net1", "ips": [db.address]}]).to_string();
    db.pod.patch_status(json!({"phase": "Running"})).await?;
    db.pod
        .patch(json!({"metadata": {"annotations": {
            "k8s.v1.cni.cncf.io/networks": "net", "k8s.v1.cni.cncf.io/network-status": status}}}))
        .await?;
    let finished = env.attach(&node, "finished").await?;
    finished.pod.report_addresses(&[finished.address]).await?;
    finished
        .pod
        .patch_status(json!({"phase": "Failed"}))
        .await?;
    for attached in [&web, &db, &finished] {
        env.delete_held(attached.address).await?;
    }

    let would = env.collect(&["--dry-run"]).await?;
    let made = |report: &Report, attached: &Attached| {
        let about = report.about(&attached.address.to_string());
        about.is_some_and(|(event, _)| event == "recreated")
    };
    ensure!(made(&would, &web) && made(&would, &db), "{would:#?}");
    ensure!(env.leases().await?.is_empty(), "a dry run has made it");
    let report = env.collect(&[]).await?;
    ensure!(made(&report, &web) && made(&report, &db), "{report:#?}");
    for (attached, interface) in [(&web, "eth0"), (&db, "net1")] {
        let lease = env.lease(attached.address).await?;
        let holder = lease
            .and_then(|lease| lease.spec.holder)
            .unwrap_or_default();
        assert_eq!(
            (
                holder.uid.as_str(),
                holder.interface.as_str(),
                holder.container.as_str()
            ),
            (attached.pod.uid(), interface, "")
        );
    }
    ensure!(
        env.lease(finished.address).await?.is_none(),
        "a pod that has finished runs on nothing"
    );

    web.eth0.check().await?.success()?;
    web.eth0.del().await?.success()?;
    ensure!(!env.is_held(web.address).await?, "its DEL gives it back");
    Ok(())
}

#[tokio::test]
async fn the_addresses_of_nodes_are_kept_out_of_the_pools() -> Result<()> {
    let env = super::run::env("hosts", "10.62.0.0/29").await?;
    let node = env.cluster.fresh_node().create().await?;
    let reserved: Api<ReservedIP> = Api::all(env.cluster.admin().await?);
    let addresses = json!([
        {"type": "InternalIP", "address": "10.62.0.3"},
        {"type": "InternalIP", "address": "192.0.2.3"},
        {"type": "ExternalIP", "address": "10.62.0.4"},
    ]);
    node.report_addresses(&addresses).await?;
    for _ in 0..2 {
        env.collect(&[]).await?;
        let ours = env.reserved_for_nodes().await?;
        assert_eq!(ours, ["10.62.0.3"], "and it stays so");
    }
    env.collect(&[]).await?;
    let status = env.read_pool("hosts").await?.status.unwrap_or_default();
    assert_eq!(status.capacity, 5);

    // The Node object of a machine that runs on may be gone for a moment.
    node.delete().await?;
    env.collect(&[]).await?;
    let ours = env.reserved_for_nodes().await?;
    assert_eq!(ours, ["10.62.0.3"], "it is kept for a day");
    // The day passes.
    let memory: Api<ConfigMap> = Api::namespaced(env.cluster.admin().await?, "leasehold-system");
    let known = memory.get("leasehold-gc-nodes").await?.data;
    let known = known.context("nothing is remembered")?;
    let known = known.get(node.name()).context("the node is not")?;
    ensure!(known.starts_with("10.62.0.3@"), "{known}");
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(25);
    let data = json!({"data": {node.name(): format!("10.62.0.3@{yesterday:.0}")}});
    memory
        .patch(
            "leasehold-gc-nodes",
            &PatchParams::default(),
            &Patch::Merge(data),
        )
        .await?;
    env.collect(&[]).await?;
    ensure!(
        reserved.get_opt("leasehold-nodes").await?.is_none(),
        "no node has had it for a day"
    );
    Ok(())
}
