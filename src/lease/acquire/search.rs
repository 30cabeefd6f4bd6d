//! The search for one address: own ones first, then blindly, then by lists, then among those that cool.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::record::StoredLease;
use super::super::retrying::{Clock, Retrying, backoff};
use super::super::store::{Freshness, ListScope, Store};
use super::super::{Error, State};
use super::eligibility::Cooling;
use super::{AddressRequest, Allocation, Refusal, Requester};
use crate::allocate::{self, Seed, Taken, Usage};
use crate::ip::Family;
use crate::ip::PoolName;
use crate::pool::Pool;

/// Creates before the first list. Half of a pool may be taken and three of four ADDs still need no list, which is a
/// scan of all leases in the API server; each loss costs two small requests.
const BLIND: usize = 2;

/// Attempts on one list. By then rivals have made it old, and another is cheaper than more losses.
const TRIES: usize = 16;

/// The search for the address of one bid.
pub(super) struct Search<'a, S, C> {
    pub desk: &'a Retrying<'a, S, C>,
    pub who: &'a Requester,
    pub bid: &'a AddressRequest<'a>,
}

/// What came of looking through a pool.
#[expect(clippy::large_enum_variant, reason = "a process has one of them")]
enum SearchOutcome {
    Found(Allocation),
    /// Nothing was free in it as of this list.
    Nothing(Vec<Taken>),
}

impl<S: Store, C: Clock> Search<'_, S, C> {
    pub async fn run(&self, earlier: &[StoredLease]) -> Result<Allocation, Error> {
        if let Some((address, pool)) = &self.bid.requested {
            return self.take_exactly(*address, pool).await;
        }
        if let Some(allocation) = self.take_up_again(earlier).await? {
            return Ok(allocation);
        }
        if self.bid.candidates.is_empty() {
            let pools = self
                .bid
                .resumable
                .iter()
                .map(|pool| pool.name.clone())
                .collect();
            return Err(Refusal::Disabled {
                family: self.bid.family,
                pools,
            }
            .into());
        }
        for pool in self.bid.candidates {
            if let Some(allocation) = self.try_blindly(pool).await? {
                return Ok(allocation);
            }
            if let SearchOutcome::Found(allocation) =
                self.look_through(pool, Freshness::Cached).await?
            {
                return Ok(allocation);
            }
        }
        self.insist().await
    }

    /// The addresses that this interface had in an earlier sandbox, held ones and the latest first.
    async fn take_up_again(&self, earlier: &[StoredLease]) -> Result<Option<Allocation>, Error> {
        let mut own: Vec<(&StoredLease, &Arc<Pool>)> = earlier
            .iter()
            .filter(|seen| Family::of(seen.lease.name.address) == self.bid.family)
            .filter(|seen| self.is_own_slot(seen) && seen.lease.name.vrf == self.who.vrf)
            .filter_map(|seen| Some((seen, self.pool_of(seen)?)))
            .collect();
        own.sort_by_key(|(seen, _)| {
            (
                seen.lease.state != State::Held,
                std::cmp::Reverse(seen.lease.held_since),
            )
        });
        for (seen, pool) in own {
            if let Some(allocation) = self
                .try_replace(pool, seen.lease.name.address, Cooling::Cooled)
                .await?
            {
                return Ok(Some(allocation));
            }
        }
        Ok(None)
    }

    /// The pool that would still give this lease's address: the one it came out of before any other.
    fn pool_of(&self, seen: &StoredLease) -> Option<&Arc<Pool>> {
        let pools = || self.bid.candidates.iter().chain(self.bid.resumable);
        let gives = |pool: &&Arc<Pool>| pool.usable.contains(seen.lease.name.address);
        pools()
            .filter(gives)
            .find(|pool| pool.name == seen.lease.pool)
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

    /// Lists what is taken and tries what is free or has cooled, until a list shows nothing of either.
    async fn look_through(
        &self,
        pool: &Arc<Pool>,
        mut freshness: Freshness,
    ) -> Result<SearchOutcome, Error> {
        let mut scope = ListScope::Pool(&pool.name);
        let mut lost = BTreeSet::new();
        let mut pauses = backoff();
        loop {
            let taken = self.desk.taken(scope, freshness).await?;
            if let Some(allocation) = self.find_own(pool, &taken).await? {
                return Ok(SearchOutcome::Found(allocation));
            }
            let free: Vec<IpAddr> = allocate::free(&pool.usable, &taken, self.seed(pool))
                .take(TRIES)
                .collect();
            if matches!(scope, ListScope::Pool(_))
                && free.iter().any(|address| lost.contains(address))
            {
                // Taken, and not in this pool's list: another pool's lease lies here.
                (scope, freshness) = (ListScope::Vrf(&pool.vrf), Freshness::Consistent);
                continue;
            }
            for &address in &free {
                if let Some(allocation) = self.create(pool, address).await? {
                    return Ok(SearchOutcome::Found(allocation));
                }
                lost.insert(address);
            }
            let now = self.desk.clock.now();
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
            self.desk.step_back(&mut pauses).await?;
        }
    }

    /// Nothing was free on cached reads: asks what is so now, and takes what still cools before it gives up.
    async fn insist(&self) -> Result<Allocation, Error> {
        let mut pauses = backoff();
        loop {
            let mut counts: Vec<(PoolName, Usage)> = Vec::new();
            let mut cooling = Vec::new();
            for pool in self.bid.candidates {
                let taken = match self.look_through(pool, Freshness::Consistent).await? {
                    SearchOutcome::Found(allocation) => return Ok(allocation),
                    SearchOutcome::Nothing(taken) => taken,
                };
                counts.push((pool.name.clone(), Usage::of(&pool.usable, &taken)));
                cooling.extend(
                    allocate::cooling(&pool.usable, &taken)
                        .map(|(at, address)| (at, address, pool)),
                );
            }
            if cooling.is_empty() {
                return Err(Refusal::Exhausted {
                    family: self.bid.family,
                    pools: counts,
                }
                .into());
            }
            cooling.sort_by_key(|&(at, address, _)| (at, address));
            for (_, address, pool) in cooling.into_iter().take(TRIES) {
                if let Some(allocation) = self.try_replace(pool, address, Cooling::Any).await? {
                    return Ok(allocation);
                }
            }
            self.desk.step_back(&mut pauses).await?;
        }
    }

    async fn take_exactly(&self, address: IpAddr, pool: &Arc<Pool>) -> Result<Allocation, Error> {
        if let Some(allocation) = self.create(pool, address).await? {
            return Ok(allocation);
        }
        if let Some(allocation) = self.try_replace(pool, address, Cooling::Any).await? {
            return Ok(allocation);
        }
        let seen = self.desk.read(&self.name(address)).await?;
        let (state, holder) = match seen {
            Some(seen) => (seen.lease.state, seen.lease.holder.map(Box::new)),
            // Given and given back while we looked.
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
        let holder = &self.who.holder;
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
        let holder = &self.who.holder;
        Seed::of(
            &holder.uid,
            &holder.interface,
            &holder.network,
            &pool.name.to_string(),
        )
    }
}
