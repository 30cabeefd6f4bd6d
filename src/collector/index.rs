//! A snapshot, so arranged that each question about it costs little.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::snapshot::{HolderSnapshot, LeaseSnapshot, PodSnapshot, Snapshot};
use crate::lease::State;

/// A snapshot by uid and by address.
pub struct SnapshotIndex<'a> {
    /// What is arranged.
    pub snapshot: &'a Snapshot,
    pods: HashMap<&'a str, &'a PodSnapshot>,
    reporters: BTreeMap<IpAddr, Vec<&'a PodSnapshot>>,
    leased: HashMap<IpAddr, Vec<&'a LeaseSnapshot>>,
}

impl<'a> SnapshotIndex<'a> {
    /// Arranges a snapshot.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut leased: HashMap<IpAddr, Vec<&LeaseSnapshot>> = HashMap::new();
        for lease in &snapshot.leases {
            leased.entry(lease.name.address).or_default().push(lease);
        }
        let mut index = Self {
            snapshot,
            pods: HashMap::with_capacity(snapshot.pods.len()),
            reporters: BTreeMap::new(),
            leased,
        };
        for pod in &snapshot.pods {
            index.pods.insert(&*pod.uid, pod);
            let mirrored = pod.mirrors.as_deref().map(|uid| (uid, pod));
            index.pods.extend(mirrored);
            for address in index.addresses_of(pod) {
                index.reporters.entry(address).or_default().push(pod);
            }
        }
        index
    }

    /// The addresses that a living pod is known to use: those that its kubelet reports, and those
    /// of its annotation that count.
    pub(super) fn addresses_of(&self, pod: &PodSnapshot) -> Vec<IpAddr> {
        if !pod.is_alive() {
            return Vec::new();
        }
        let attached = pod.attached.iter().flat_map(|attached| &attached.reports);
        let counts = attached
            .map(|report| report.address)
            .filter(|address| self.counts(pod, *address));
        let mut addresses: Vec<IpAddr> = pod.addresses.iter().copied().chain(counts).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// Whether its annotation's report of `address` counts: a lease of its own agrees, or a pool
    /// that may serve it has the address.
    fn counts(&self, pod: &PodSnapshot, address: IpAddr) -> bool {
        let key = (pod.uid.clone(), address);
        self.snapshot.admitted.contains(&key) || self.explains(pod, address)
    }

    /// The pod that its runtime calls by this uid.
    #[must_use]
    pub fn pod(&self, uid: &str) -> Option<&'a PodSnapshot> {
        self.pods.get(uid).copied()
    }

    /// The leases of an address, in whatever vrf.
    #[must_use]
    pub fn leases_of(&self, address: IpAddr) -> &[&'a LeaseSnapshot] {
        self.leased.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Whether a pod holds `address` in any vrf: then that is what it reports.
    #[must_use]
    pub fn explains(&self, pod: &PodSnapshot, address: IpAddr) -> bool {
        self.leases_of(address).iter().any(|lease| {
            let held_by = |holder: &HolderSnapshot| pod.is(&holder.uid);
            lease.state == State::Held && lease.holder.as_ref().is_some_and(held_by)
        })
    }

    /// The living pods that use an address, as far as it is known.
    #[must_use]
    pub fn reporters(&self, address: IpAddr) -> &[&'a PodSnapshot] {
        self.reporters.get(&address).map_or(&[], Vec::as_slice)
    }

    /// A living pod that is not the lease's holder and uses its address without a lease of its own
    /// for it.
    #[must_use]
    pub fn rival(&self, lease: &LeaseSnapshot) -> Option<&'a PodSnapshot> {
        let holder = lease.holder.as_ref();
        let others = self.reporters(lease.name.address).iter().copied();
        others.into_iter().find(|pod| {
            !holder.is_some_and(|holder| pod.is(&holder.uid))
                && !self.explains(pod, lease.name.address)
        })
    }

    /// Every address that two living pods use, with the pods: whatever leases there are, one of
    /// them disturbs the other.
    ///
    /// A pod that holds the address in another vrf uses it there. One that is being deleted and
    /// whose containers have all ended keeps what it had in its status until its object goes.
    pub fn contested(&self) -> impl Iterator<Item = (IpAddr, Vec<&'a PodSnapshot>)> {
        self.reporters.iter().filter_map(|(&address, pods)| {
            let elsewhere = |pod: &PodSnapshot| {
                let mut leases = self.leases_of(address).iter();
                leases.any(|lease| {
                    let holder = lease.holder.as_ref();
                    !lease.name.vrf.is_default() && holder.is_some_and(|holder| pod.is(&holder.uid))
                })
            };
            let users: Vec<&PodSnapshot> = pods
                .iter()
                .copied()
                .filter(|pod| !(elsewhere(pod) || pod.deleting && pod.containers_ended))
                .collect();
            (users.len() > 1).then_some((address, users))
        })
    }
}
