//! A look, so arranged that each question about it costs little.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::seen::{LeaseSeen, Look, PodSeen};
use crate::lease::State;

/// A look by uid and by address.
pub struct Index<'a> {
    /// What is arranged.
    pub look: &'a Look,
    pods: HashMap<&'a str, &'a PodSeen>,
    reporters: HashMap<IpAddr, Vec<&'a PodSeen>>,
    leased: HashMap<IpAddr, Vec<&'a LeaseSeen>>,
}

impl<'a> Index<'a> {
    /// Arranges a look.
    #[must_use]
    pub fn of(look: &'a Look) -> Self {
        let mut pods = HashMap::with_capacity(look.pods.len());
        let mut reporters: HashMap<IpAddr, Vec<&PodSeen>> = HashMap::new();
        for pod in &look.pods {
            pods.insert(&*pod.uid, pod);
            pods.extend(pod.mirrors.as_deref().map(|uid| (uid, pod)));
            let addresses: HashSet<IpAddr> = pod.reports.iter().map(|r| r.address).collect();
            for address in addresses.into_iter().filter(|_| pod.is_alive()) {
                reporters.entry(address).or_default().push(pod);
            }
        }
        let mut leased: HashMap<IpAddr, Vec<&LeaseSeen>> = HashMap::new();
        for lease in &look.leases {
            leased.entry(lease.name.address).or_default().push(lease);
        }
        Self {
            look,
            pods,
            reporters,
            leased,
        }
    }

    /// The pod that its runtime calls by this uid.
    #[must_use]
    pub fn pod(&self, uid: &str) -> Option<&'a PodSeen> {
        self.pods.get(uid).copied()
    }

    /// The leases of an address, in whatever vrf.
    #[must_use]
    pub fn leases_of(&self, address: IpAddr) -> &[&'a LeaseSeen] {
        self.leased.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Whether a pod that lives holds `address` in any vrf: then that is what it reports.
    #[must_use]
    pub fn explains(&self, pod: &PodSeen, address: IpAddr) -> bool {
        self.leases_of(address).iter().any(|lease| {
            let held_by = |holder: &super::seen::HolderSeen| pod.is(&holder.uid);
            lease.state == State::Held && lease.holder.as_ref().is_some_and(held_by)
        })
    }

    /// A pod that lives, is not the lease's holder, and reports its address without a lease of its own that says so.
    #[must_use]
    pub fn rival(&self, lease: &LeaseSeen) -> Option<&'a PodSeen> {
        let holder = lease.holder.as_ref();
        let others = self.reporters.get(&lease.name.address)?;
        others.iter().copied().find(|pod| {
            !holder.is_some_and(|holder| pod.is(&holder.uid))
                && !self.explains(pod, lease.name.address)
        })
    }
}
