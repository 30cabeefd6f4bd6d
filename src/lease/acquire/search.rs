//! The search for one address: own ones first, then creates without a list, then lists, then those
//! that are cooling.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::record::StoredLease;
use super::super::store::{Freshness, ListScope, Store};
use super::super::{Error, State};
use super::eligibility::Cooling;
use super::{Acquirer, AddressRequest, Allocation, Refusal, Requester};
use crate::allocate::{self, Seed, Taken, Usage};
use crate::ip::{Family, PoolName};
use crate::pool::Pool;
use crate::retry::{Clock, backoff};

/// Creates before the first list. Even if half of a pool is taken, three of four ADDs need no list,
/// for which the API server scans all leases; each lost create costs two small requests.
const BLIND: usize = 2;

/// Attempts on one list. After that many it is outdated, and another one is cheaper than more
/// losses.
const TRIES: usize = 16;

/// The search for the address of one request.
pub(super) struct Search<'a, S, C> {
    pub acquirer: &'a Acquirer<'a, S, C>,
    pub request: &'a AddressRequest<'a>,
}

/// The outcome of searching a pool.
#[expect(clippy::large_enum_variant, reason = "a process has one of them")]
enum SearchOutcome {
    Found(Allocation),
    /// Nothing was free in it as of this list.
    Nothing(Vec<Taken>),
}

impl<S: Store, C: Clock> Search<'_, S, C> {
    pub fn requester(&self) -> &Requester {
        self.acquirer.requester
    }

    pub async fn run(&self, earlier: &[StoredLease]) -> Result<Allocation, Error> {
        if let Some((address, pool)) = &self.request.requested {
            return self.take_requested(*address, pool).await;
        }
        if let Some(allocation) = self.resume(earlier).await? {
            return Ok(allocation);
        }
        if self.request.candidates.is_empty() {
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
        for pool in self.request.candidates {
            if let Some(allocation) = self.try_blindly(pool).await? {
                return Ok(allocation);
            }
            if let SearchOutcome::Found(allocation) =
                self.search_pool(pool, Freshness::Cached).await?
            {
                return Ok(allocation);
            }
        }
        self.insist().await
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
    fn pool_of(&self, stored: &StoredLease) -> Option<&Arc<Pool>> {
        let pools = || self.request.candidates.iter().chain(self.request.resumable);
        let gives = |pool: &&Arc<Pool>| pool.usable.contains(stored.lease.name.address);
        pools()
            .filter(gives)
            .find(|pool| pool.name == stored.lease.pool)
            .or_else(|| pools().find(gives))
    }

    async fn try_blindly(&self, pool: &Arc<Pool>) -> Result<Option<Allocation>, Error> {
        if pool.free_hint == Some(0) {
            return Ok(None);
        }
        for address in allocate::order(&pool.usable, self.seed(pool)).take(BLIND) {
            if let Some(allocation) = self.create(pool, address).await? {
                return Ok(Some(allocation));
            }
            if let Some(allocation) = self.try_replace(pool, address, Cooling::Cooled).await? {
                return Ok(Some(allocation));
            }
        }
        Ok(None)
    }

    /// Lists what is taken and tries what is free or has cooled, until a list shows nothing of
    /// either.
    async fn search_pool(
        &self,
        pool: &Arc<Pool>,
        mut freshness: Freshness,
    ) -> Result<SearchOutcome, Error> {
        let mut scope = ListScope::Pool(&pool.name);
        let mut lost = BTreeSet::new();
        let mut pauses = backoff();
        loop {
            let taken = self.acquirer.leases.taken(scope, freshness).await?;
            if let Some(allocation) = self.find_own(pool, &taken).await? {
                return Ok(SearchOutcome::Found(allocation));
            }
            let free: Vec<IpAddr> = allocate::free(&pool.usable, &taken, self.seed(pool))
                .take(TRIES)
                .collect();
            if matches!(scope, ListScope::Pool(_))
                && free.iter().any(|address| lost.contains(address))
            {
                // Taken, and not in this pool's list: it is a lease of another pool.
                (scope, freshness) = (ListScope::Vrf(&pool.vrf), Freshness::Consistent);
                continue;
            }
            for &address in &free {
                if let Some(allocation) = self.create(pool, address).await? {
                    return Ok(SearchOutcome::Found(allocation));
                }
                lost.insert(address);
            }
            let now = self.acquirer.leases.clock.now();
            let cooled: Vec<IpAddr> = allocate::cooled(&pool.usable, &taken, now, self.seed(pool))
                .take(TRIES)
                .collect();
            for &address in &cooled {
                if let Some(allocation) = self.try_replace(pool, address, Cooling::Cooled).await? {
                    return Ok(SearchOutcome::Found(allocation));
                }
            }
            if free.is_empty() && cooled.is_empty() {
                return Ok(SearchOutcome::Nothing(taken));
            }
            freshness = Freshness::Consistent;
            self.acquirer.leases.back_off(&mut pauses).await?;
        }
    }

    /// Nothing was free on cached reads: reads consistently, and takes a cooling address before it
    /// gives up.
    async fn insist(&self) -> Result<Allocation, Error> {
        let mut pauses = backoff();
        loop {
            let mut usage: Vec<(PoolName, Usage)> = Vec::new();
            let mut cooling = Vec::new();
            for pool in self.request.candidates {
                let taken = match self.search_pool(pool, Freshness::Consistent).await? {
                    SearchOutcome::Found(allocation) => return Ok(allocation),
                    SearchOutcome::Nothing(taken) => taken,
                };
                usage.push((pool.name.clone(), Usage::of(&pool.usable, &taken)));
                cooling.extend(
                    allocate::cooling(&pool.usable, &taken)
                        .map(|(at, address)| (at, address, pool)),
                );
            }
            if cooling.is_empty() {
                return Err(Refusal::Exhausted {
                    family: self.request.family,
                    pools: usage,
                }
                .into());
            }
            cooling.sort_by_key(|&(at, address, _)| (at, address));
            for (_, address, pool) in cooling.into_iter().take(TRIES) {
                if let Some(allocation) = self.try_replace(pool, address, Cooling::Any).await? {
                    return Ok(allocation);
                }
            }
            self.acquirer.leases.back_off(&mut pauses).await?;
        }
    }

    async fn take_requested(&self, address: IpAddr, pool: &Arc<Pool>) -> Result<Allocation, Error> {
        if let Some(allocation) = self.create(pool, address).await? {
            return Ok(allocation);
        }
        if let Some(allocation) = self.try_replace(pool, address, Cooling::Any).await? {
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

    /// The lease of an earlier call for this interface, where the list shows one.
    async fn find_own(
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

    fn seed(&self, pool: &Pool) -> Seed {
        let holder = &self.requester().holder;
        Seed::of(
            &holder.uid,
            &holder.interface,
            &holder.network,
            &pool.name.to_string(),
        )
    }
}
