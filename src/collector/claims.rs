//! What becomes of a claim: which addresses are in its set, and which leases that takes.
//!
//! A function of what was listed. A set of a person's claim is what its spec asks for, as far as
//! the pools may give it to the claim's namespace; a derived one is what its maker has listed. An
//! address that is to leave a set stays in it until no ADD can be taking it any more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::index::SnapshotIndex;
use super::rules::Case;
use super::snapshot::LeaseSnapshot;
use crate::api::{Condition, IPClaimStatus, Time};
use crate::claim::{Claim, ClaimName, Source};
use crate::ip::Family;
use crate::lease::{LeaseName, State};
use crate::pool::{Pool, Pools, Scope};
use crate::select::Labels;
use crate::text::first_few;

mod derived;
mod ending;

use derived::Requests;
pub(super) use derived::{ApplicationKey, Applications, Existence, application_of};

/// The condition that says whether a set is what was asked for.
const READY: &str = "Ready";

/// An address that a claim asks for.
#[derive(Debug, Clone)]
pub(super) enum Member {
    /// Its lease has the claim, and no other pod can have it.
    Confirmed,
    /// It is in the set, and this is why it is not confirmed.
    Unconfirmed(String),
    /// It has no lease: one is to be made, out of this pool.
    Missing(Arc<Pool>),
    /// Its lease has no claim: a plain pod has it, or had it last.
    Plain(LeaseName),
    /// It is in a set that the plugin made, and another pod has it.
    Lost,
    /// The claim may not have it.
    NotAllowed(String),
}

impl Member {
    /// One that a pod outside the set has.
    pub fn held(address: IpAddr, pod: &str) -> Self {
        Self::Unconfirmed(format!("{address} is held by {pod} until that ends"))
    }
}

/// Addresses that a claim asks for and that are still to be chosen.
#[derive(Debug, Clone)]
pub(super) struct Wanting {
    pub count: usize,
    pub pools: Vec<Arc<Pool>>,
}

/// What a claim's set should be.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub members: BTreeMap<IpAddr, Member>,
    pub wanting: Vec<Wanting>,
    /// Members that no pod takes from now on.
    leaving: BTreeSet<IpAddr>,
    /// Members that no ADD can be taking any more.
    gone: BTreeSet<IpAddr>,
    used: usize,
    /// Whether the application of a derived claim exists, as far as that is known.
    pub existence: Option<Existence>,
    /// Whether no living pod of the application asks for it, as far as that is known.
    pub unused: Option<bool>,
}

/// What is known of all claims.
pub(super) struct AllClaims<'a> {
    pub index: &'a SnapshotIndex<'a>,
    applications: &'a Applications<'a>,
    requests: Requests<'a>,
    leases: HashMap<&'a LeaseName, &'a LeaseSnapshot>,
    /// Which claim lists an address: the oldest, where several do.
    listed: HashMap<LeaseName, &'a ClaimName>,
}

impl<'a> AllClaims<'a> {
    pub fn of(index: &'a SnapshotIndex<'a>, applications: &'a Applications<'a>) -> Self {
        let snapshot = index.snapshot;
        let mut claims: Vec<&Claim> = snapshot.sets.values().flatten().collect();
        claims.sort_by_key(|claim| (created(claim), &claim.name));
        let mut listed = HashMap::new();
        for claim in claims {
            for address in asked(claim) {
                let name = lease_name(claim, address);
                listed.entry(name).or_insert(&claim.name);
            }
        }
        Self {
            index,
            applications,
            requests: Requests::of(snapshot),
            leases: snapshot
                .leases
                .iter()
                .map(|lease| (&lease.name, lease))
                .collect(),
            listed,
        }
    }

    /// What the set of a claim should be, in a namespace of these labels.
    pub fn plan(&self, claim: &Claim, labels: &Labels, pools: &Pools, case: &Case<'_>) -> Plan {
        let mut plan = Plan::default();
        match &claim.source {
            Source::Listed(_) => {
                for address in asked(claim) {
                    let member = self.listed_member(claim, address, labels, pools);
                    plan.members.insert(address, member);
                }
            }
            Source::Sized { size, pools: names } => {
                let pools = sized_pools(claim, names, labels, pools);
                for family in Family::BOTH {
                    let of_family = pools.iter().filter(|pool| pool.family() == family);
                    let of_family: Vec<Arc<Pool>> = of_family.cloned().collect();
                    self.choose(claim, *size, &of_family, family, &mut plan);
                }
            }
            Source::Derived(owner) => self.plan_derived(claim, owner, pools, case, &mut plan),
        }
        self.let_go(claim, case, &mut plan);
        let used = |address: &&IpAddr| {
            let lease = self.lease(claim, **address);
            lease.is_some_and(|it| it.state == State::Held && claim.name.is_in(it.claim.as_deref()))
        };
        plan.used = plan.members.keys().filter(used).count();
        plan
    }

    fn lease(&self, claim: &Claim, address: IpAddr) -> Option<&'a LeaseSnapshot> {
        self.leases.get(&lease_name(claim, address)).copied()
    }

    fn listed_member(
        &self,
        claim: &Claim,
        address: IpAddr,
        labels: &Labels,
        pools: &Pools,
    ) -> Member {
        let name = lease_name(claim, address);
        if let Some(other) = self
            .listed
            .get(&name)
            .filter(|other| ***other != claim.name)
        {
            return Member::NotAllowed(format!("{address} is in IPClaim {other} already"));
        }
        let giving: Vec<&Arc<Pool>> = (pools.iter().flatten())
            .filter(|pool| pool.vrf == claim.vrf && pool.usable.contains(address) && !pool.deleting)
            .collect();
        let admitting = giving.iter().find(|pool| admits(pool, claim, labels));
        match (admitting, giving.first()) {
            (Some(pool), _) => self.member(claim, address, Some(pool)),
            (None, Some(pool)) => Member::NotAllowed(format!(
                "pool {} gives {address} to other namespaces",
                pool.name
            )),
            (None, None) => Member::NotAllowed(format!("no pool gives {address}")),
        }
    }

    /// An address that the claim may have, out of this pool if it has no lease.
    fn member(&self, claim: &Claim, address: IpAddr, pool: Option<&Arc<Pool>>) -> Member {
        let Some(lease) = self.lease(claim, address) else {
            return match pool {
                Some(pool) if pool.is_for_every_pod() && !pool.disabled => {
                    Member::Missing(Arc::clone(pool))
                }
                Some(_) | None => {
                    Member::Unconfirmed(format!("{address} has no lease until a pod takes it"))
                }
            };
        };
        let holder = lease.holder.as_ref();
        let who = holder.map_or_else(
            || "an unknown pod".to_owned(),
            |holder| format!("{}/{}", holder.namespace, holder.pod),
        );
        match (lease.state, &lease.claim) {
            (State::Retained, of) if claim.name.is_in(of.as_deref()) => Member::Confirmed,
            (State::Held, of) if claim.name.is_in(of.as_deref()) => {
                let pod = holder.and_then(|holder| self.pod_of(holder));
                let is_own = claim.confirmed.contains(&address)
                    || matches!(claim.source, Source::Derived(_))
                    || pod == Some(&*claim.name.name);
                if is_own {
                    Member::Confirmed
                } else {
                    Member::held(address, &who)
                }
            }
            (State::Held | State::Cooling, None) => Member::Plain(lease.name.clone()),
            (State::Retained | State::Held | State::Cooling, _) => Member::Unconfirmed(format!(
                "{address} is kept for another claim, last held by {who}"
            )),
            (State::Quarantined | State::Unknown, _) => {
                Member::Unconfirmed(format!("{address} is not available"))
            }
        }
    }

    /// The claim that the holder's pod names.
    fn pod_of(&self, holder: &super::HolderSnapshot) -> Option<&'a str> {
        self.index.pod(&holder.uid)?.claim.as_deref()
    }

    /// Of the members that are in these pools as many as are asked for; what is missing is to be
    /// chosen.
    fn choose(
        &self,
        claim: &Claim,
        size: u32,
        pools: &[Arc<Pool>],
        family: Family,
        plan: &mut Plan,
    ) {
        if pools.is_empty() {
            return;
        }
        let size = size as usize;
        let mut kept: Vec<IpAddr> = (claim.addresses.iter().copied())
            .filter(|address| Family::of(*address) == family)
            .filter(|address| pools.iter().any(|pool| pool.usable.contains(*address)))
            .collect();
        // A pod's address stays in the set; of the others the last go.
        kept.sort_by_key(|address| {
            let lease = self.lease(claim, *address);
            (
                lease.is_none_or(|lease| lease.state != State::Held),
                *address,
            )
        });
        kept.truncate(size.max(self.held(claim, &kept)));
        let wanting = Wanting {
            count: size.saturating_sub(kept.len()),
            pools: pools
                .iter()
                .filter(|pool| !pool.disabled)
                .cloned()
                .collect(),
        };
        for address in kept {
            let pool = pools.iter().find(|pool| pool.usable.contains(address));
            plan.members
                .insert(address, self.member(claim, address, pool));
        }
        if wanting.count > 0 {
            plan.wanting.push(wanting);
        }
    }

    fn held(&self, claim: &Claim, addresses: &[IpAddr]) -> usize {
        let is_held = |address: &&IpAddr| {
            let lease = self.lease(claim, **address);
            lease.is_some_and(|lease| lease.state == State::Held)
        };
        addresses.iter().filter(is_held).count()
    }

    /// What the set has and nothing asks for any more: first no pod takes it, and once no ADD can
    /// be taking it, it goes.
    fn let_go(&self, claim: &Claim, case: &Case<'_>, plan: &mut Plan) {
        for &address in &claim.addresses {
            let is_asked = match plan.members.get(&address) {
                Some(Member::NotAllowed(_)) | None => false,
                Some(_) => true,
            };
            if is_asked {
                continue;
            }
            let lease = self.lease(claim, address);
            match lease.filter(|lease| claim.name.is_in(lease.claim.as_deref())) {
                Some(lease) if lease.state == State::Retained => {
                    let is_over = claim.leaving.contains(&address) && case.has_stood(lease);
                    if is_over {
                        plan.gone.insert(address);
                    } else {
                        plan.leaving.insert(address);
                    }
                }
                // A pod has it, and gives it back some time.
                Some(_) => {}
                None => {
                    plan.gone.insert(address);
                }
            }
        }
    }

    /// Whether a claim lists this address already.
    pub fn is_listed(&self, name: &LeaseName) -> bool {
        self.listed.contains_key(name) || self.leases.contains_key(name)
    }
}

impl Plan {
    /// The status that the claim should have, where that is not the one that it has.
    pub fn status(&self, claim: &Claim, now: Timestamp) -> Option<IPClaimStatus> {
        let old = claim.object.status.clone().unwrap_or_default();
        let is_in = |address: &IpAddr| !self.gone.contains(address);
        let mut addresses = claim.addresses.clone();
        let mut confirmed: BTreeSet<IpAddr> = claim.confirmed.clone();
        for (&address, member) in &self.members {
            match member {
                Member::NotAllowed(_) => continue,
                Member::Lost => {
                    addresses.remove(&address);
                    continue;
                }
                Member::Confirmed => {
                    confirmed.insert(address);
                }
                Member::Unconfirmed(_) | Member::Missing(_) | Member::Plain(_) => {
                    confirmed.remove(&address);
                }
            }
            addresses.insert(address);
        }
        let texts = |set: &BTreeSet<IpAddr>| -> Vec<String> {
            set.iter()
                .filter(|it| is_in(it))
                .map(ToString::to_string)
                .collect()
        };
        confirmed.retain(|address| addresses.contains(address));
        let addresses = texts(&addresses);
        let status = IPClaimStatus {
            size: i64::try_from(addresses.len()).unwrap_or(i64::MAX),
            used: i64::try_from(self.used).unwrap_or(i64::MAX),
            addresses,
            confirmed: texts(&confirmed),
            leaving: texts(&self.leaving),
            conditions: self.conditions(claim, &old.conditions, now),
            observed_generation: claim.object.metadata.generation,
            ..old.clone()
        };
        (status != old).then_some(status)
    }

    fn conditions(&self, claim: &Claim, old: &[Condition], now: Timestamp) -> Vec<Condition> {
        let (reason, message) = self.ready(claim);
        let status = if reason == "Confirmed" {
            "True"
        } else {
            "False"
        };
        let same = old
            .iter()
            .find(|it| it.type_ == READY && it.status == status);
        let ready = Condition {
            type_: READY.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: same.map_or(Time(now), |it| it.last_transition_time.clone()),
            observed_generation: claim.object.metadata.generation,
        };
        let ending = self.ending(claim, now);
        let is_ours = |type_: &str| type_ == READY || ending.iter().any(|it| it.type_ == type_);
        let others = old.iter().filter(|it| !is_ours(&it.type_)).cloned();
        let others: Vec<Condition> = others.collect();
        std::iter::once(ready).chain(others).chain(ending).collect()
    }

    fn ready(&self, claim: &Claim) -> (&'static str, String) {
        let (mut barred, mut open) = (Vec::new(), Vec::new());
        for (address, member) in &self.members {
            match member {
                Member::Confirmed | Member::Lost => {}
                Member::NotAllowed(why) => barred.push(why.clone()),
                Member::Unconfirmed(why) => open.push(why.clone()),
                Member::Missing(_) => open.push(format!("{address} has no lease yet")),
                Member::Plain(_) => open.push(format!("{address} was given to another pod before")),
            }
        }
        let wanting: usize = self.wanting.iter().map(|wanting| wanting.count).sum();
        if !barred.is_empty() {
            ("NotAllowed", first_few(&barred))
        } else if wanting > 0 {
            let message = format!("its pools have {wanting} too few: enlarge one or name another");
            ("PoolFull", message)
        } else if !open.is_empty() {
            ("Incomplete", first_few(&open))
        } else if self.members.is_empty() {
            let (reason, message) = match claim.source {
                Source::Derived(_) => ("Incomplete", "no pod's call has made the set yet"),
                Source::Sized { .. } | Source::Listed(_) => (
                    "NotAllowed",
                    "none of spec.pools exists that gives to this namespace, whatever the pod, node and network are",
                ),
            };
            (reason, message.to_owned())
        } else {
            ("Confirmed", String::new())
        }
    }
}

/// The pools of a size that the collector may choose from: those that give to this namespace,
/// whatever pod, node and network are.
fn sized_pools(claim: &Claim, names: &[String], labels: &Labels, pools: &Pools) -> Vec<Arc<Pool>> {
    let found = names.iter().filter_map(|name| pools.get(name)?.ok());
    let fitting = found.filter(|pool| {
        pool.vrf == claim.vrf
            && !pool.deleting
            && pool.is_for_every_pod()
            && admits(pool, claim, labels)
    });
    fitting.cloned().collect()
}

fn admits(pool: &Pool, claim: &Claim, labels: &Labels) -> bool {
    match &pool.namespaces {
        Scope::Named(names) => names.contains(&claim.name.namespace),
        Scope::Labeled(affinity) => affinity.unmet(labels).is_none(),
    }
}

/// The addresses that a claim asks for by themselves.
fn asked(claim: &Claim) -> Vec<IpAddr> {
    let mut asked = claim.addresses.clone();
    if let Source::Listed(_) = &claim.source {
        asked = claim.listed().collect();
    }
    asked.into_iter().collect()
}

/// The name of the lease of an address of a claim.
pub(super) fn lease_name(claim: &Claim, address: IpAddr) -> LeaseName {
    LeaseName {
        vrf: claim.vrf.clone(),
        address,
    }
}

fn created(claim: &Claim) -> Option<Timestamp> {
    let created = claim.object.metadata.creation_timestamp.as_ref();
    created.map(|Time(at)| *at)
}
