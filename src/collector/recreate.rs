//! Addresses that pods use and that have no lease: leases deleted by mistake, an etcd restored from
//! yesterday.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::index::SnapshotIndex;
use super::marks::MarkTable;
use super::snapshot::PodSnapshot;
use crate::claim::Source;
use crate::ip::{PoolName, Vrf};
use crate::lease::{ClaimRef, Holder, Lease, LeaseName, State};
use crate::pool::{Pool, Pools};

mod claim;

pub(super) use claim::Keepers;

/// The interface of a pod whose report names none: the one that kubelet knows of.
const FIRST: &str = "eth0";

/// An address without a lease.
#[derive(Debug, Clone)]
pub struct Missing<'a> {
    /// The pod that uses it.
    pub pod: &'a PodSnapshot,
    /// The address.
    pub address: IpAddr,
    /// The interface that has it.
    pub interface: &'a str,
    /// The pool that it is of.
    pub pool: Arc<Pool>,
    /// What keeps it beyond the pod.
    pub claim: Option<ClaimRef>,
    /// Whether an earlier run saw it missing too.
    pub was_seen: bool,
}

/// The addresses that living pods use, that are of a pool of the default vrf, and that have no
/// lease.
///
/// A pod's place does not show its vrf: a pod that holds the address in another vrf uses it there.
/// An address that a Subnet gives counts while it is in a set.
///
/// A pool's exclusions, reservations and affinities do not matter: a pod keeps what it got before
/// them.
#[must_use]
pub fn missing<'a>(
    index: &SnapshotIndex<'a>,
    pools: &Pools,
    marks: &MarkTable,
) -> Vec<Missing<'a>> {
    let keepers = Keepers::of(index.snapshot);
    let mut found = BTreeSet::new();
    let mut missing = Vec::new();
    // Without a node it runs nowhere.
    let pods = index
        .snapshot
        .pods
        .iter()
        .filter(|pod| !pod.node.is_empty());
    for pod in pods {
        for address in index.addresses_of(pod) {
            let mut leases = index.leases_of(address).iter();
            if leases.any(|lease| lease.name.vrf.is_default()) || index.explains(pod, address) {
                continue;
            }
            let pool = match keepers.member(address).map(|claim| &claim.source) {
                Some(Source::Derived(owner)) => {
                    let subnet = PoolName::of_subnet(&owner.subnet);
                    pools.get(subnet.as_str()).and_then(Result::ok)
                }
                Some(Source::Listed(_) | Source::Sized { .. }) | None => pool_of(pools, address),
            };
            let Some(pool) = pool else {
                continue;
            };
            if found.insert(address) {
                let interface = interface(pod, address);
                let claim = match keepers.set(pod, address) {
                    Some(claim) => Some(claim.reference()),
                    None => keepers.slot(pod, interface, pool.name.as_str()),
                };
                let mark = marks.of_missing(&name_of(address), &pod.uid);
                missing.push(Missing {
                    pod,
                    address,
                    interface,
                    pool: Arc::clone(pool),
                    claim,
                    was_seen: mark.is_some(),
                });
            }
        }
    }
    missing
}

/// The pool that gives it; else one that lists it.
fn pool_of(pools: &Pools, address: IpAddr) -> Option<&Arc<Pool>> {
    let lists = || {
        let pools = pools.iter().flatten();
        pools.filter(move |pool| pool.lists(address))
    };
    lists()
        .find(|pool| pool.usable.contains(address))
        .or_else(|| lists().next())
}

/// The name of the lease of an address of the default vrf.
fn name_of(address: IpAddr) -> LeaseName {
    LeaseName {
        vrf: Vrf::default(),
        address,
    }
}

/// An address may be reported twice: by kubelet, which names no interface, and by Multus, which
/// does.
fn interface(pod: &PodSnapshot, address: IpAddr) -> &str {
    let mut reports = pod.attached.iter().flat_map(|attached| &attached.reports);
    let of_address = reports.find(|report| report.address == address);
    of_address.map_or(FIRST, |report| &report.interface)
}

impl Missing<'_> {
    /// The name of the lease that should be there.
    #[must_use]
    pub fn name(&self) -> LeaseName {
        name_of(self.address)
    }

    /// Whether it is recreated now. A pod that is being deleted may have given it back a moment
    /// ago, and keeps it in its status until its object goes: that takes two runs.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.was_seen || !self.pod.deleting
    }

    /// Whether a pod as it is now still uses the address.
    #[must_use]
    pub fn is_confirmed_by(&self, now: &PodSnapshot) -> bool {
        let in_annotation = || {
            let reports = now.attached.iter().flat_map(|attached| &attached.reports);
            reports
                .into_iter()
                .any(|report| report.address == self.address)
        };
        now.uid == self.pod.uid
            && now.is_alive()
            && (now.has_address(self.address)
                || !self.pod.has_address(self.address) && in_annotation())
    }

    /// The lease that should be there. Its container is not known; the pod's next call is matched
    /// by uid and interface.
    #[must_use]
    pub fn lease(&self) -> Lease {
        Lease {
            name: self.name(),
            pool: self.pool.name.clone(),
            state: State::Held,
            holder: Some(Holder {
                namespace: self.pod.namespace.to_string(),
                pod: self.pod.name.to_string(),
                uid: self.pod.runtime_uid().to_string(),
                node: self.pod.node.to_string(),
                container: String::new(),
                interface: self.interface.to_owned(),
                network: String::new(),
                ..Holder::default()
            }),
            co_holder: None,
            claim: self.claim.clone(),
            cooldown: self.pool.cooldown,
            termination: self.pod.termination,
            held_since: None,
            released_at: None,
            attachment_failed: false,
            quarantined_until: None,
            foreign_mac: None,
        }
    }
}

#[cfg(test)]
mod tests;
