//! Taking an address of each family, or of none.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::record::{Lease, LeaseName, StoredLease};
use super::store::{Commit, LeaseFilter, Store};
use super::{ClaimRef, Error, Holder, State};
use crate::allocate::Usage;
use crate::claim::{Claim, DerivedSet, Unusable};
use crate::ip::{Family, PoolName, Vrf};
use crate::pool::Pool;
use crate::retry::{self, Clock, Deadline, ErrorKind, Retrying, WriteError, backoff};
use crate::text::{brief, first_few};

mod attempt;
mod both;
mod crowded;
mod eligibility;
mod hints;
mod join;
mod make;
mod members;
mod office;
mod order;
mod search;
mod sets;
mod slot;

pub use hints::{CallHints, Hints};

use search::Search;

/// How long undoing may take when the time for taking is over.
const UNDO: Duration = Duration::from_secs(4);

/// Who asks for addresses.
#[derive(Debug, Clone)]
pub struct Requester {
    /// The holder that its leases will name.
    pub holder: Holder,
    /// The address space of the network.
    pub vrf: Vrf,
    /// How long the pod's containers may take to end.
    pub termination: Duration,
    /// When this process began.
    pub since: Timestamp,
    /// Whether the pod shows any sign of an earlier sandbox, whose addresses it should have again.
    pub returning: bool,
    /// The slot of a pod whose address is kept for its name.
    pub slot: Option<ClaimRef>,
    /// Whether the requests were made on consistent reads. Else no slot gives up its address.
    pub is_current: bool,
}

/// One requested address.
#[derive(Debug, Clone)]
pub struct AddressRequest<'a> {
    /// Of which family.
    pub family: Family,
    /// The pools that may give it, in order of preference.
    pub candidates: &'a [Arc<Pool>],
    /// Pools that give no new address, where an earlier one of this pod may be taken up again.
    pub resumable: &'a [Arc<Pool>],
    /// This very address, out of this pool.
    pub requested: Option<(IpAddr, Arc<Pool>)>,
    /// The sets one of which it must be a member of.
    pub sets: Sets<'a>,
}

/// Which sets an address must be a member of.
#[derive(Debug, Clone, Copy)]
pub enum Sets<'a> {
    /// None: it is for one pod.
    None,
    /// The one that a person has made.
    Named(&'a Claim),
    /// One of the application's own, in order of preference. They are made where they are missing.
    Derived(&'a [SetRequest]),
}

/// A set of an application, and what its addresses come out of.
#[derive(Debug, Clone, PartialEq)]
pub struct SetRequest {
    /// The set.
    pub set: DerivedSet,
    /// Its Subnet as a pool.
    pub pool: Arc<Pool>,
}

/// An address that was given.
#[derive(Debug, Clone)]
pub struct Allocation {
    /// Its lease as it is stored now.
    pub stored: StoredLease,
    /// The pool that says its prefix length, gateway and routes.
    pub pool: Arc<Pool>,
    /// What was there before.
    pub previous: Previous,
}

/// What an allocation took the place of, and so what it is undone to.
#[derive(Debug, Clone)]
pub enum Previous {
    /// Nothing: the lease is deleted.
    Absent,
    /// A lease that no pod held: it is put back as it was.
    Vacant(Box<Lease>),
    /// This pod's own: it is left to this container's DEL.
    Own,
}

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Each pool that fits is full, by a consistent read.
    #[error("no free {family} address in {}: enlarge a pool or name a backup", names(.pools))]
    Exhausted {
        /// The requested family.
        family: Family,
        /// The pools and what is in them.
        pools: Vec<(PoolName, Usage)>,
    },
    /// The pools give no new address, and there is no earlier one to take up again.
    #[error("no new {family} address: {} disabled, and this pod has no earlier address there: name another pool", are(.pools))]
    Disabled {
        /// The requested family.
        family: Family,
        /// The pools.
        pools: Vec<PoolName>,
    },
    /// The set has no address for this pod.
    #[error(transparent)]
    Set(Unusable),
    /// The requested address is not available.
    #[error("{address} was requested and is {}: request another", describe(*.state, .holder.as_deref()))]
    Unavailable {
        /// The requested address.
        address: IpAddr,
        /// What its lease says.
        state: State,
        /// Who has it.
        holder: Option<Box<Holder>>,
    },
    /// The address that is kept for this pod's name is still held by an earlier pod of that name.
    #[error(
        "{address} is kept for pod {}/{}, and an earlier pod of that name has it on node {}: its containers may still be \
         running",
        .holder.namespace, .holder.pod, brief(&.holder.node)
    )]
    Awaited {
        /// The address.
        address: IpAddr,
        /// The earlier pod.
        holder: Box<Holder>,
    },
}

fn names(pools: &[(PoolName, Usage)]) -> String {
    let pools: Vec<String> = pools
        .iter()
        .map(|(name, usage)| format!("{} ({usage})", brief(name.as_str())))
        .collect();
    first_few(&pools)
}

fn are(pools: &[PoolName]) -> String {
    match pools {
        [pool] => format!("pool {} is", brief(pool.as_str())),
        [pool, rest @ ..] => format!("pool {} and {} more are", brief(pool.as_str()), rest.len()),
        [] => "its pools are".to_owned(),
    }
}

/// What a lease says of its address: `held by shop/web-0 (eth0 on n1)`.
#[must_use]
pub fn describe(state: State, holder: Option<&Holder>) -> String {
    let by = |what: &str| match holder {
        Some(holder) => format!("{what} by {holder}"),
        None => format!("{what} by an unknown pod"),
    };
    match state {
        State::Held => by("held"),
        State::Cooling => by("cooling, last held"),
        State::Retained => by("kept for a claim, last held"),
        State::Quarantined => "in quarantine: a machine outside the cluster answers for it".into(),
        State::Unknown => "in a state that only a newer leasehold knows".into(),
    }
}

/// Why no address was acquired, and what that leaves behind.
#[derive(Debug)]
pub struct AcquireError {
    /// Why.
    pub error: Error,
    /// Leases that were written, or may have been, and of which it is not known that they were put
    /// back.
    pub unsettled: Vec<LeaseName>,
}

impl AcquireError {
    /// Whether it may be otherwise on consistent reads, and nothing is left behind.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        let depends = matches!(
            self.error,
            Error::Outdated | Error::Refused(Refusal::Disabled { .. })
        );
        depends && self.unsettled.is_empty()
    }
}

/// Takes one address for each request, all at the same time, or none at all.
///
/// What was taken is put back when another request fails, or when the sandbox is gone in the end.
pub async fn acquire<S: Store, C: Clock, H: Hints>(
    leases: &Retrying<'_, S, C>,
    requester: &Requester,
    requests: &[AddressRequest<'_>],
    hints: &H,
    sandbox_exists: &dyn Fn() -> bool,
) -> Result<Vec<Allocation>, AcquireError> {
    let acquirer = Acquirer {
        leases,
        requester,
        hints,
        sandbox_exists,
        unsettled: RefCell::default(),
        given_up: RefCell::default(),
    };
    let mut allocations = Vec::with_capacity(requests.len());
    match acquirer.acquire_each(requests, &mut allocations).await {
        Ok(()) => {
            acquirer.free_what_was_given_up().await;
            Ok(allocations)
        }
        Err(error) => {
            acquirer.rollback(allocations).await;
            let unsettled = acquirer.unsettled.into_inner();
            Err(AcquireError { error, unsettled })
        }
    }
}

/// What the steps of acquiring share.
struct Acquirer<'a, S, C, H> {
    leases: &'a Retrying<'a, S, C>,
    requester: &'a Requester,
    hints: &'a H,
    /// Whether the sandbox that this call is about still exists.
    sandbox_exists: &'a dyn Fn() -> bool,
    /// Writes that were given up without a definite answer.
    unsettled: RefCell<Vec<LeaseName>>,
    /// What the pod's slot had, and pools give it no more.
    given_up: RefCell<Vec<StoredLease>>,
}

impl<S: Store, C: Clock, H: Hints> Acquirer<'_, S, C, H> {
    async fn acquire_each(
        &self,
        requests: &[AddressRequest<'_>],
        allocations: &mut Vec<Allocation>,
    ) -> Result<(), Error> {
        let earlier = if self.requester.returning {
            let uid = &self.requester.holder.uid;
            self.leases.find(LeaseFilter::Pod(uid)).await?
        } else {
            Vec::new()
        };
        let kept = self.kept(requests).await?;
        let searches = requests.iter().map(async |request| {
            let search = Search::new(self, request, &kept);
            search.run(&earlier).await
        });
        // All end: a write that is under way must be known to be done or not, whatever becomes of
        // the other family.
        let mut ended = join_all(searches).await;
        self.await_ipv6(requests, &kept, &mut ended).await;
        let mut outcome = Ok(());
        for ended in ended {
            match ended {
                Ok(allocation) => {
                    outcome = outcome.and(allocation.stored.check_whole().map_err(Error::from));
                    allocations.push(allocation);
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome?;
        self.check_sandbox()
    }

    /// Refuses to go on for a sandbox that is gone.
    fn check_sandbox(&self) -> Result<(), Error> {
        if (self.sandbox_exists)() {
            Ok(())
        } else {
            Err(Error::Late)
        }
    }

    async fn create(&self, lease: &Lease) -> Result<Commit, Error> {
        self.write(Some(&lease.name), async || self.leases.create(lease).await)
            .await
    }

    /// A pod keeps the claim that its lease has: the collector writes it into that of a plain pod.
    async fn replace(&self, before: &StoredLease, lease: &Lease) -> Result<Commit, Error> {
        let claim = lease.claim.as_ref().or(before.lease.claim.as_ref());
        let lease = &Lease {
            claim: claim.cloned(),
            ..lease.clone()
        };
        let write = async || self.leases.replace(before, lease).await;
        self.write(Some(&lease.name), write).await
    }

    /// The pod was read a moment ago and is bound to this node. An authorizer that does not know
    /// that yet learns it soon, so its denial is no answer while there is time, and as long as the
    /// sandbox exists.
    async fn write<T>(
        &self,
        lease: Option<&LeaseName>,
        write: impl AsyncFn() -> Result<retry::Commit<T>, WriteError>,
    ) -> Result<retry::Commit<T>, Error> {
        let mut pauses = backoff();
        loop {
            self.check_sandbox()?;
            match self.noted(lease, write().await) {
                Err(Error::Retry(retry::Error::Api(denied)))
                    if denied.kind == ErrorKind::Forbidden =>
                {
                    let waited = self.leases.back_off(&mut pauses).await;
                    waited.map_err(|_| retry::Error::Api(denied))?;
                }
                outcome => return outcome,
            }
        }
    }

    fn noted<T>(
        &self,
        lease: Option<&LeaseName>,
        outcome: Result<T, WriteError>,
    ) -> Result<T, Error> {
        outcome.map_err(|given_up| {
            if given_up.unsettled {
                self.unsettled.borrow_mut().extend(lease.cloned());
            }
            given_up.into()
        })
    }

    /// Puts back what was taken, the last first, each as it was before.
    async fn rollback(&self, allocations: Vec<Allocation>) {
        // The time for taking may be over, and this must not take as long again.
        let Retrying {
            api,
            clock,
            deadline,
            ..
        } = self.leases;
        let at = deadline.at.max(clock.elapsed() + UNDO);
        let leases = Retrying::new(*api, *clock, Deadline::after(at));
        for Allocation {
            stored,
            pool: _,
            previous,
        } in allocations.into_iter().rev()
        {
            let undone = match previous {
                Previous::Own => continue,
                Previous::Absent => leases.delete(&stored).await.is_ok(),
                Previous::Vacant(lease) => leases.replace(&stored, &lease).await.is_ok(),
            };
            if !undone {
                self.unsettled.borrow_mut().push(stored.lease.name);
            }
        }
    }
}

impl Requester {
    /// The lease of an address that it holds.
    fn lease(&self, pool: &Pool, address: IpAddr) -> Lease {
        Lease {
            name: LeaseName {
                vrf: self.vrf.clone(),
                address,
            },
            pool: pool.name.clone(),
            state: State::Held,
            holder: Some(self.holder.clone()),
            co_holder: None,
            claim: self.slot.clone(),
            cooldown: pool.cooldown,
            termination: self.termination,
            held_since: Some(self.since),
            released_at: None,
            attachment_failed: false,
            quarantined_until: None,
            foreign_mac: None,
        }
    }
}
