//! Coming back to the address that is kept for a pod's name.
//!
//! A slot has one address of each family. So which leases it has is found out before it takes a new
//! one, and again after each write that it has lost: the winner may have been a pod of the same
//! name.

use std::cmp::Reverse;

use super::super::record::{Lease, StoredLease};
use super::super::release::released;
use super::super::store::{Commit, LeaseFilter, Peek, Store};
use super::super::{Error, Holder, State};
use super::eligibility::{self, Cooling, Eligibility};
use super::hints::Hints;
use super::search::Search;
use super::{Acquirer, AddressRequest, Allocation, Previous, Refusal, Requester, Sets};
use crate::allocate;
use crate::ip::Family;
use crate::pool::Pool;
use crate::retry::{self, Clock, backoff};

/// What a slot does about the leases that it has.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    /// It takes this one.
    Take(&'a StoredLease),
    /// A pod of this name has it, and may still be running.
    Wait(&'a StoredLease),
    /// It has some, and none that a pool may still give to it.
    GiveUp,
    /// It has none.
    TakeAny,
}

/// Decides from all leases of a slot, of one family: its pod's own, then that of another pod of the
/// name, then the one that was released last.
fn next_step<'a>(
    kept: impl Iterator<Item = &'a StoredLease>,
    us: &Holder,
    fits: impl Fn(&StoredLease) -> bool,
) -> Step<'a> {
    let kept: Vec<&StoredLease> = kept.collect();
    let held = || {
        kept.iter()
            .copied()
            .filter(|stored| stored.lease.state == State::Held)
    };
    let mut own = held().filter(|stored| is_own(stored, us) && fits(stored));
    let mut retained: Vec<&StoredLease> = kept
        .iter()
        .copied()
        .filter(|stored| is_vacant(stored) && fits(stored))
        .collect();
    retained.sort_by_key(|stored| Reverse(stored.lease.released_at));
    if let Some(stored) = own.next() {
        Step::Take(stored)
    } else if let Some(stored) = held().find(|stored| !is_own(stored, us)) {
        Step::Wait(stored)
    } else if let Some(stored) = retained.first() {
        Step::Take(stored)
    } else if kept.is_empty() {
        Step::TakeAny
    } else {
        Step::GiveUp
    }
}

fn is_own(stored: &StoredLease, us: &Holder) -> bool {
    (stored.lease.holder.as_ref()).is_some_and(|holder| holder.is_same_slot(us))
}

/// Whether no pod runs on it, and it is not on its way to being absent.
fn is_vacant(stored: &StoredLease) -> bool {
    stored.lease.state == State::Retained && !stored.is_being_deleted()
}

impl Requester {
    /// Whether a lease is one of this pod's slot, in this address space.
    fn keeps(&self, stored: &StoredLease) -> bool {
        let claim = stored.lease.claim.as_ref();
        stored.lease.name.vrf == self.vrf
            && claim.is_some_and(|claim| claim.is_slot_of(&self.holder))
    }
}

impl<S: Store, C: Clock, H: Hints> Acquirer<'_, S, C, H> {
    /// The leases of the slot: those that each family tries first, where GETs show that they are
    /// kept for it, else what a list shows.
    pub(super) async fn kept(
        &self,
        requests: &[AddressRequest<'_>],
    ) -> Result<Vec<StoredLease>, Error> {
        let none_is_of_a_slot =
            (requests.iter()).all(|request| !matches!(request.sets, Sets::None));
        if self.requester.slot.is_none() || none_is_of_a_slot {
            return Ok(Vec::new());
        }
        let search = |request| Search::new(self, request, &[]);
        let firsts = requests.iter().map(|request| search(request).first());
        if let Some(firsts) = firsts.collect::<Option<Vec<_>>>() {
            let peeked = self.leases.peek(&firsts).await?.into_iter();
            let kept = peeked.map(|peek| match peek {
                Peek::Stored(stored) if self.requester.keeps(&stored) && self.may_take(&stored) => {
                    Some(*stored)
                }
                Peek::Stored(_) | Peek::Absent | Peek::Unreadable => None,
            });
            if let Some(kept) = kept.collect() {
                return Ok(kept);
            }
        }
        self.list_kept().await
    }

    fn may_take(&self, stored: &StoredLease) -> bool {
        is_vacant(stored)
            || stored.lease.state == State::Held && is_own(stored, &self.requester.holder)
    }

    /// Frees what the slot has given up, once it has another address: the pool may give it again
    /// before the collector has released it, and the next pod of the name would take it while one
    /// with the other address may still run.
    ///
    /// A node releases only what it holds, so it is taken first. What fails is left to the collector.
    pub(super) async fn free_what_was_given_up(&self) {
        for stored in self.given_up.take() {
            let held = Lease {
                state: State::Held,
                holder: Some(self.requester.holder.clone()),
                co_holder: None,
                held_since: Some(self.requester.since),
                released_at: None,
                ..stored.lease.clone()
            };
            if let Ok(Commit::Won(held)) = self.replace(&stored, &held).await {
                let unclaimed = Lease {
                    claim: None,
                    ..held.lease.clone()
                };
                let cooling = released(&unclaimed, self.leases.clock.now());
                drop(self.leases.replace(&held, &cooling).await);
            }
        }
    }

    async fn list_kept(&self) -> Result<Vec<StoredLease>, Error> {
        let of_that_name = self
            .leases
            .find(LeaseFilter::Claim(&self.requester.holder.pod))
            .await?;
        let kept = of_that_name
            .into_iter()
            .filter(|stored| self.requester.keeps(stored));
        Ok(kept.collect())
    }
}

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    /// The address that a slot takes if nothing is in the way.
    fn first(&self) -> Option<super::LeaseName> {
        let mut pools = self.request.candidates.iter().chain(self.request.resumable);
        let of_pool = |pool: &Pool| allocate::order(&pool.usable, self.seed(pool)).next();
        let asked = self.request.requested.as_ref().map(|(address, _)| *address);
        let address = asked.or_else(|| of_pool(pools.next()?))?;
        Some(self.name(address))
    }

    fn fits(&self, stored: &StoredLease) -> bool {
        let requested = self.request.requested.as_ref();
        self.pool_of(stored).is_some()
            && requested.is_none_or(|(address, _)| *address == stored.lease.name.address)
    }

    /// Whether it is kept for this pod, or was this pod's own before.
    pub(super) fn is_kept_for_us(&self, stored: &StoredLease) -> bool {
        is_vacant(stored)
            && self.requester().keeps(stored)
            && (self.requester().slot.is_some() || self.is_own_slot(stored))
    }

    /// Takes the address that the slot has, once no other pod of the name has it; `None`: it has
    /// none, or gives it up.
    pub(super) async fn return_to_slot(
        &self,
        kept: &[StoredLease],
    ) -> Result<Option<Allocation>, Error> {
        let of_family =
            |stored: &StoredLease| Family::of(stored.lease.name.address) == self.request.family;
        let mut kept = kept.to_vec();
        let mut lost = backoff();
        loop {
            let of_ours = kept.iter().filter(|stored| of_family(stored));
            match next_step(of_ours, &self.requester().holder, |stored| {
                self.fits(stored)
            }) {
                // What makes it unfit may have been undone meanwhile.
                Step::GiveUp if !self.requester().is_current => return Err(Error::Outdated),
                Step::GiveUp => {
                    let mut given_up = self.acquirer.given_up.borrow_mut();
                    given_up.retain(|stored| !of_family(stored));
                    given_up.extend(kept.into_iter().filter(of_family).filter(is_vacant));
                    return Ok(None);
                }
                Step::TakeAny => return Ok(None),
                Step::Take(stored) => {
                    if let Some(allocation) = self.take_kept(stored).await? {
                        return Ok(Some(allocation));
                    }
                    self.acquirer.leases.back_off(&mut lost).await?;
                }
                Step::Wait(stored) => self.wait_for(stored).await?,
            }
            kept = self.acquirer.list_kept().await?;
        }
    }

    /// Each try of a slot but the first comes after one that was lost, perhaps to a pod of the same
    /// name.
    pub(super) async fn return_before_next_try(&self) -> Result<Option<Allocation>, Error> {
        if self.requester().slot.is_none() || !self.has_tried.replace(true) {
            return Ok(None);
        }
        let kept = self.acquirer.list_kept().await?;
        self.return_to_slot(&kept).await
    }

    /// A replace of exactly this version; `None`: it has changed.
    async fn take_kept(&self, stored: &StoredLease) -> Result<Option<Allocation>, Error> {
        let Some(pool) = self.pool_of(stored) else {
            return Ok(None);
        };
        let us = &self.requester().holder;
        let previous = match eligibility::judge(stored, us, Cooling::Cooled, self.now()) {
            Eligibility::Mine => {
                return Ok(Some(Allocation {
                    stored: stored.clone(),
                    pool: pool.clone(),
                    previous: Previous::Own,
                }));
            }
            Eligibility::Earlier => Previous::Own,
            Eligibility::Vacant | Eligibility::Avoided | Eligibility::Taken => self.vacant(stored),
        };
        let lease = self.lease_over(stored, pool);
        Ok(match self.acquirer.replace(stored, &lease).await? {
            Commit::Won(stored) => Some(Allocation {
                stored,
                pool: pool.clone(),
                previous,
            }),
            Commit::Lost => None,
        })
    }

    /// Waits until the pod of this name that has the lease has it no more, or until the time is
    /// over.
    pub(super) async fn wait_for(&self, former: &StoredLease) -> Result<(), Error> {
        let leases = self.acquirer.leases;
        let mut pauses = backoff();
        loop {
            self.acquirer.check_sandbox()?;
            leases
                .back_off(&mut pauses)
                .await
                .map_err(|error| match error {
                    retry::Error::OutOfTime { .. } => Refusal::Awaited {
                        address: former.lease.name.address,
                        holder: Box::new(former.lease.holder.clone().unwrap_or_default()),
                    }
                    .into(),
                    error @ retry::Error::Api(_) => Error::from(error),
                })?;
            let is_still_held = leases.read(&former.lease.name).await?.is_some_and(|now| {
                now.lease.state == State::Held && now.lease.holder == former.lease.holder
            });
            if !is_still_held {
                return Ok(());
            }
        }
    }
}
