//! Which pools may serve a pod's interface, in which order, and why not the others.
//!
//! A function of what was read about the pod and of all pools. This module is sure of the
//! precedence (ARCHITECTURE.md, "Which pools"): for each family the first level that names any pool
//! decides, so a namespace that names IPv4 pools still gets IPv6 from elsewhere. An annotation of a
//! level that is not reached is not read. Whether a pool has room is not known here: later
//! candidates serve when earlier ones are full.
//!
//! # Invariants
//!
//! No candidate is one that a rule rejects. The order of an explicit list is kept. Every pool that
//! was considered is in the [`Trace`] with what became of it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::annotations::{self, Malformed, Unserved};
use crate::claim::Claim;
use crate::cni::FamilyPolicy;
use crate::ip::{Family, Vrf};
use crate::pool::{Pool, Pools, Scope};
use crate::routes::Routing;

mod candidates;
mod error;
mod input;
mod interfaces;
mod precedence;
mod routing;
mod rules;
mod set_size;
mod trace;

pub use error::{AnnotationSource, Error};
pub use input::{Facts, Labels, ObjectMetadata, PodFacts, Request};
pub use rules::Rejection;
pub use set_size::set_size;
pub use trace::{Considered, FamilyTrace, Level, Trace};

use interfaces::Interfaces;
use routing::Carrier;
use rules::MatchInput;

/// What was chosen for an interface.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The families that may be served, in the order of the wishes.
    pub families: Vec<FamilyChoice>,
    /// Which routes the interface gets, once its pools are known.
    pub routing: Routing,
    /// How it came about.
    pub trace: Trace,
    /// The families that an address is requested of, or else must not be left out.
    required: Vec<Family>,
}

/// The pools of one family.
#[derive(Debug, Clone)]
pub struct FamilyChoice {
    /// The family.
    pub family: Family,
    /// Which level named the pools.
    pub level: Level,
    /// The pools that may give an address, in order of preference. Never empty after
    /// [`Selection::settle`], unless the family is resumed.
    pub candidates: Vec<Arc<Pool>>,
    /// Pools that would be candidates were they not disabled: an address that this pod already has
    /// there it may keep.
    pub resumable: Vec<Arc<Pool>>,
    /// The address that was requested, and the candidate that gives it;
    /// [`candidates`](Self::candidates) and [`resumable`](Self::resumable) are those that hold it.
    pub requested: Option<(IpAddr, Arc<Pool>)>,
    /// The set that the address must be a member of.
    pub set: Option<Claim>,
}

/// Whether a pool of `vrf`, or a Subnet where the pod names any, selects by the labels of nodes, so
/// [`Facts::node_labels`] must be read.
#[must_use]
pub fn needs_node(pod: &PodFacts, pools: &Pools, vrf: &Vrf) -> bool {
    let needs = |pool: &Arc<Pool>| {
        let by_labels = matches!(&pool.nodes, Scope::Labeled(affinity) if !affinity.fits_all());
        by_labels && pool.vrf == *vrf
    };
    pools.iter().flatten().any(needs)
        || annotations::names_subnet(&pod.annotations) && pools.subnets().flatten().any(needs)
}

/// Chooses. A family whose pools are all disabled is in the selection too, with candidates empty,
/// until [`Selection::settle`] hears whether the pod has an address there.
pub fn select(facts: &Facts, pools: &Pools, request: &Request) -> Result<Selection, Error> {
    if let Some(&address) = request
        .requested
        .iter()
        .find(|a| !request.families.contains(&Family::of(**a)))
    {
        return Err(Error::FamilyNotGiven { address });
    }
    annotations::of_pod(&facts.pod.annotations).map_err(unserved(AnnotationSource::Pod))?;
    annotations::of_namespace(&facts.namespace.annotations)
        .map_err(unserved(AnnotationSource::Namespace))?;
    let interfaces =
        Interfaces::of(&facts.pod, request, pools).map_err(malformed(AnnotationSource::Pod))?;
    if let Some(claim) = request.claim.as_ref().filter(|c| c.vrf != request.vrf) {
        return Err(Error::ClaimOfOtherVrf {
            claim: claim.name.clone(),
            found: claim.vrf.clone(),
            wanted: request.vrf.clone(),
        });
    }
    let named = precedence::named(facts, request, &interfaces, pools)?;
    let input = MatchInput {
        facts,
        request,
        attachment: interfaces.attachment(),
    };
    let mut trace = Trace::default();
    let mut families = Vec::new();
    for &family in &request.families {
        let (choice, considered) = candidates::choose(family, named.of(family), pools, &input);
        trace.families.push(considered);
        families.push(choice);
    }
    if let Some(family) = trace
        .families
        .iter()
        .find(|f| nothing_exists(f))
        .map(|f| f.family)
    {
        return Err(Error::NoPool {
            families: vec![family],
            trace: Box::new(trace),
        });
    }
    families.retain(|choice| !choice.candidates.is_empty() || !choice.resumable.is_empty());
    for choice in &mut families {
        let asked = request
            .requested
            .iter()
            .find(|a| Family::of(**a) == choice.family);
        if let Some(&address) = asked {
            choice.narrow(address, &trace)?;
        }
    }
    let clean_gateway = named.clean_gateway.unwrap_or(request.clean_gateway);
    let carrier = Carrier {
        interfaces: &interfaces,
        is_only_one: interfaces.is_only_one() && !named.several_interfaces,
        clean_gateway,
    };
    let routing = routing::of(&facts.pod, pools, &carrier, &families)?;
    let selection = Selection {
        families,
        routing,
        trace,
        required: required(request),
    };
    selection.checked()
}

fn malformed(object: AnnotationSource) -> impl Fn(Malformed) -> Error {
    move |malformed| Error::Malformed {
        object,
        malformed: Box::new(malformed),
    }
}

fn unserved(object: AnnotationSource) -> impl Fn(Unserved) -> Error {
    move |unserved| Error::Unserved { object, unserved }
}

/// The families that the pod gets or is refused.
fn required(request: &Request) -> Vec<Family> {
    match request.policy {
        FamilyPolicy::SingleStack | FamilyPolicy::RequireDualStack => request.families.clone(),
        FamilyPolicy::PreferDualStack => request
            .requested
            .iter()
            .map(|address| Family::of(*address))
            .collect(),
    }
}

/// Pools were named, and there is none of them: the pod's author meant something that is not there.
fn nothing_exists(trace: &FamilyTrace) -> bool {
    let absent = |c: &Considered| matches!(c, Considered::Missing(_) | Considered::Unmatched(_));
    let missing = |c: &Considered| matches!(c, Considered::Missing(_));
    trace.considered.iter().all(absent) && trace.considered.iter().any(missing)
}

impl Selection {
    /// Leaves out the families that have no candidate, unless `resumed` is set, because the pod has
    /// an address in one of their [`resumable`](FamilyChoice::resumable) pools.
    ///
    /// # Errors
    ///
    /// [`Error::NoPool`] if a family is left out that must not be, or if none remains.
    pub fn settle(mut self, resumed: impl Fn(&FamilyChoice) -> bool) -> Result<Self, Error> {
        self.families
            .retain(|choice| !choice.candidates.is_empty() || resumed(choice));
        self.checked()
    }

    /// Whether a family is served by default pools, because nothing names a pool for it.
    #[must_use]
    pub fn has_default_pools(&self) -> bool {
        let by_default = |choice: &FamilyChoice| choice.level == Level::Default;
        self.families.iter().any(by_default)
    }

    /// Refuses a selection in which a family is not served that must be, or none is.
    fn checked(self) -> Result<Self, Error> {
        let served = |family: &Family| self.families.iter().any(|choice| choice.family == *family);
        let mut unserved: Vec<Family> = self
            .required
            .iter()
            .copied()
            .filter(|family| !served(family))
            .collect();
        if self.families.is_empty() {
            unserved = self.trace.families.iter().map(|f| f.family).collect();
        }
        if unserved.is_empty() {
            return Ok(self);
        }
        Err(Error::NoPool {
            families: unserved,
            trace: Box::new(self.trace),
        })
    }
}

impl FamilyChoice {
    /// Keeps the pools that give `address`.
    fn narrow(&mut self, address: IpAddr, trace: &Trace) -> Result<(), Error> {
        let pools = || self.candidates.iter().chain(&self.resumable);
        let barred = pools()
            .find(|pool| pool.subnet.contains(&address))
            .map(|pool| pool.name.clone());
        let candidates = pools().map(|pool| pool.name.clone()).collect();
        self.candidates.retain(|pool| pool.usable.contains(address));
        self.resumable.retain(|pool| pool.usable.contains(address));
        self.requested = self.candidates.first().map(|pool| (address, pool.clone()));
        if self.candidates.is_empty() && self.resumable.is_empty() {
            return Err(Error::NotInPool {
                address,
                barred,
                candidates,
                trace: Box::new(trace.clone()),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
