//! What is true outside of the leases, and what must be true of them.
//!
//! Knows of sandboxes, of what was answered to whom and of nothing that the protocol does: the
//! rules are here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::net::IpAddr;

use leasehold::claim::Claim;
use leasehold::ip::Vrf;
use leasehold::lease::{ClaimKind, Holder, LeaseName, State};

use crate::fake_store::{FakeStore, hash, is_fresh};
use crate::runtime::{Stage, application_of};

/// The runtime's view: sandboxes, and what ADD answered.
#[derive(Default)]
pub struct Invariants {
    /// Containers of which a DEL has begun: nothing is promised to them any more.
    ended: RefCell<BTreeSet<&'static str>>,
    /// Containers whose sandbox has no namespace any more.
    gone: RefCell<BTreeSet<&'static str>>,
    /// What an ADD answered, by container: a promise until that container's DEL begins.
    promised: RefCell<BTreeMap<&'static str, Vec<IpAddr>>>,
    /// Containers whose ADD runs and has not met a moment in which there was no address for it.
    room: RefCell<BTreeSet<&'static str>>,
    /// Containers whose calls were killed, or ran out of time: the collector takes up what they
    /// leave.
    abandoned: RefCell<BTreeSet<&'static str>>,
    /// What was broken, in words.
    broken: RefCell<Option<String>>,
}

impl Invariants {
    pub fn state(&self) -> u64 {
        fn part<T: Hash>(cell: &RefCell<T>) -> u64 {
            hash(&*cell.borrow())
        }
        hash((
            part(&self.ended),
            part(&self.gone),
            part(&self.promised),
            part(&self.room),
        ))
    }

    pub fn exists(&self, container: &str) -> bool {
        !self.gone.borrow().contains(container)
    }

    pub fn end_namespace(&self, container: &'static str) {
        self.gone.borrow_mut().insert(container);
    }

    pub fn abandon(&self, container: &'static str) {
        self.abandoned.borrow_mut().insert(container);
    }

    pub fn begin_add(&self, container: &'static str) {
        self.room.borrow_mut().insert(container);
    }

    pub fn begin_del(&self, container: &'static str) {
        self.ended.borrow_mut().insert(container);
        self.promised.borrow_mut().remove(container);
    }

    /// ADD answers, with the only addresses that its container holds.
    pub fn answer(
        &self,
        fake_store: &FakeStore<'_>,
        container: &'static str,
        addresses: Vec<IpAddr>,
    ) {
        self.holds_only(fake_store, container, &addresses);
        if !self.ended.borrow().contains(container) {
            self.promised.borrow_mut().insert(container, addresses);
        }
    }

    /// ADD answers a pod whose address is kept for its name: it is the only one, and no other pod
    /// of that name has one.
    pub fn answer_slot(
        &self,
        fake_store: &FakeStore<'_>,
        (container, holder): (&'static str, &Holder),
        addresses: &[IpAddr],
        others: &[&'static str],
    ) {
        if let Some(second) = fake_store.second_of_slot(holder, addresses) {
            self.break_rule(format!(
                "{container} was answered with {addresses:?}, and {second} is kept for its name too"
            ));
        }
        let promised = self.promised.borrow();
        if let Some(other) = others.iter().find(|other| promised.contains_key(*other)) {
            self.break_rule(format!(
                "{container} was answered while {other} has an address under the same name"
            ));
        }
    }

    /// ADD found no address: there must have been a moment, while it ran, in which there was none.
    pub fn refuse(&self, fake_store: &FakeStore<'_>, container: &'static str) {
        self.holds_only(fake_store, container, &[]);
        if self.room.borrow().contains(container) {
            self.break_rule(format!(
                "{container} was refused although an address was available all the time"
            ));
        }
    }

    /// ADD has ended with these addresses: both families, or neither.
    fn holds_only(&self, fake_store: &FakeStore<'_>, container: &str, addresses: &[IpAddr]) {
        if let Some(surplus) = fake_store.surplus(container, addresses) {
            self.break_rule(format!(
                "{container} was answered with {addresses:?} and holds {surplus} too"
            ));
        }
    }

    pub fn break_rule(&self, how: String) {
        self.broken.borrow_mut().get_or_insert(how);
    }

    /// Checks the leases after a step.
    pub fn look(&self, stage: &Stage<'_>) -> Result<(), String> {
        self.room
            .borrow_mut()
            .retain(|container| has_room(stage, container));
        let leases = stage.fake_store.leases();
        for (&container, addresses) in &*self.promised.borrow() {
            for &address in addresses {
                if !leases
                    .get(&name_of(address))
                    .is_some_and(|seen| seen.is_held_by(container, "eth0"))
                {
                    return Err(format!(
                        "{address} is not held by {container}, whose ADD was answered with it"
                    ));
                }
            }
        }
        self.broken.take().map_or(Ok(()), Err)
    }
}

fn name_of(address: IpAddr) -> LeaseName {
    LeaseName {
        vrf: Vrf::default(),
        address,
    }
}

/// Whether there is an address for a container's ADD: one of each pool, or a member of its set, or
/// as many addresses as that lacks.
fn has_room(stage: &Stage<'_>, container: &str) -> bool {
    let Some(size) = stage.size_for(container) else {
        let kept = stage.fake_store.unavailable();
        return stage.pools.iter().all(|pool| {
            let inside = kept.iter().filter(|it| pool.usable.contains(it.address));
            (inside.count() as u128) < pool.usable.len()
        });
    };
    let (claims, leases) = (stage.fake_store.claims(), stage.fake_store.leases());
    let of_application = |claim: &&Claim| application_of_set(claim) == application_of(container);
    let Some(claim) = claims.values().find(of_application) else {
        return true;
    };
    let is_open = |address: IpAddr| {
        leases.get(&name_of(address)).is_none_or(|seen| {
            let is_member = claim.name.is_in(seen.lease.claim.as_ref());
            match seen.lease.state {
                State::Cooling => true,
                State::Retained => is_member,
                State::Held | State::Quarantined | State::Unknown => false,
            }
        })
    };
    let missing = size.saturating_sub(claim.addresses.len());
    let usable = &stage.pools[0].usable;
    let all = (0..usable.len()).filter_map(|index| usable.nth(index));
    let unlisted = all.filter(|address| !claim.lists(*address) && is_open(*address));
    claim.addresses.iter().any(|address| is_open(*address))
        || missing > 0 && unlisted.count() >= missing
}

fn application_of_set(claim: &Claim) -> String {
    let owner = claim.reference().owner;
    owner.map(|owner| owner.name).unwrap_or_default()
}

/// Checks the sets after a step: each is as large as it is to be or as it was, no two share an
/// address, and what is listed has a lease of that set, held by no other application's pod.
pub fn look_at_sets(stage: &Stage<'_>, size_before: usize) -> Result<(), String> {
    let mut listed = BTreeSet::new();
    let leases = stage.fake_store.leases();
    for claim in stage.fake_store.claims().values() {
        let (name, count) = (&claim.name, claim.addresses.len());
        let size = stage.size_for(&application_of_set(claim));
        if count != 0 && count != size_before && Some(count) != size {
            return Err(format!(
                "{name} has {count} addresses and is to have {size:?}"
            ));
        }
        for &address in &claim.addresses {
            if !listed.insert(address) {
                return Err(format!("{address} is in the lists of two sets"));
            }
            let Some(stored) = leases.get(&name_of(address)) else {
                return Err(format!("{name} lists {address}, which has no lease"));
            };
            if !name.is_in(stored.lease.claim.as_ref()) {
                return Err(format!(
                    "{name} lists {address}, whose lease is of another claim"
                ));
            }
        }
    }
    for stored in leases.values() {
        let lease = &stored.lease;
        let owner = (lease.claim.as_ref()).and_then(|claim| claim.owner.as_ref());
        if let (Some(owner), Some(holder)) = (owner, &lease.holder)
            && lease.state == State::Held
            && owner.name != application_of(&holder.pod)
        {
            return Err(format!(
                "{} is a member of {}'s set, and {} has it",
                lease.name, owner.name, holder.pod
            ));
        }
    }
    Ok(())
}

/// Checks the slots after a step: what is kept for a pod's name was never another pod's.
pub fn look_at_slots(fake_store: &FakeStore<'_>) -> Result<(), String> {
    for stored in fake_store.leases().values() {
        let lease = &stored.lease;
        if let (Some(claim), Some(holder)) = (&lease.claim, &lease.holder)
            && claim.kind == ClaimKind::Pod
            && !claim.is_slot_of(holder)
        {
            return Err(format!(
                "{} is kept for {}, and {} has it",
                lease.name, claim.name, holder.pod
            ));
        }
    }
    Ok(())
}

/// Checks what is left when no call runs: of sets only their members, and leases that are left to
/// the collector.
pub fn look_at_leftovers(stage: &Stage<'_>) -> Result<(), String> {
    let claims = stage.fake_store.claims();
    let abandoned = stage.invariants.abandoned.borrow();
    for stored in stage.fake_store.leases().values() {
        let (name, lease) = (&stored.lease.name, &stored.lease);
        let is_of_a_set =
            (lease.claim.as_ref()).is_some_and(|claim| claim.kind == ClaimKind::IPClaim);
        let is_listed = claims.values().any(|claim| claim.lists(name.address));
        if !is_of_a_set || is_listed {
            continue;
        }
        if !is_fresh(lease) {
            return Err(format!(
                "{name} is of a set that does not list it, and {:?}",
                lease.state
            ));
        }
        let maker = lease.holder.as_ref().map(|it| it.container.as_str());
        if !stage.fake_store.is_unowned(name) && !maker.is_some_and(|it| abandoned.contains(it)) {
            return Err(format!(
                "{maker:?} has made {name}, which no list names, and has not given it back"
            ));
        }
    }
    Ok(())
}
