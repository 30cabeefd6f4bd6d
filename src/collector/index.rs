//! A look, so arranged that each question about it costs little.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::snapshot::{LeaseSnapshot, PodSnapshot, Snapshot};
use crate::lease::State;

/// A look by uid and by address.
pub struct SnapshotIndex<'a> {
    /// What is arranged.
    pub snapshot: &'a Snapshot,
    pods: HashMap<&'a str, &'a PodSnapshot>,
    reporters: HashMap<IpAddr, Vec<&'a PodSnapshot>>,
    leased: HashMap<IpAddr, Vec<&'a LeaseSnapshot>>,
}

impl<'a> SnapshotIndex<'a> {
    /// Arranges a look.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut pods = HashMap::with_capacity(snapshot.pods.len());
        let mut reporters: HashMap<IpAddr, Vec<&PodSnapshot>> = HashMap::new();
        for pod in &snapshot.pods {
            pods.insert(&*pod.uid, pod);
            pods.extend(pod.mirrors.as_deref().map(|uid| (uid, pod)));
            let addresses: HashSet<IpAddr> = pod.reports.iter().map(|r| r.address).collect();
            for address in addresses.into_iter().filter(|_| pod.is_alive()) {
                reporters.entry(address).or_default().push(pod);
            }
        }
        let mut leased: HashMap<IpAddr, Vec<&LeaseSnapshot>> = HashMap::new();
        for lease in &snapshot.leases {
            leased.entry(lease.name.address).or_default().push(lease);
        }
        Self {
            snapshot,
            pods,
            reporters,
            leased,
        }
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

    /// Whether a pod that lives holds `address` in any vrf: then that is what it reports.
    #[must_use]
    pub fn explains(&self, pod: &PodSnapshot, address: IpAddr) -> bool {
        self.leases_of(address).iter().any(|lease| {
            let held_by = |holder: &super::snapshot::HolderSnapshot| pod.is(&holder.uid);
            lease.state == State::Held && lease.holder.as_ref().is_some_and(held_by)
        })
    }

    /// A pod that lives, is not the lease's holder, and reports its address without a lease of its own that says so.
    #[must_use]
    pub fn rival(&self, lease: &LeaseSnapshot) -> Option<&'a PodSnapshot> {
        let holder = lease.holder.as_ref();
        let others = self.reporters.get(&lease.name.address)?;
        others.iter().copied().find(|pod| {
            !holder.is_some_and(|holder| pod.is(&holder.uid))
                && !self.explains(pod, lease.name.address)
        })
    }
}
