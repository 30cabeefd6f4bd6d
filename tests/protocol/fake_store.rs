//! The leases as etcd keeps them, and requests that are on their way.
//!
//! The board admits a name once and a version once, and nothing else: what a write means is for
//! others to judge. Every answer is kept by actor, since what an actor does next is a function of
//! the answers that it had.

use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::task::{Context, Poll};

use leasehold::allocate::Taken;
use leasehold::api::{IPClaim, IPClaimStatus};
use leasehold::claim::{Claim, ClaimName};
use leasehold::ip::Family;
use leasehold::lease::{ClaimKind, Holder, Lease, LeaseName, State, StoredLease};
use leasehold::retry::{ApiError, ErrorKind};

use crate::runtime::application_of;
use crate::search::Choices;

mod claims;
mod store;

use store::taken;

/// All leases, and what may still go wrong in this run.
pub struct FakeStore<'a> {
    choices: &'a Choices,
    leases: RefCell<BTreeMap<LeaseName, StoredLease>>,
    claims: RefCell<BTreeMap<ClaimName, Claim>>,
    /// The last version under a name, of a lease that is gone too. It has the whole history of the
    /// name, so that boards of the same versions are the same board.
    versions: RefCell<BTreeMap<LeaseName, u64>>,
    /// What a watch cache that never caught up would show.
    stale: Vec<Taken>,
    /// What the last write of a lease has changed: a name and what was there before, which a watch
    /// cache that lags may show yet.
    changed: RefCell<Option<(LeaseName, Option<StoredLease>)>>,
    /// Whose turn it is.
    turn: Cell<usize>,
    /// How many requests each actor has sent.
    numbers: RefCell<BTreeMap<usize, usize>>,
    /// What each actor has learned of each family, as a hash: it searches both at the same time,
    /// and the order in which answers about different families come is of no consequence.
    learned: RefCell<BTreeMap<(usize, Option<Family>), u64>>,
    /// The requests that have not arrived. An actor may have several under way.
    requests: RefCell<BTreeSet<RequestId>>,
    /// The request that arrives in this step, or has arrived last.
    arriving: Cell<Option<RequestId>>,
    /// Writes whose sender waits no longer, and that arrive all the same.
    pub adrift: RefCell<Vec<Write>>,
    /// Names where a holder was seen while such a write was under way to them, and who saw it.
    left: RefCell<BTreeSet<(usize, LeaseName)>>,
    /// Leases that no call answers for: their last write came late, or was of a set's maker that
    /// took over what another had made, and leaves it to the collector.
    unowned: RefCell<BTreeSet<LeaseName>>,
    /// How many things may still go wrong.
    pub faults: Cell<usize>,
    /// Applications of whose sets only one actor knows.
    pub private: Vec<&'static str>,
    /// Whether nothing else goes wrong than that a process is killed.
    pub only_kills: bool,
    /// Whether a list by claim shows any lease.
    pub lists_claims: bool,
}

/// A request by its actor, the family that it is about and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId {
    pub actor: usize,
    family: Option<Family>,
    number: usize,
    /// Whether it is about a set of which no other actor knows: when it arrives makes no difference
    /// to any.
    is_private: bool,
}

/// A write as it goes over the wire.
#[derive(Debug, Clone)]
pub enum Write {
    Create(Lease),
    Replace(Box<StoredLease>, Lease),
    Delete(Box<StoredLease>),
    CreateClaim(Box<IPClaim>),
    ClaimStatus(Box<Claim>, Box<IPClaimStatus>),
}

/// What a write has stored, or deleted.
#[expect(clippy::large_enum_variant, reason = "a walk has few at a time")]
enum Done {
    Lease(StoredLease),
    Claim(Claim),
}

impl Done {
    fn lease(self) -> StoredLease {
        match self {
            Self::Lease(stored) => stored,
            Self::Claim(_) => unreachable!("a lease was written"),
        }
    }

    fn claim(self) -> Claim {
        match self {
            Self::Claim(claim) => claim,
            Self::Lease(_) => unreachable!("a claim was written"),
        }
    }

    fn version(&self) -> String {
        match self {
            Self::Lease(stored) => stored.version.clone(),
            Self::Claim(claim) => claims::version(Some(claim)).unwrap_or_default(),
        }
    }
}

impl Write {
    /// The lease that is written.
    fn name(&self) -> Option<&LeaseName> {
        match self {
            Self::Create(lease) => Some(&lease.name),
            Self::Replace(seen, _) | Self::Delete(seen) => Some(&seen.lease.name),
            Self::CreateClaim(_) | Self::ClaimStatus(..) => None,
        }
    }

    /// The name of the claim that is written.
    fn claim(&self) -> Option<&str> {
        match self {
            Self::CreateClaim(claim) => claim.metadata.name.as_deref(),
            Self::ClaimStatus(seen, _) => Some(&seen.name.name),
            Self::Create(_) | Self::Replace(..) | Self::Delete(_) => None,
        }
    }

    /// In words that are the same for the same write only.
    fn describe(&self) -> String {
        let version = |seen: &StoredLease| format!("{} ({})", describe(&seen.lease), seen.version);
        match self {
            Self::Create(lease) => format!("create {}", describe(lease)),
            Self::Replace(seen, lease) => format!("{} becomes {}", version(seen), describe(lease)),
            Self::Delete(seen) => format!("delete {}", version(seen)),
            Self::CreateClaim(claim) => format!("create claim {:?}", claim.metadata.name),
            Self::ClaimStatus(seen, status) => {
                let version = claims::version(Some(seen)).unwrap_or_default();
                let becomes = claims::describe_status(Some(status));
                format!("claim {} ({version}) becomes {becomes}", seen.name)
            }
        }
    }
}

fn describe(lease: &Lease) -> String {
    let holder = lease
        .holder
        .as_ref()
        .map_or("none", |holder| &holder.container);
    format!("{} {:?} by {holder}", lease.name, lease.state)
}

/// Whether it was made for a set and no pod has had it.
pub fn is_fresh(lease: &Lease) -> bool {
    let is_of_a_set = (lease.claim.as_ref()).is_some_and(|claim| claim.kind == ClaimKind::IPClaim);
    is_of_a_set && lease.state == State::Retained && lease.held_since.is_none()
}

pub fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

impl<'a> FakeStore<'a> {
    pub fn new(choices: &'a Choices, leases: &[Lease], faults: usize) -> Self {
        let mut fake_store = Self {
            choices,
            leases: RefCell::default(),
            claims: RefCell::default(),
            versions: RefCell::default(),
            stale: Vec::new(),
            changed: RefCell::default(),
            turn: Cell::new(usize::MAX),
            numbers: RefCell::default(),
            learned: RefCell::default(),
            requests: RefCell::default(),
            arriving: Cell::default(),
            adrift: RefCell::default(),
            left: RefCell::default(),
            unowned: RefCell::default(),
            faults: Cell::new(faults),
            private: Vec::new(),
            only_kills: false,
            lists_claims: true,
        };
        for lease in leases {
            fake_store.put(lease, None);
        }
        fake_store.stale = fake_store.taken_now();
        fake_store
    }

    fn get(&self, name: &LeaseName) -> Option<StoredLease> {
        self.leases.borrow().get(name).cloned()
    }

    pub fn leases(&self) -> Ref<'_, BTreeMap<LeaseName, StoredLease>> {
        self.leases.borrow()
    }

    pub fn is_unowned(&self, name: &LeaseName) -> bool {
        self.unowned.borrow().contains(name)
    }

    /// All leases as they were before the last write.
    fn all_behind(&self) -> Vec<StoredLease> {
        let mut leases = self.leases.borrow().clone();
        if let Some((name, before)) = &*self.changed.borrow() {
            match before {
                Some(before) => leases.insert(name.clone(), before.clone()),
                None => leases.remove(name),
            };
        }
        leases.into_values().collect()
    }

    pub fn held(&self) -> Vec<LeaseName> {
        let leases = self.leases.borrow();
        let held = leases
            .values()
            .filter(|seen| seen.lease.state == State::Held);
        held.map(|seen| seen.lease.name.clone()).collect()
    }

    /// The leases whose addresses no other pod can have.
    pub fn unavailable(&self) -> Vec<LeaseName> {
        let leases = self.leases.borrow();
        let kept = leases
            .values()
            .filter(|seen| matches!(seen.lease.state, State::Held | State::Retained));
        kept.map(|seen| seen.lease.name.clone()).collect()
    }

    /// Another lease that is kept for the pod's name, beside those of these addresses. One whose
    /// write came late, when its sender had given it back, is the collector's to release.
    pub fn second_of_slot(&self, holder: &Holder, addresses: &[IpAddr]) -> Option<LeaseName> {
        let leases = self.leases.borrow();
        let mut kept = leases.values().filter(|seen| {
            let claim = seen.lease.claim.as_ref();
            claim.is_some_and(|claim| claim.is_slot_of(holder))
        });
        let second = kept.find(|seen| {
            let name = &seen.lease.name;
            !addresses.contains(&name.address) && !self.is_unowned(name)
        })?;
        Some(second.lease.name.clone())
    }

    /// What the container of whose turn it is holds besides. A name that it left because it saw
    /// another holder there is not counted: if an earlier write makes it its own yet, the collector
    /// takes that back.
    pub fn surplus(&self, container: &str, addresses: &[IpAddr]) -> Option<LeaseName> {
        let (leases, left) = (self.leases.borrow(), self.left.borrow());
        let mut held = leases
            .values()
            .filter(|seen| seen.is_held_by(container, "eth0"));
        let surplus = held.find(|seen| {
            let name = &seen.lease.name;
            !addresses.contains(&name.address) && !left.contains(&(self.turn.get(), name.clone()))
        })?;
        Some(surplus.lease.name.clone())
    }

    /// A hash of all that the board and its users are.
    pub fn state(&self) -> u64 {
        let leases = self.leases.borrow();
        let stored: Vec<&str> = leases.values().map(|seen| seen.version.as_str()).collect();
        let claims = self.claims.borrow();
        let claims: Vec<_> = (claims.values())
            .map(|it| claims::version(Some(it)))
            .collect();
        // Only members of sets are read by lists that may lag.
        let changed = self.changed.borrow();
        let changed = (changed.as_ref())
            .filter(|_| !claims.is_empty() && self.faults.get() > 0)
            .map(|(name, before)| (name, before.as_ref().map(|before| &before.version)));
        let adrift: Vec<_> = self.adrift.borrow().iter().map(Write::describe).collect();
        let requests = self.requests.borrow();
        let requests: Vec<_> = requests.iter().map(|it| (it.actor, it.family)).collect();
        hash((
            (stored, claims, changed),
            requests,
            &*self.versions.borrow(),
            &*self.learned.borrow(),
            adrift,
            (&*self.left.borrow(), &*self.unowned.borrow()),
            self.faults.get(),
        ))
    }

    /// Whose turn it is has learned this.
    pub fn learn<T: Debug>(&self, what: T, words: impl FnOnce(&T) -> String) -> T {
        let mut learned = self.learned.borrow_mut();
        let family = self.arriving.get().and_then(|request| request.family);
        let so_far = learned.entry((self.turn.get(), family)).or_default();
        *so_far = hash((*so_far, format!("{what:?}")));
        self.choices
            .record(|| format!("{}: {}", self.turn.get(), words(&what)));
        what
    }

    /// The requests that may arrive next.
    pub fn requests(&self) -> Vec<RequestId> {
        self.requests.borrow().iter().copied().collect()
    }

    /// One that may as well arrive before all others, and before what was delayed.
    pub fn private_request(&self) -> Option<RequestId> {
        let has_delayed = !self.adrift.borrow().is_empty();
        let requests = self.requests.borrow();
        let mut private = requests.iter().filter(|it| it.is_private && !has_delayed);
        private.next().copied()
    }

    /// It is an actor's turn: this request of it arrives, or it has sent none so far.
    pub fn turn_of(&self, actor: usize, arriving: Option<RequestId>) {
        self.turn.set(actor);
        self.arriving.set(arriving);
    }

    /// A request of whose turn it is is under way, until a step in which it arrives.
    pub async fn on_its_way(&self, family: Option<Family>) {
        self.sent(family, None, None).arrival().await;
    }

    /// The same of a request about the set of an IPClaim of this name.
    async fn on_its_way_to_claim(&self, family: Option<Family>, name: &str) {
        self.sent(family, None, Some(name)).arrival().await;
    }

    fn sent(
        &self,
        family: Option<Family>,
        write: Option<Write>,
        claim: Option<&str>,
    ) -> Sent<'_, 'a> {
        let actor = self.turn.get();
        let mut numbers = self.numbers.borrow_mut();
        let number = numbers.entry(actor).or_default();
        *number += 1;
        let number = *number;
        let id = RequestId {
            actor,
            family,
            number,
            is_private: claim.is_some_and(|claim| self.private.contains(&application_of(claim))),
        };
        self.requests.borrow_mut().insert(id);
        Sent {
            fake_store: self,
            id,
            write,
        }
    }

    /// A write whose sender waits no longer arrives.
    pub fn arrive(&self, index: usize) {
        let write = self.adrift.borrow_mut().remove(index);
        let done = self.carry_out(&write).is_some();
        if let (true, Some(name)) = (done, write.name()) {
            self.unowned.borrow_mut().insert(name.clone());
        }
        self.choices.record(|| {
            format!(
                "late: {}: {}",
                write.describe(),
                if done { "done" } else { "lost" }
            )
        });
    }

    /// The lease after the write, `None` if something else stands there.
    fn carry_out(&self, write: &Write) -> Option<Done> {
        let stored = write.name().and_then(|name| self.get(name));
        let is_that = |seen: &StoredLease| {
            stored
                .as_ref()
                .is_some_and(|now| (&now.uid, &now.version) == (&seen.uid, &seen.version))
        };
        let done = match write {
            Write::CreateClaim(claim) => return self.try_create_claim(claim).map(Done::Claim),
            Write::ClaimStatus(before, status) => {
                return self.try_replace_status(before, status).map(Done::Claim);
            }
            Write::Create(lease) => stored.is_none().then(|| self.put(lease, None)),
            Write::Replace(seen, lease) => is_that(seen).then(|| self.put(lease, Some(seen))),
            Write::Delete(seen) => is_that(seen).then(|| {
                self.leases.borrow_mut().remove(&seen.lease.name);
                (**seen).clone()
            }),
        };
        if done.is_some() {
            *self.changed.borrow_mut() = write.name().cloned().map(|name| (name, stored));
            self.note_owner(write);
        }
        done.map(Done::Lease)
    }

    fn note_owner(&self, write: &Write) {
        let mut unowned = self.unowned.borrow_mut();
        if let Write::Replace(seen, lease) = write
            && is_fresh(&seen.lease)
            && is_fresh(lease)
        {
            unowned.insert(lease.name.clone());
        } else if let Some(name) = write.name() {
            unowned.remove(name);
        }
    }

    fn put(&self, lease: &Lease, over: Option<&StoredLease>) -> StoredLease {
        let mut versions = self.versions.borrow_mut();
        let version = versions.entry(lease.name.clone()).or_default();
        *version = hash((*version, format!("{lease:?}")));
        let seen = StoredLease {
            lease: lease.clone(),
            uid: over.map_or_else(|| version.to_string(), |seen| seen.uid.clone()),
            version: version.to_string(),
            object: Box::new(lease.to_object()),
            not_stored: None,
        };
        self.leases
            .borrow_mut()
            .insert(lease.name.clone(), seen.clone());
        seen
    }

    fn taken_now(&self) -> Vec<Taken> {
        self.leases
            .borrow()
            .values()
            .map(|seen| taken(&seen.lease))
            .collect()
    }

    /// Sends a write. In some runs the reply is lost, or the write comes so late that its sender
    /// waits no longer.
    async fn send(&self, write: Write, family: Family) -> Result<Option<Done>, ApiError> {
        let claim = write.claim().map(str::to_owned);
        let mut sent = self.sent(Some(family), Some(write), claim.as_deref());
        sent.arrival().await;
        let write = sent.write.take().expect("it was sent");
        let fate = self
            .choices
            .of(if self.faults.get() > 0 && !self.only_kills {
                3
            } else {
                1
            });
        let words = |end: &str| format!("{}: {end}", write.describe());
        if fate == 0 {
            let done = self.carry_out(&write);
            let is_done = done.as_ref().map(Done::version);
            self.learn((write.name(), is_done), |(_, done)| {
                words(if done.is_some() { "done" } else { "lost" })
            });
            return Ok(done);
        }
        self.faults.set(self.faults.get() - 1);
        self.learn(fate, |_| {
            words(if fate == 1 {
                "the reply is lost"
            } else {
                "delayed"
            })
        });
        if fate == 1 {
            self.carry_out(&write);
        } else {
            self.adrift.borrow_mut().push(write);
        }
        Err(ApiError {
            request: "a write".to_owned(),
            kind: ErrorKind::Transient(None),
            source: "no reply came".into(),
        })
    }
}

/// A request that is under way. A write whose sender goes away may still arrive.
struct Sent<'a, 'c> {
    fake_store: &'a FakeStore<'c>,
    id: RequestId,
    write: Option<Write>,
}

impl Sent<'_, '_> {
    async fn arrival(&self) {
        let is_arriving = |_: &mut Context<'_>| {
            if self.fake_store.arriving.get() == Some(self.id) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        };
        poll_fn(is_arriving).await;
    }
}

impl Drop for Sent<'_, '_> {
    fn drop(&mut self) {
        self.fake_store.requests.borrow_mut().remove(&self.id);
        self.fake_store
            .adrift
            .borrow_mut()
            .extend(self.write.take());
    }
}
