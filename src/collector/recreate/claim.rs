//! What keeps a recreated lease beyond its pod: what kept the one that is missing.
//!
//! A set says itself which addresses it has. Which network a slot is on, only leases say: it is
//! that of all others on such an interface, of the pool if that has any, if they agree. Where they
//! do not, the slot has its claim again with the pod's next ADD.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::api::{ClaimKind, ClaimRef};
use crate::claim::{Claim, Source};
use crate::collector::snapshot::{PodSnapshot, Snapshot};

/// What keeps addresses, as far as it is known without their leases.
pub(in crate::collector) struct Keepers<'a> {
    members: HashMap<IpAddr, &'a Claim>,
    snapshot: &'a Snapshot,
}

impl<'a> Keepers<'a> {
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let claims = snapshot.sets.values().flatten();
        let claims = claims.filter(|claim| claim.vrf.is_default() && !claim.deleting);
        let members = claims.flat_map(|claim| claim.addresses.iter().map(move |it| (*it, claim)));
        Self {
            members: members.collect(),
            snapshot,
        }
    }

    /// The claim that lists the address.
    pub fn member(&self, address: IpAddr) -> Option<&'a Claim> {
        self.members.get(&address).copied()
    }

    /// The set of this pod, if the address is in it.
    pub fn set(&self, pod: &PodSnapshot, address: IpAddr) -> Option<&'a Claim> {
        let claim = self.member(address)?;
        let is_its_pod = match &claim.source {
            Source::Derived(owner) => pod.is_of(owner),
            Source::Listed(_) | Source::Sized { .. } => {
                pod.claim.as_deref() == Some(&*claim.name.name)
            }
        };
        (is_its_pod && *pod.namespace == *claim.name.namespace).then_some(claim)
    }

    /// The slot of a pod whose name has its address for ever.
    pub fn slot(&self, pod: &PodSnapshot, interface: &str, pool: &str) -> Option<ClaimRef> {
        let sticky = pod.sticky.as_deref()?;
        Some(ClaimRef {
            kind: ClaimKind::Pod,
            namespace: pod.namespace.to_string(),
            name: pod.name.to_string(),
            interface: interface.to_owned(),
            network: self.network(interface, pool)?.to_owned(),
            owner: sticky.owner.clone(),
            ..ClaimRef::default()
        })
    }

    fn network(&self, interface: &str, pool: &str) -> Option<&'a str> {
        let networks = |of_pool: bool| {
            let leases = self.snapshot.leases.iter().filter(move |lease| {
                lease.name.vrf.is_default() && (!of_pool || lease.pool.as_str() == pool)
            });
            leases.filter_map(move |lease| {
                let holder = lease.holder.as_ref()?;
                let is_known = *holder.interface == *interface && !holder.network.is_empty();
                is_known.then_some(&*holder.network)
            })
        };
        let is_in_pool = networks(true).next().is_some();
        let mut networks = networks(is_in_pool);
        let network = networks.next()?;
        networks.all(|other| other == network).then_some(network)
    }
}
