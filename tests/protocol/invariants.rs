//! What is true outside of the leases, and what must be true of them.
//!
//! Knows of sandboxes, of what was answered to whom and of nothing that the protocol does: the
//! rules are here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use leasehold::ip::Vrf;
use leasehold::lease::{ClaimKind, Holder, Lease, LeaseName, State};
use leasehold::pool::Pool;

use crate::fake_store::{FakeStore, hash};
use crate::runtime::application_of;

/// The runtime's view: sandboxes, and what ADD answered.
#[derive(Default)]
pub struct Invariants {
    /// Containers of which a DEL has begun: nothing is promised to them any more.
    ended: RefCell<BTreeSet<&'static str>>,
    /// Containers whose sandbox has no namespace any more.
    gone: RefCell<BTreeSet<&'static str>>,
    /// What an ADD answered, by container: a promise until that container's DEL begins.
    promised: RefCell<BTreeMap<&'static str, Vec<IpAddr>>>,
    /// Containers whose ADD runs and has not met a moment in which all addresses of a family were
    /// held.
    room: RefCell<BTreeSet<&'static str>>,
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

    /// ADD found a pool exhausted: there must have been a moment, while it ran, in which it was.
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
    pub fn look(&self, fake_store: &FakeStore<'_>, pools: &[Arc<Pool>]) -> Result<(), String> {
        let kept = fake_store.unavailable();
        let is_full = |pool: &Arc<Pool>| {
            let inside = kept.iter().filter(|it| pool.usable.contains(it.address));
            inside.count() as u128 == pool.usable.len()
        };
        if pools.iter().any(is_full) {
            self.room.borrow_mut().clear();
        }
        for (&container, addresses) in &*self.promised.borrow() {
            for &address in addresses {
                let name = LeaseName {
                    vrf: Vrf::default(),
                    address,
                };
                if !fake_store
                    .get(&name)
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

/// Checks the sets after a step: each is as large as it is to be or not made yet, no two share an
/// address, and what is listed has a lease of that set, held by no other application's pod.
pub fn look_at_sets(fake_store: &FakeStore<'_>, size: u32) -> Result<(), String> {
    let mut listed = BTreeSet::new();
    for claim in fake_store.claims() {
        let (name, count) = (&claim.name, claim.addresses.len());
        if count != 0 && count as u128 != u128::from(size) {
            return Err(format!(
                "{name} has {count} addresses and is to have {size}"
            ));
        }
        for &address in &claim.addresses {
            if !listed.insert(address) {
                return Err(format!("{address} is in the lists of two sets"));
            }
            let vrf = Vrf::default();
            let Some(stored) = fake_store.get(&LeaseName { vrf, address }) else {
                return Err(format!("{name} lists {address}, which has no lease"));
            };
            if !name.is_in(stored.lease.claim.as_ref()) {
                return Err(format!(
                    "{name} lists {address}, whose lease is of another claim"
                ));
            }
        }
    }
    for stored in fake_store.all() {
        let Lease {
            name,
            state,
            claim,
            holder,
            ..
        } = stored.lease;
        let owner = claim.and_then(|claim| claim.owner).map(|owner| owner.name);
        let holder = holder.filter(|_| state == State::Held);
        if let (Some(owner), Some(holder)) = (owner, holder)
            && owner != application_of(&holder.pod)
        {
            return Err(format!(
                "{name} is a member of {owner}'s set, and {} has it",
                holder.pod
            ));
        }
    }
    Ok(())
}

/// Checks what is left when no call runs: of sets only their members, and leases that no list names
/// and no pod has had.
pub fn look_at_leftovers(fake_store: &FakeStore<'_>) -> Result<(), String> {
    let claims = fake_store.claims();
    for stored in fake_store.all() {
        let Lease {
            name,
            state,
            held_since,
            claim,
            ..
        } = &stored.lease;
        let is_listed = claims.iter().any(|claim| claim.lists(name.address));
        let is_of_a_set = claim
            .as_ref()
            .is_some_and(|it| it.kind == ClaimKind::IPClaim);
        if is_of_a_set && !is_listed && (*state != State::Retained || held_since.is_some()) {
            return Err(format!(
                "{name} is of a set that does not list it, and {state:?}"
            ));
        }
    }
    Ok(())
}
