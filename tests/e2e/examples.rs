//! Each manifest in `examples/`, applied as it is, and what pods are then given.
//!
//! On a control plane of its own: an example's pools are those of a whole cluster.

mod workload;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use kube::core::{ApiResource, DynamicObject};
use leasehold::api::{IPLease, IPPool, ReservedIP, Subnet, lease_name};
use leasehold::ip::Vrf;
use serde_json::Value;
use testbed::{Attachment, Cluster, Outcome, Sandbox, repository};

use crate::PLUGIN;
use crate::env::cells;
use workload::Workload;

/// A pod as an example describes it.
struct Given {
    file: &'static str,
    /// The Deployment or Pod; empty: a pod that says nothing of itself.
    workload: &'static str,
    /// The zone of its node.
    zone: &'static str,
    interface: &'static str,
    /// The pools of its addresses, and the routes that come with them; or its error.
    expected: &'static str,
}

/// In the order in which the pods start: file, workload, zone, interface, and what is expected.
const GIVEN: &str = "
    dual-stack.yaml         |          | a | eth0 | underlay-v4, underlay-v6; 0.0.0.0/0 by 10.70.0.1, ::/0 by fd00:70::1
    namespace-defaults.yaml | ledger   | a | eth0 | payments-v4, payments-v6; 0.0.0.0/0 by 10.71.0.1, ::/0 by fd00:71::1
    backup-pool.yaml        | exchange | a | eth0 | partners; 0.0.0.0/0 by 10.72.0.1
    backup-pool.yaml        | exchange | a | eth0 | partners; 0.0.0.0/0 by 10.72.0.1
    backup-pool.yaml        | exchange | a | eth0 | partners-backup; 0.0.0.0/0 by 10.72.0.1
    zones.yaml              | web      | a | eth0 | zone-a; 0.0.0.0/0 by 10.73.0.1
    zones.yaml              | web      | b | eth0 | zone-b; 0.0.0.0/0 by 10.73.1.1
    affinity.yaml           | scada    | a | eth0 | plant-controllers; 0.0.0.0/0 by 10.74.1.1
    affinity.yaml           | reports  | a | eth0 | plant; 0.0.0.0/0 by 10.74.0.1
    claims.yaml             | mailer   | a | eth0 | dmz; 0.0.0.0/0 by 10.78.0.1
    claims.yaml             | relay    | a | eth0 | dmz; 0.0.0.0/0 by 10.78.0.1
    multus.yaml             | recorder | a | eth0 | cameras;
    multus.yaml             | recorder | a | net1 | cameras-storage;
    multus.yaml             | recorder | a | net2 | cameras-video; 0.0.0.0/0 by 10.75.2.1
    reserved.yaml           | kiosk    | a | eth0 | office; 0.0.0.0/0 by 10.76.0.1
    reserved.yaml           | kiosk    | a | eth0 | no free IPv4 address in office (1 address: 1 held): enlarge a pool or name a backup
    routes.yaml             | probe    | a | eth0 | lab-east; 0.0.0.0/0 by 10.77.0.1, 172.16.0.0/16 by 10.77.0.2, 172.17.0.0/16 by 10.77.0.3, 172.18.0.0/16 by 10.77.0.4
    sticky.yaml             | db       | a | eth0 | databases; 0.0.0.0/0 by 10.79.0.1
    sticky.yaml             | license-server | a | eth0 | databases; 0.0.0.0/0 by 10.79.0.1
    subnets.yaml            | checkout | a | eth0 | subnet/shops; 0.0.0.0/0 by 10.80.0.1
    subnets.yaml            | checkout | b | eth0 | subnet/shops; 0.0.0.0/0 by 10.80.0.1
";

fn folder() -> PathBuf {
    repository().join("examples")
}

#[tokio::test]
async fn each_example_gives_its_pods_what_it_says() -> Result<()> {
    let mut there = BTreeSet::new();
    for entry in std::fs::read_dir(folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "yaml") {
            there.extend(
                path.file_name()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    let row = |row: Result<[&'static str; 5]>| {
        row.map(|[file, workload, zone, interface, expected]| Given {
            file,
            workload,
            zone,
            interface,
            expected,
        })
    };
    let given: Vec<Given> = cells(GIVEN).map(row).collect::<Result<_>>()?;
    let tried = given.iter().map(|given| given.file.to_owned()).collect();
    assert_eq!(
        there, tried,
        "each example has its line, and each line its example"
    );

    let cluster = Cluster::start().await?;
    cluster
        .apply_yaml(include_str!("examples/network-attachment-definitions.yaml"))
        .await?;
    let mut applied = "";
    for (number, given) in given.iter().enumerate() {
        if given.file != applied {
            clear(&cluster).await?;
            cluster.apply(&folder().join(given.file)).await?;
            applied = given.file;
        }
        let what = format!(
            "{}: {} of {:?}",
            given.file, given.interface, given.workload
        );
        let answered = attach(&cluster, given, number)
            .await
            .context(what.clone())?;
        assert_eq!(answered.trim_end(), given.expected, "{what}");
    }
    Ok(())
}

/// Takes away what another example would meet. Addresses stay held: no two examples share a subnet.
async fn clear(cluster: &Cluster) -> Result<()> {
    let kinds = [
        ApiResource::erase::<IPPool>(&()),
        ApiResource::erase::<Subnet>(&()),
        ApiResource::erase::<ReservedIP>(&()),
    ];
    for kind in kinds {
        let objects: Api<DynamicObject> = Api::all_with(cluster.admin().await?, &kind);
        objects
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await?;
        // Plugins look into the watch cache.
        let cached = ListParams::default().at("0");
        while !objects.list(&cached).await?.items.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    Ok(())
}

/// Attaches an interface of a pod of the workload, in a sandbox of its own.
async fn attach(cluster: &Cluster, given: &Given, number: usize) -> Result<String> {
    let node = cluster
        .fresh_node()
        .label("topology.kubernetes.io/zone", given.zone)
        .create()
        .await?;
    let workload = Workload::of(&folder().join(given.file), given.workload)?;
    let pod = workload.pod(cluster, number).on(&node).create().await?;
    let sandbox = Arc::new(Sandbox::new()?);
    let mut nic =
        Attachment::new(PLUGIN.as_ref(), &node, &pod, &sandbox)?.interface(given.interface);
    if let Some(config) = workload.network(given.interface)? {
        let keys = config.as_object().context("a configuration")?;
        for (key, value) in keys.iter().filter(|(key, _)| *key != "ipam") {
            nic = nic.set(key, value.clone());
        }
        ensure!(config["ipam"]["type"] == "leasehold", "{config}");
    }
    answered(cluster, &nic.add().await?).await
}

/// The pools of the addresses, and the routes; or the error's message.
async fn answered(cluster: &Cluster, answer: &Outcome) -> Result<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if !answer.succeeded() {
        return Ok(text(&answer.json()?["msg"]));
    }
    let leases: Api<IPLease> = Api::all(cluster.admin().await?);
    let mut pools = Vec::new();
    for address in answer.ips()? {
        pools.push(
            leases
                .get(&lease_name(&Vrf::default(), address))
                .await?
                .spec
                .pool,
        );
    }
    let json = answer.json()?;
    let routes = json["routes"].as_array().into_iter().flatten();
    let routes: Vec<String> = routes
        .map(|route| format!("{} by {}", text(&route["dst"]), text(&route["gw"])))
        .collect();
    Ok(format!("{}; {}", pools.join(", "), routes.join(", ")))
}
