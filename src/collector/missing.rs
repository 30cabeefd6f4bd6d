//! Addresses that pods run on and that no lease says so of: leases deleted by mistake, an etcd restored from yesterday.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::index::SnapshotIndex;
use super::snapshot::PodSnapshot;
use crate::ip::Vrf;
use crate::lease::{Holder, Lease, LeaseName, State};
use crate::pool::{Pool, Pools};

/// The interface of a pod whose report names none: the one that kubelet knows of.
const FIRST: &str = "eth0";

/// An address without a lease.
#[derive(Debug, Clone)]
pub struct Missing<'a> {
    /// The pod that reports it.
    pub pod: &'a PodSnapshot,
    /// The address.
    pub address: IpAddr,
    /// The interface that has it.
    pub interface: &'a str,
    /// The pool that gives it.
    pub pool: Arc<Pool>,
}

/// The addresses that living pods report, that a pool of the default vrf gives, and that have no lease.
///
/// What a pod reports says nothing of vrfs: a pod that holds the address in another vrf reports that one.
#[must_use]
pub fn missing<'a>(index: &SnapshotIndex<'a>, pools: &Pools) -> Vec<Missing<'a>> {
    let pools: Vec<&Arc<Pool>> = pools
        .iter()
        .flatten()
        .filter(|pool| pool.vrf.is_default())
        .collect();
    let mut found = BTreeSet::new();
    let mut missing = Vec::new();
    for pod in index.snapshot.pods.iter().filter(|pod| pod.is_alive()) {
        for report in &pod.reports {
            let address = report.address;
            let mut leases = index.leases_of(address).iter();
            if leases.any(|lease| lease.name.vrf.is_default()) || index.explains(pod, address) {
                continue;
            }
            let Some(pool) = pools.iter().find(|pool| pool.usable.contains(address)) else {
                continue;
            };
            if found.insert(address) {
                missing.push(Missing {
                    pod,
                    address,
                    interface: interface(pod, address),
                    pool: Arc::clone(pool),
                });
            }
        }
    }
    missing
}

/// An address may be reported twice: by kubelet, which names no interface, and by Multus, which does.
fn interface(pod: &PodSnapshot, address: IpAddr) -> &str {
    let mut of_address = pod.reports.iter().filter(|r| r.address == address);
    of_address
        .find_map(|report| report.interface.as_deref())
        .unwrap_or(FIRST)
}

impl Missing<'_> {
    /// The lease that should be there. Its container is not known; the pod's next call is matched by uid and interface.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease {
            name: LeaseName {
                vrf: Vrf::default(),
                address: self.address,
            },
            pool: self.pool.name.clone(),
            state: State::Held,
            holder: Some(Holder {
                namespace: self.pod.namespace.to_string(),
                pod: self.pod.name.to_string(),
                uid: self.pod.runtime_uid().to_owned(),
                node: self.pod.node.to_string(),
                container: String::new(),
                interface: self.interface.to_owned(),
                network: String::new(),
                ..Holder::default()
            }),
            co_holder: None,
            claim: None,
            cooldown: self.pool.cooldown,
            termination: self.pod.termination,
            held_since: None,
            released_at: None,
            quarantined_until: None,
            gone_since: None,
            foreign_mac: None,
        }
    }
}
