//! The search for one address: own ones first, then in one pool after the other, then among those
//! that cool.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::super::record::StoredLease;
use super::super::store::Store;
use super::super::{Error, State};
use super::eligibility::Cooling;
use super::hints::Hints;
use super::{Acquirer, AddressRequest, Allocation, Refusal, Requester, Sets};
use crate::allocate::{PoolHint, Seed, Taken, TakenState, Usage};
use crate::claim::Claim;
use crate::ip::{Family, PoolName};
use crate::pool::Pool;
use crate::retry::{Clock, backoff};

/// Attempts at cooling addresses after one list. By then rivals have made it old.
const TRIES: usize = 16;

/// The search for the address of one request.
pub(super) struct Search<'a, S, C, H> {
    pub acquirer: &'a Acquirer<'a, S, C, H>,
    pub request: &'a AddressRequest<'a>,
    /// The leases of this pod's slot, as they were read at first.
    kept: &'a [StoredLease],
    /// How many pods the `StatefulSet` is to have whose set is searched, once it matters.
    pub replicas: Cell<Option<u32>>,
    /// The claim that this call has created, as it was then: with it came the office of its maker.
    pub created: RefCell<Option<Claim>>,
    /// Whether it has tried to take an address that no pod had.
    pub has_tried: Cell<bool>,
    /// Addresses whose lease is being deleted: lists show them as cooling for as long as a
    /// finalizer keeps them.
    pub ending: RefCell<BTreeSet<IpAddr>>,
    /// Addresses with which this interface could not be attached.
    pub avoided: RefCell<BTreeMap<IpAddr, Avoided>>,
}

/// What is known of an address that is avoided.
pub(super) struct Avoided {
    released_at: Option<Timestamp>,
    pool: Arc<Pool>,
}

/// The outcome of searching a pool.
#[expect(clippy::large_enum_variant, reason = "a process has one of them")]
pub(super) enum SearchOutcome {
    Found(Allocation),
    /// Nothing was open in it as of a list.
    Nothing(Usage),
}

impl<'a, S: Store, C: Clock, H: Hints> Search<'a, S, C, H> {
    pub fn new(
        acquirer: &'a Acquirer<'a, S, C, H>,
        request: &'a AddressRequest<'a>,
        kept: &'a [StoredLease],
    ) -> Self {
        Self {
            acquirer,
            request,
            kept,
            replicas: Cell::default(),
            created: RefCell::default(),
            has_tried: Cell::default(),
            ending: RefCell::default(),
            avoided: RefCell::default(),
        }
    }
}

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    pub fn requester(&self) -> &Requester {
        self.acquirer.requester
    }

    pub async fn run(&self, earlier: &[StoredLease]) -> Result<Allocation, Error> {
        match self.request.sets {
            Sets::None => {}
            Sets::Named(claim) => return self.join(claim).await,
            Sets::Derived(sets) => return self.join_derived(sets).await,
        }
        let requested = self.request.requested.as_ref();
        if requested.is_none()
            && let Some(allocation) = self.resume(earlier).await?
        {
            return Ok(allocation);
        }
        if let Some(allocation) = self.return_to_slot(self.kept).await? {
            return Ok(allocation);
        }
        if let Some((address, pool)) = requested {
            return self.take_requested(*address, pool).await;
        }
        if self.request.candidates.is_empty() {
            if let Some(allocation) = self.take_avoided().await? {
                return Ok(allocation);
            }
            let pools = self
                .request
                .resumable
                .iter()
                .map(|pool| pool.name.clone())
                .collect();
            return Err(Refusal::Disabled {
                family: self.request.family,
                pools,
            }
            .into());
        }
        let mut pauses = backoff();
        loop {
            let mut usage: Vec<(PoolName, Usage)> = Vec::new();
            for pool in self.request.candidates {
                match self.search_pool(pool).await? {
                    SearchOutcome::Found(allocation) => return Ok(allocation),
                    SearchOutcome::Nothing(counted) => usage.push((pool.name.clone(), counted)),
                }
            }
            let mut cooling = self.cooling();
            if cooling.is_empty() {
                if let Some(allocation) = self.take_avoided().await? {
                    return Ok(allocation);
                }
                return Err(Refusal::Exhausted {
                    family: self.request.family,
                    pools: usage,
                }
                .into());
            }
            cooling.truncate(TRIES);
            for (_, address, pool) in cooling {
                if self.hint(pool, |hint| hint.reserve(address))
                    && let Some(allocation) = self.try_replace(pool, address, Cooling::Any).await?
                {
                    return Ok(allocation);
                }
            }
            self.acquirer.leases.back_off(&mut pauses).await?;
        }
    }

    /// The addresses that this interface had in an earlier sandbox, held ones and the latest first.
    async fn resume(&self, earlier: &[StoredLease]) -> Result<Option<Allocation>, Error> {
        let mut own: Vec<(&StoredLease, &Arc<Pool>)> = earlier
            .iter()
            .filter(|stored| Family::of(stored.lease.name.address) == self.request.family)
            .filter(|stored| {
                self.is_own_slot(stored) && stored.lease.name.vrf == self.requester().vrf
            })
            .filter_map(|stored| Some((stored, self.pool_of(stored)?)))
            .collect();
        own.sort_by_key(|(stored, _)| {
            (
                stored.lease.state != State::Held,
                std::cmp::Reverse(stored.lease.held_since),
            )
        });
        for (stored, pool) in own {
            if let Some(allocation) = self
                .try_replace(pool, stored.lease.name.address, Cooling::Cooled)
                .await?
            {
                return Ok(Some(allocation));
            }
        }
        Ok(None)
    }

    /// The pool that would still give this lease's address: the one it came out of before any
    /// other.
    pub(super) fn pool_of(&self, stored: &StoredLease) -> Option<&Arc<Pool>> {
        let pools = || self.request.candidates.iter().chain(self.request.resumable);
        let gives = |pool: &&Arc<Pool>| pool.usable.contains(stored.lease.name.address);
        pools()
            .filter(gives)
            .find(|pool| pool.name == stored.lease.pool)
            .or_else(|| pools().find(gives))
    }

    /// What is known of addresses whose cooldown is not over, the longest released first.
    fn cooling(&self) -> Vec<(Timestamp, IpAddr, &Arc<Pool>)> {
        let mut cooling = Vec::new();
        for pool in self.request.candidates {
            let known = self.hint(pool, |hint| hint.cooling().to_vec());
            let (ending, avoided) = (self.ending.borrow(), self.avoided.borrow());
            let usable = (known.into_iter()).filter(|(_, it)| {
                pool.usable.contains(*it) && !ending.contains(it) && !avoided.contains_key(it)
            });
            cooling.extend(usable.map(|(at, address)| (at, address, pool)));
        }
        cooling.sort_by_key(|&(at, address, _)| (at, address));
        cooling
    }

    async fn take_requested(&self, address: IpAddr, pool: &Arc<Pool>) -> Result<Allocation, Error> {
        if let Some(allocation) = self.create(pool, address).await? {
            return Ok(allocation);
        }
        if let Some(allocation) = self.try_replace(pool, address, Cooling::Failed).await? {
            return Ok(allocation);
        }
        let stored = self.acquirer.leases.read(&self.name(address)).await?;
        let (state, holder) = match stored {
            Some(stored) => (stored.lease.state, stored.lease.holder.map(Box::new)),
            // Given and released while we searched.
            None => (State::Cooling, None),
        };
        Err(Refusal::Unavailable {
            address,
            state,
            holder,
        }
        .into())
    }

    pub(super) fn avoid(&self, stored: &StoredLease, pool: &Arc<Pool>) {
        self.avoided.borrow_mut().insert(
            stored.lease.name.address,
            Avoided {
                released_at: stored.lease.released_at,
                pool: pool.clone(),
            },
        );
    }

    /// In a list, they cool for ever: the pool is full before one of them is given.
    pub(super) fn put_avoided_last(&self, taken: &mut [Taken]) {
        let avoided = self.avoided.borrow();
        for lease in taken
            .iter_mut()
            .filter(|lease| avoided.contains_key(&lease.address))
        {
            if let TakenState::Cooling { cooldown, .. } = &mut lease.state {
                *cooldown = Duration::MAX;
            }
        }
    }

    /// An address that was avoided, the longest released first: that it fails again is no
    /// certainty.
    async fn take_avoided(&self) -> Result<Option<Allocation>, Error> {
        let avoided = std::mem::take(&mut *self.avoided.borrow_mut());
        let mut avoided: Vec<_> = avoided.into_iter().collect();
        avoided.sort_by_key(|(_, avoided)| avoided.released_at);
        for (address, Avoided { pool, .. }) in &avoided {
            if let Some(allocation) = self.try_replace(pool, *address, Cooling::Failed).await? {
                return Ok(Some(allocation));
            }
        }
        Ok(None)
    }

    /// The lease of an earlier call for this interface, where the list shows one.
    pub(super) async fn find_own(
        &self,
        pool: &Arc<Pool>,
        taken: &[Taken],
    ) -> Result<Option<Allocation>, Error> {
        let holder = &self.requester().holder;
        let own = taken.iter().filter(|lease| {
            lease.owner.as_ref().is_some_and(|owner| {
                owner.namespace == holder.namespace
                    && owner.pod == holder.pod
                    && owner.interface == holder.interface
            })
        });
        for lease in own.filter(|lease| pool.usable.contains(lease.address)) {
            if let Some(allocation) = self.try_replace_own(pool, lease.address).await? {
                return Ok(Some(allocation));
            }
        }
        Ok(None)
    }

    pub(super) fn seed(&self, pool: &Pool) -> Seed {
        let Requester { holder, slot, .. } = self.requester();
        // A pod that comes back under its name has another uid.
        let pod = match slot {
            Some(slot) => format!("{}/{}", slot.namespace, slot.name),
            None => holder.uid.clone(),
        };
        Seed::of(
            &pod,
            &holder.interface,
            &holder.network,
            &pool.name.to_string(),
        )
    }

    pub(super) fn now(&self) -> Timestamp {
        self.acquirer.leases.clock.now()
    }

    pub(super) fn hint<T>(&self, pool: &Pool, edit: impl FnOnce(&mut PoolHint) -> T) -> T {
        self.acquirer.hints.edit(pool, edit)
    }
}
