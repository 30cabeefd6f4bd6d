//! What the annotation `k8s.v1.cni.cncf.io/network-status` is worth.
//!
//! A pod's `podIPs` are its kubelet's word. The annotation is the word of anyone who may write
//! pods: it counts only where the pod could have been given the address, which is for
//! [`select`](crate::select) to say.

use std::collections::BTreeMap;

use super::index::SnapshotIndex;
use super::snapshot::{Attached, Pairs, PodSnapshot, Report, Surroundings};
use crate::annotations::{PoolLists, PoolRef};
use crate::cni::FamilyPolicy;
use crate::ip::{Family, Vrf};
use crate::pool::Pools;
use crate::select::{Facts, PodFacts, Request, select};

/// A report that no lease confirms and that might count.
#[derive(Debug, Clone, Copy)]
pub struct Unconfirmed<'a> {
    /// The pod.
    pub pod: &'a PodSnapshot,
    /// What its annotations report.
    pub attached: &'a Attached,
    /// The report.
    pub report: &'a Report,
}

/// The reports of living pods for addresses of pools of the default vrf that no lease of the pod
/// confirms.
#[must_use]
pub fn unconfirmed<'a>(index: &SnapshotIndex<'a>, pools: &Pools) -> Vec<Unconfirmed<'a>> {
    let mut found = Vec::new();
    for pod in index.snapshot.pods.iter().filter(|pod| pod.is_alive()) {
        let Some(attached) = pod.attached.as_deref() else {
            continue;
        };
        for report in &attached.reports {
            let address = report.address;
            if !pod.has_address(address)
                && !index.explains(pod, address)
                && pools.iter().flatten().any(|pool| pool.lists(address))
            {
                found.push(Unconfirmed {
                    pod,
                    attached,
                    report,
                });
            }
        }
    }
    found
}

/// Whether a pool that may serve this interface of the pod has the address.
///
/// Which pools a CNI configuration names is not known here: where pod and namespace name none, any
/// may be meant.
#[must_use]
pub fn admits(unconfirmed: &Unconfirmed<'_>, around: &Surroundings, pools: &Pools) -> bool {
    let Unconfirmed {
        pod,
        attached,
        report,
    } = *unconfirmed;
    let facts = Facts {
        pod: PodFacts {
            namespace: pod.namespace.to_string(),
            name: pod.name.to_string(),
            uid: pod.uid.to_string(),
            node: pod.node.to_string(),
            labels: map(&attached.labels),
            annotations: map(&attached.annotations),
        },
        namespace: around.namespace.clone(),
        node_labels: Some(around.node.clone()),
    };
    let Ok(selection) = select(&facts, pools, &request(report)) else {
        return false;
    };
    let choices = selection.families.iter();
    choices
        .flat_map(|choice| choice.candidates.iter().chain(&choice.resumable))
        .any(|pool| pool.lists(report.address))
}

fn map(pairs: &Pairs) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect()
}

/// As of a CNI configuration that names every pool.
fn request(report: &Report) -> Request {
    let every = || "*".parse::<PoolRef>().into_iter().collect();
    Request {
        interface: report.interface.to_string(),
        network: report.network.to_string(),
        pools: PoolLists {
            ipv4: every(),
            ipv6: every(),
        },
        policy: FamilyPolicy::SingleStack,
        families: vec![Family::of(report.address)],
        vrf: Vrf::default(),
        clean_gateway: true,
        requested: Vec::new(),
        claim: None,
    }
}

#[cfg(test)]
mod tests;
