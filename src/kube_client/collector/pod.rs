//! What is read of a pod, which may be large.

use std::net::IpAddr;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::collector::{Life, PodEnd, PodSnapshot, Report};
use crate::kube_client::plugin::termination;

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
    annotations: Annotations,
}

/// The two that matter, of whatever others there are.
#[derive(Deserialize, Default)]
struct Annotations {
    /// The uid of the static pod that a mirror pod stands for (kubelet, `pkg/kubelet/types`).
    #[serde(rename = "kubernetes.io/config.mirror")]
    mirrors: Option<Box<str>>,
    /// What Multus writes (Network Plumbing Working Group, "network-status").
    #[serde(rename = "k8s.v1.cni.cncf.io/network-status")]
    network_status: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: Box<str>,
    host_network: bool,
    containers: Vec<IgnoredAny>,
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
    terminated: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Network {
    interface: Option<Box<str>>,
    #[serde(default)]
    ips: Vec<String>,
}

impl From<PodObject> for PodSnapshot {
    fn from(object: PodObject) -> Self {
        let life = life(&object);
        let PodObject {
            metadata,
            spec,
            status,
        } = object;
        let own = termination(spec.termination_grace_period_seconds);
        let mut reports = Vec::new();
        // In its node's network a pod reports the node's addresses, which are nobody's to give.
        if !spec.host_network {
            let network_status = metadata.annotations.network_status.as_deref();
            reports = reported(&status, network_status);
        }
        Self {
            namespace: metadata.namespace,
            name: metadata.name,
            uid: metadata.uid,
            mirrors: metadata.annotations.mirrors,
            node: spec.node_name,
            life,
            termination: match metadata.deletion_grace_period_seconds {
                // Whoever deleted it may have given it more or less time; less may come too late.
                Some(given) => own.max(termination(Some(given))),
                None => own,
            },
            reports,
        }
    }
}

/// Finished is what says so. A container that never ran has not terminated, and one without a status says nothing.
fn life(pod: &PodObject) -> Life {
    let status = &pod.status;
    let mut statuses = status
        .container_statuses
        .iter()
        .chain(&status.init_container_statuses)
        .chain(&status.ephemeral_container_statuses);
    let complete = !pod.spec.containers.is_empty()
        && status.container_statuses.len() >= pod.spec.containers.len();
    match status.phase.as_str() {
        "Succeeded" => Life::Finished(PodEnd::Succeeded),
        "Failed" => Life::Finished(PodEnd::Failed),
        _ if pod.metadata.deletion_timestamp.is_some()
            && complete
            && statuses.all(|container| container.state.terminated.is_some()) =>
        {
            Life::Finished(PodEnd::Terminated)
        }
        _ => Life::Alive,
    }
}

fn reported(status: &Status, network_status: Option<&str>) -> Vec<Report> {
    let of_kubelet = status.pod_ips.iter().filter_map(|ip| {
        let address: IpAddr = ip.ip.parse().ok()?;
        Some(Report {
            address,
            interface: None,
        })
    });
    // An annotation that somebody has broken says nothing.
    let networks: Vec<Network> = network_status
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let of_multus = networks.into_iter().flat_map(|network| {
        let Network { interface, ips } = network;
        ips.into_iter().filter_map(move |ip| {
            Some(Report {
                address: ip.parse().ok()?,
                interface: interface.clone(),
            })
        })
    });
    of_kubelet.chain(of_multus).collect()
}
