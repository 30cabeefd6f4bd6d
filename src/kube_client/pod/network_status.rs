//! What is read of a pod, which may be large.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::annotations::{Annotations, Network, networks};
use crate::collector::{Attached, Phase, PodEnd, PodSnapshot, Report};
use crate::ip::Family;
use crate::kube_client::plugin::termination;

/// The uid of the static pod that a mirror pod stands for (kubelet, `pkg/kubelet/types`).
const MIRROR: &str = "kubernetes.io/config.mirror";
/// What Multus writes (Network Plumbing Working Group, "network-status").
const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";
/// The beginnings of the annotations that choose networks and pools.
const CHOOSING: [&str; 4] = [
    "ipam.leasehold.io/",
    "ipam.spidernet.io/",
    "k8s.v1.cni.cncf.io/networks",
    "v1.multus-cni.io/",
];

#[derive(Deserialize)]
pub(super) struct PodObject {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    namespace: Box<str>,
    name: Box<str>,
    uid: Box<str>,
    deletion_timestamp: Option<IgnoredAny>,
    deletion_grace_period_seconds: Option<i64>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Annotations,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: Box<str>,
    host_network: bool,
    termination_grace_period_seconds: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: String,
    #[serde(rename = "podIPs")]
    pod_ips: Vec<PodIp>,
    container_statuses: Vec<Container>,
    init_container_statuses: Vec<Container>,
    ephemeral_container_statuses: Vec<Container>,
}

#[derive(Deserialize)]
struct PodIp {
    #[serde(default)]
    ip: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Container {
    state: State,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    running: Option<IgnoredAny>,
}

/// An entry of `network-status`.
#[derive(Deserialize)]
struct NetworkStatus {
    #[serde(default)]
    name: String,
    #[serde(default)]
    interface: Box<str>,
    #[serde(default)]
    ips: Vec<String>,
}

impl From<PodObject> for PodSnapshot {
    fn from(object: PodObject) -> Self {
        let PodObject {
            metadata,
            spec,
            status,
        } = object;
        let own = termination(spec.termination_grace_period_seconds);
        let phase = match status.phase.as_str() {
            "Succeeded" => Phase::Finished(PodEnd::Succeeded),
            "Failed" => Phase::Finished(PodEnd::Failed),
            "Running" => Phase::Running,
            _ => Phase::Other,
        };
        let mut statuses = status
            .container_statuses
            .iter()
            .chain(&status.init_container_statuses)
            .chain(&status.ephemeral_container_statuses);
        let containers_ended = statuses.all(|container| container.state.running.is_none());
        // In its node's network a pod reports the node's addresses, and before it is bound no kubelet does.
        let is_attached = !spec.host_network && !spec.node_name.is_empty();
        let addresses = status.pod_ips.iter().filter(|_| is_attached);
        let addresses = addresses.filter_map(|ip| ip.ip.parse().ok()).collect();
        let attached = (is_attached && phase == Phase::Running)
            .then(|| attached(&metadata))
            .flatten();
        let mirrors = metadata.annotations.get(MIRROR);
        Self {
            mirrors: mirrors.map(|uid| uid.as_str().into()),
            node: spec.node_name,
            phase,
            deleting: metadata.deletion_timestamp.is_some(),
            containers_ended,
            termination: match metadata.deletion_grace_period_seconds {
                // Its deletion may have given it more or less time; less may come too late.
                Some(given) => own.max(termination(Some(given))),
                None => own,
            },
            addresses,
            attached: attached.map(Box::new),
            namespace: metadata.namespace,
            name: metadata.name,
            uid: metadata.uid,
        }
    }
}

/// What `network-status` says of the networks that `networks` asks for. An annotation that can't be read says nothing.
fn attached(metadata: &Metadata) -> Option<Attached> {
    let text = metadata.annotations.get(NETWORK_STATUS)?;
    let entries: Vec<NetworkStatus> = serde_json::from_str(text).ok()?;
    let asked = networks(&metadata.annotations).ok()?;
    let mut reports: Vec<Report> = Vec::new();
    for network in &asked {
        let entry = entries.iter().find(|entry| {
            // The cluster's default networks come first, so that a place in the list does not say the interface.
            names(&entry.name, network, &metadata.namespace)
                && network
                    .interface
                    .as_deref()
                    .is_none_or(|asked| *entry.interface == *asked)
                && reports.iter().all(|r| r.interface != entry.interface)
        });
        let Some(entry) = entry else { continue };
        let addresses = entry.ips.iter().filter_map(|ip| ip.parse::<IpAddr>().ok());
        let addresses: Vec<IpAddr> = addresses.collect();
        for family in Family::BOTH {
            let of_family = addresses.iter().find(|a| Family::of(**a) == family);
            reports.extend(of_family.map(|address| Report {
                interface: entry.interface.clone(),
                network: network.name.as_str().into(),
                address: *address,
            }));
        }
    }
    let choosing = metadata.annotations.iter();
    let choosing =
        choosing.filter(|(key, _)| CHOOSING.iter().any(|prefix| key.starts_with(prefix)));
    (!reports.is_empty()).then(|| Attached {
        reports,
        labels: metadata.labels.clone(),
        annotations: choosing.map(|(k, v)| (k.clone(), v.clone())).collect(),
    })
}

/// Whether an entry's name, `namespace/name`, is that of a network that the pod asks for.
fn names(entry: &str, network: &Network, home: &str) -> bool {
    let namespace = network.namespace.as_deref().unwrap_or(home);
    match entry.split_once('/') {
        Some((of, name)) => of == namespace && name == network.name,
        None => entry == network.name,
    }
}

#[cfg(test)]
mod tests;
