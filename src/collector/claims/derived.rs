//! What becomes of a set that the plugin made for an application.
//!
//! Its members are its makers' to choose. What is decided here is which of them leave, because no
//! living pod asks for so many; what a list is made of that was lost; and whether the application
//! still exists. What is not known keeps the set as it is.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{AllClaims, Plan};
use crate::api::{ClaimOwner, SetOwner};
use crate::claim::{Claim, Source};
use crate::collector::compact::Uid;
use crate::collector::rules::Case;
use crate::collector::snapshot::{ApplicationSnapshot, DerivedRequest, LeaseSnapshot, Snapshot};
use crate::ip::PoolName;
use crate::lease::{Lease, State};
use crate::pool::Pools;

/// An application: its namespace, group, kind and name.
pub(in crate::collector) type ApplicationKey<'a> = [&'a str; 4];

/// The applications of all sets, as far as they could be read.
pub(in crate::collector) type Applications<'a> = HashMap<ApplicationKey<'a>, ApplicationSnapshot>;

/// The application of a set.
pub(in crate::collector) fn application_of<'a>(
    claim: &'a Claim,
    owner: &'a SetOwner,
) -> ApplicationKey<'a> {
    [
        &claim.name.namespace,
        &owner.group,
        &owner.kind,
        &owner.name,
    ]
}

/// Whether the application of a set exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::collector) enum Existence {
    Exists,
    Gone(String),
}

/// What living pods ask of sets.
#[derive(Debug, Default)]
pub(super) struct Requests<'a> {
    known: HashMap<ApplicationKey<'a>, Vec<&'a DerivedRequest>>,
    /// The namespaces with a pod that may be of any application.
    unknown: HashSet<&'a str>,
}

impl<'a> Requests<'a> {
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let mut requests = Self::default();
        for pod in snapshot.pods.iter().filter(|pod| pod.is_alive()) {
            let Some(request) = pod.derived.as_deref() else {
                continue;
            };
            let namespace: &str = &pod.namespace;
            match &request.application {
                None => {
                    requests.unknown.insert(namespace);
                }
                Some(ClaimOwner {
                    group, kind, name, ..
                }) => {
                    let key = [namespace, group, kind, name];
                    requests.known.entry(key).or_default().push(request);
                }
            }
        }
        requests
    }

    /// Those of the living pods of the claim's application; `None`: there may be others.
    pub fn of_claim<'b>(
        &'b self,
        claim: &'b Claim,
        owner: &'b SetOwner,
    ) -> Option<&'b [&'b DerivedRequest]> {
        if self.unknown.contains(&*claim.name.namespace) {
            return None;
        }
        let known = self.known.get(&application_of(claim, owner));
        Some(known.map_or(&[], Vec::as_slice))
    }
}

impl AllClaims<'_> {
    pub(super) fn plan_derived(
        &self,
        claim: &Claim,
        owner: &SetOwner,
        pools: &Pools,
        case: &Case<'_>,
        plan: &mut Plan,
    ) {
        let addresses = if claim.is_unmade() {
            self.named(claim, case)
        } else {
            claim.addresses.iter().copied().collect()
        };
        let subnet = PoolName::of_subnet(&owner.subnet);
        let pool = pools.get(subnet.as_str()).and_then(Result::ok);
        // What its Subnet gives no more, because it was reserved since, leaves for another to come.
        let is_given = |address: &IpAddr| pool.is_none_or(|pool| pool.usable.contains(*address));
        for address in addresses.into_iter().filter(is_given) {
            let member = self.member(claim, address, pool);
            plan.members.insert(address, member);
        }
        let application = self.applications.get(&application_of(claim, owner));
        plan.existence = match application {
            Some(ApplicationSnapshot::Exists(_)) => Some(Existence::Exists),
            Some(ApplicationSnapshot::Gone) => Some(Existence::Gone(gone(claim, owner))),
            Some(ApplicationSnapshot::UnknownKind) | None => None,
        };
        // Of an application that can't be read nothing is known.
        let is_known = plan.existence.is_some();
        plan.unused = is_known.then(|| self.is_unused(claim, owner)).flatten();
        if let Some(wanted) = self.wanted(claim, owner) {
            self.shrink(claim, owner, wanted, plan);
        }
    }

    /// What names a claim that has no list: a list that was lost, or never written because its
    /// maker died. Nothing, while a maker may be at work.
    fn named(&self, claim: &Claim, case: &Case<'_>) -> Vec<IpAddr> {
        let leases = self.index.snapshot.leases.iter();
        let named: Vec<&LeaseSnapshot> = leases
            .filter(|lease| {
                lease.name.vrf == claim.vrf
                    && matches!(lease.state, State::Held | State::Retained)
                    && claim.name.is_in(lease.claim.as_deref())
            })
            .collect();
        // None is held before the list is written.
        let is_lost = |lease: &&LeaseSnapshot| lease.state == State::Held || case.has_stood(lease);
        if named.iter().any(is_lost) {
            named.iter().map(|lease| lease.name.address).collect()
        } else {
            Vec::new()
        }
    }

    /// The largest size that a living pod asks for; `None` where none lives, or that is unknown.
    fn wanted(&self, claim: &Claim, owner: &SetOwner) -> Option<usize> {
        let requests = self.requests.of_claim(claim, owner)?;
        let application = self.applications.get(&application_of(claim, owner))?;
        let ApplicationSnapshot::Exists(replicas) = *application else {
            return None;
        };
        let wanted = |request: &&DerivedRequest| {
            let size = request.size?;
            size.fixed().or_else(|| Some(size.of(replicas?)))
        };
        let wanted: Option<Vec<u32>> = requests.iter().map(wanted).collect();
        wanted?.into_iter().max().map(|wanted| wanted as usize)
    }

    /// Takes as many members out as are too many: those that no pod has had, then those that were
    /// released first.
    fn shrink(&self, claim: &Claim, owner: &SetOwner, wanted: usize, plan: &mut Plan) {
        let surplus = plan.members.len().saturating_sub(wanted);
        if surplus == 0 {
            return;
        }
        let mut dispensable: Vec<_> = plan
            .members
            .keys()
            .filter_map(|&address| {
                let lease = self.lease(claim, address)?;
                let is_dispensable = lease.state == State::Retained
                    && claim.name.is_in(lease.claim.as_deref())
                    && !self.is_expected(claim, owner, lease);
                let order = (
                    // What leaves already, so that all runs choose the same.
                    Reverse(claim.leaving.contains(&address)),
                    lease.held_since.is_some(),
                    lease.released_at,
                    address,
                );
                is_dispensable.then_some(order)
            })
            .collect();
        dispensable.sort_unstable();
        for (_, _, _, address) in dispensable.into_iter().take(surplus) {
            plan.members.remove(&address);
        }
    }

    /// Whether a StatefulSet makes another pod of the name of the one that had this last.
    fn is_expected(&self, claim: &Claim, owner: &SetOwner, lease: &LeaseSnapshot) -> bool {
        if !owner.object().is_stateful_set() || lease.held_since.is_none() {
            return false;
        }
        let name = (
            claim.name.namespace.as_str().into(),
            owner.name.as_str().into(),
        );
        let sets = self.index.snapshot.stateful_sets.as_ref();
        match sets.and_then(|sets| sets.get(&name)) {
            Some(Some(set)) => {
                let pod = lease.holder.as_ref().map_or("", |holder| &*holder.pod);
                set.makes(&owner.name, pod) != Some(false)
            }
            Some(None) | None => true,
        }
    }

    /// Whether the holder of this lease, which has no claim, may be in the set: any, where a person
    /// has listed the address; of a set that the plugin made only a pod of its application.
    pub fn may_hold(&self, claim: &Claim, lease: &Lease) -> bool {
        let Source::Derived(owner) = &claim.source else {
            return true;
        };
        let Some(holder) = &lease.holder else {
            return false;
        };
        let pod = self.index.pod(&Uid::from(&holder.uid));
        holder.namespace == claim.name.namespace
            && holder.interface == owner.interface
            && pod.is_some_and(|pod| pod.is_of(owner))
    }
}

fn gone(claim: &Claim, owner: &SetOwner) -> String {
    let SetOwner { kind, name, .. } = owner;
    let then = if claim.is_reclaimed() {
        "the set goes some time after it, once no pod has an address of it"
    } else {
        "the set stays, because spec.reclaim is false"
    };
    format!("{kind} {name} does not exist; {then}")
}

impl Claim {
    /// Whether it goes with its application.
    pub(in crate::collector) fn is_reclaimed(&self) -> bool {
        self.object.spec.reclaim != Some(false)
    }
}

#[cfg(test)]
mod tests;
