//! What is true outside of the leases, and what must be true of them.
//!
//! Knows of sandboxes, of what was answered to whom and of nothing that the protocol does: the rules are here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::net::IpAddr;

use leasehold::ip::Vrf;
use leasehold::lease::LeaseName;

use crate::fake_store::{FakeStore, hash};

/// The runtime's view: sandboxes, and what ADD answered.
#[derive(Default)]
pub struct Invariants {
    /// Containers of which a DEL has begun: nothing is promised to them any more.
    ended: RefCell<BTreeSet<&'static str>>,
    /// Containers whose sandbox has no namespace any more.
    gone: RefCell<BTreeSet<&'static str>>,
    /// What an ADD answered, by container: a promise until that container's DEL begins.
    promised: RefCell<BTreeMap<&'static str, IpAddr>>,
    /// Containers whose ADD runs and has not met a moment in which all addresses were held.
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

    /// ADD answers, with the only address that its container holds.
    pub fn answer(&self, fake_store: &FakeStore<'_>, container: &'static str, address: IpAddr) {
        if let Some(surplus) = fake_store.surplus(container, address) {
            self.break_rule(format!(
                "{container} was answered with {address} and holds {surplus} too"
            ));
        }
        if !self.ended.borrow().contains(container) {
            self.promised.borrow_mut().insert(container, address);
        }
    }

    /// ADD found the pool exhausted: there must have been a moment, while it ran, in which it was.
    pub fn refuse(&self, container: &'static str) {
        if self.room.borrow().contains(container) {
            self.break_rule(format!(
                "{container} was refused although an address was available all the time"
            ));
        }
    }

    pub fn break_rule(&self, how: String) {
        self.broken.borrow_mut().get_or_insert(how);
    }

    /// Checks the leases after a step.
    pub fn look(&self, fake_store: &FakeStore<'_>, addresses: usize) -> Result<(), String> {
        if fake_store.held().len() == addresses {
            self.room.borrow_mut().clear();
        }
        for (&container, &address) in &*self.promised.borrow() {
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
        self.broken.take().map_or(Ok(()), Err)
    }
}
