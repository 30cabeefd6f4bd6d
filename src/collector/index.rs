//! A snapshot, so arranged that each question about it costs little.

use std::net::IpAddr;

use super::compact::Uid;
use super::snapshot::{HolderSnapshot, LeaseSnapshot, PodSnapshot, Snapshot};
use crate::lease::State;

/// A snapshot by uid and by address.
///
/// In sorted lists: there may be half a million objects, and a map of that many takes as much memory
/// as they do.
pub struct SnapshotIndex<'a> {
    /// What is arranged.
    pub snapshot: &'a Snapshot,
    /// By their uid at the API server.
    pods: Vec<&'a PodSnapshot>,
    /// Mirror pods, by the uid of what they mirror.
    mirrors: Vec<(&'a Uid, &'a PodSnapshot)>,
    /// By address.
    reporters: Vec<(IpAddr, &'a PodSnapshot)>,
    /// By address.
    leases: Vec<&'a LeaseSnapshot>,
}

impl<'a> SnapshotIndex<'a> {
    /// Arranges a snapshot.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut leases: Vec<&LeaseSnapshot> = snapshot.leases.iter().collect();
        leases.sort_by_key(|lease| lease.name.address);
        let mut pods: Vec<&PodSnapshot> = snapshot.pods.iter().collect();
        pods.sort_by_key(|pod| &pod.uid);
        let mirrors = snapshot.pods.iter();
        let mirrors = mirrors.filter_map(|pod| Some((pod.mirrors.as_ref()?, pod)));
        let mut mirrors: Vec<_> = mirrors.collect();
        // Of several, of which all but one are forged, one that lives comes first.
        mirrors.sort_by_key(|(uid, pod)| (*uid, !pod.is_alive()));
        let mut index = Self {
            snapshot,
            pods,
            mirrors,
            reporters: Vec::new(),
            leases,
        };
        let mut reporters = Vec::with_capacity(snapshot.pods.len());
        for pod in &snapshot.pods {
            reporters.extend(index.addresses_of(pod).map(|address| (address, pod)));
        }
        reporters.sort_by_key(|(address, _)| *address);
        index.reporters = reporters;
        index
    }

    /// The addresses that a living pod is known to use: those that its kubelet reports, and those
    /// of its annotation that count.
    pub(super) fn addresses_of(&self, pod: &'a PodSnapshot) -> impl Iterator<Item = IpAddr> {
        let pod = Some(pod).filter(|pod| pod.is_alive());
        pod.into_iter().flat_map(|pod| {
            let reports = pod.attached.iter().flat_map(|attached| &attached.reports);
            let counts = reports
                .map(|report| report.address)
                .filter(|address| !pod.has_address(*address) && self.counts(pod, *address));
            pod.addresses.iter().copied().chain(counts)
        })
    }

    /// Whether its annotation's report of `address` counts: a lease of its own agrees, or a pool
    /// that may serve it has the address.
    fn counts(&self, pod: &PodSnapshot, address: IpAddr) -> bool {
        let key = (pod.uid.clone(), address);
        self.snapshot.admitted.contains(&key) || self.explains(pod, address)
    }

    /// The pod that its runtime calls by this uid. One whose own uid it is comes before all that
    /// claim to be its mirror, as anyone may who writes pods.
    #[must_use]
    pub fn pod(&self, uid: &Uid) -> Option<&'a PodSnapshot> {
        if let Ok(at) = self.pods.binary_search_by_key(&uid, |pod| &pod.uid) {
            return Some(self.pods[at]);
        }
        let at = self
            .mirrors
            .partition_point(|(mirrored, _)| *mirrored < uid);
        let (mirrored, pod) = self.mirrors.get(at)?;
        (*mirrored == uid).then_some(*pod)
    }

    /// The leases of an address, in whatever vrf.
    #[must_use]
    pub fn leases_of(&self, address: IpAddr) -> &[&'a LeaseSnapshot] {
        of_key(&self.leases, |lease| lease.name.address, address)
    }

    /// Whether a pod holds `address` in any vrf: then that is what it reports.
    #[must_use]
    pub fn explains(&self, pod: &PodSnapshot, address: IpAddr) -> bool {
        self.leases_of(address).iter().any(|lease| {
            let held_by = |holder: &HolderSnapshot| pod.is(&holder.uid);
            lease.state == State::Held && lease.holder.as_ref().is_some_and(held_by)
        })
    }

    /// The living pods that use an address, as far as it is known, each with the address.
    #[must_use]
    pub fn reporters(&self, address: IpAddr) -> &[(IpAddr, &'a PodSnapshot)] {
        of_key(&self.reporters, |(address, _)| *address, address)
    }

    /// A living pod that is not the lease's holder and uses its address without a lease of its own
    /// for it.
    #[must_use]
    pub fn rival(&self, lease: &LeaseSnapshot) -> Option<&'a PodSnapshot> {
        let holder = lease.holder.as_ref();
        let mut pods = (self.reporters(lease.name.address).iter()).map(|(_, pod)| *pod);
        pods.find(|pod| {
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
        let by_address = self.reporters.chunk_by(|(a, _), (b, _)| a == b);
        by_address.filter(|pods| pods.len() > 1).filter_map(|pods| {
            let address = pods[0].0;
            let elsewhere = |pod: &PodSnapshot| {
                let mut leases = self.leases_of(address).iter();
                leases.any(|lease| {
                    let holder = lease.holder.as_ref();
                    !lease.name.vrf.is_default() && holder.is_some_and(|holder| pod.is(&holder.uid))
                })
            };
            let users: Vec<&PodSnapshot> = pods
                .iter()
                .map(|(_, pod)| *pod)
                .filter(|pod| !(elsewhere(pod) || pod.deleting && pod.containers_ended))
                .collect();
            (users.len() > 1).then_some((address, users))
        })
    }
}

/// The part of a list that is sorted by this key which has it.
fn of_key<T, K: Ord + Copy>(sorted: &[T], key: impl Fn(&T) -> K, wanted: K) -> &[T] {
    let begin = sorted.partition_point(|item| key(item) < wanted);
    let end = begin + sorted[begin..].partition_point(|item| key(item) == wanted);
    &sorted[begin..end]
}
