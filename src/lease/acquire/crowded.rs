//! The search in one pool, however full it is: a blind create, what the node knows, GETs, and at
//! last a list for all.
//!
//! What each request costs, and what follows from that, is written in
//! [`PoolHint`](crate::allocate::PoolHint)'s module. Every address that comes out of this is a
//! proposal until its lease is written. "Nothing" is said only of a consistent list that began
//! after this search did, or, of a large pool, seconds before; or of the collector's count of the
//! last minute and a list of what was released since.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::Error;
use super::super::store::{Freshness, ListScope, Peek, Store};
use super::Allocation;
use super::eligibility::{self, Cooling, Eligibility};
use super::hints::Hints;
use super::search::{Search, SearchOutcome};
use crate::allocate::{self, Listed, PoolHint, Turn};
use crate::pool::Pool;
use crate::retry::{Clock, backoff};

/// How many GETs go first, all at once: they cost the API server half of what a lost create does.
const FIRST: usize = 4;

/// How many go at once later.
const LAST: usize = 32;

/// The longest pause between two looks at whether another process has listed the pool.
const WAIT: Duration = Duration::from_millis(100);

/// How many leases a pool of unknown use is taken to have at most.
const UNKNOWN_ROWS: u128 = 20_000;

/// What GETs have shown.
#[derive(Default)]
struct Probed {
    /// Without a lease, or with one that has cooled.
    open: Vec<IpAddr>,
    /// Those of the open ones that have a lease.
    leased: Vec<IpAddr>,
    taken: Vec<IpAddr>,
    /// The lease of an earlier call for this interface.
    own: Option<IpAddr>,
}

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    /// Tries the pool without a list, then what lists show, until one shows nothing that is free or
    /// has cooled.
    pub(super) async fn search_pool(&self, pool: &Arc<Pool>) -> Result<SearchOutcome, Error> {
        let began = self.now();
        let mut overlapped = pool.count.as_ref().is_some_and(|count| count.overlaps);
        if let Some(allocation) = self.try_blindly(pool, &mut overlapped).await? {
            return Ok(SearchOutcome::Found(allocation));
        }
        let mut waits = std::iter::repeat(WAIT);
        let mut lists = backoff();
        let mut has_listed = false;
        loop {
            if let Some(allocation) = self.try_open(pool, &mut overlapped).await? {
                return Ok(SearchOutcome::Found(allocation));
            }
            let now = self.now();
            let scope = match self.hint(pool, |hint| hint.turn(began, now)) {
                Turn::Full(usage) => return Ok(SearchOutcome::Nothing(usage)),
                Turn::Wait => {
                    self.acquirer.leases.back_off(&mut waits).await?;
                    continue;
                }
                // Leases that no list of this pool's own shows lie here.
                Turn::ListReleased if overlapped => ListScope::CoolingInVrf(&pool.vrf),
                Turn::ListReleased => ListScope::Cooling(&pool.name),
                Turn::List if overlapped => ListScope::Vrf(&pool.vrf),
                Turn::List => ListScope::Pool(&pool.name),
            };
            // What the last list has shown went to others: they pass first.
            let passed = if std::mem::replace(&mut has_listed, true) {
                self.acquirer.leases.back_off(&mut lists).await
            } else {
                Ok(())
            };
            let found = match passed {
                Ok(()) => self.list(pool, scope).await,
                Err(error) => Err(error.into()),
            };
            if !matches!(found, Ok(None)) {
                self.hint(pool, PoolHint::not_listed);
            }
            if let Some(allocation) = found? {
                return Ok(SearchOutcome::Found(allocation));
            }
        }
    }

    /// A create at the first address of the pod's order, unless much of the pool is known to be
    /// taken; then what the node knows; then GETs along that order, for as long as a list would
    /// cost more.
    async fn try_blindly(
        &self,
        pool: &Arc<Pool>,
        overlapped: &mut bool,
    ) -> Result<Option<Allocation>, Error> {
        let seed = self.seed(pool);
        let mut order = allocate::order(&pool.usable, seed);
        if !is_crowded(pool)
            && let Some(address) = order.next()
        {
            if let Some(allocation) = self.create(pool, address).await? {
                return Ok(Some(allocation));
            }
            if let Some(allocation) = self.try_replace(pool, address, Cooling::Cooled).await? {
                return Ok(Some(allocation));
            }
        }
        let now = self.now();
        let tried = self.hint(pool, |hint| {
            hint.learn(pool, now);
            hint.tried(seed)
        });
        if let Some(address) = tried.filter(|address| pool.usable.contains(*address))
            && let Some(allocation) = self.try_replace_own(pool, address).await?
        {
            return Ok(Some(allocation));
        }
        if let Some(allocation) = self.try_open(pool, overlapped).await? {
            return Ok(Some(allocation));
        }
        let rows = leases_at_most(pool);
        let mut count = FIRST;
        while self.hint(pool, |hint| hint.may_probe(rows, self.now())) {
            let next: Vec<IpAddr> = order.by_ref().take(count).collect();
            if next.is_empty() {
                break;
            }
            let probed = self.probe(pool, &next, overlapped).await?;
            let now = self.now();
            let chosen = self.hint(pool, |hint| hint.find(&probed.open, &probed.taken, now));
            if let Some(allocation) = self.take(pool, chosen, &probed).await? {
                return Ok(Some(allocation));
            }
            count = (count * 2).min(LAST);
        }
        Ok(None)
    }

    /// Tries what the node knows to be open.
    async fn try_open(
        &self,
        pool: &Arc<Pool>,
        overlapped: &mut bool,
    ) -> Result<Option<Allocation>, Error> {
        let seed = self.seed(pool);
        let mut count = FIRST;
        loop {
            let now = self.now();
            let next = self.hint(pool, |hint| hint.propose(&pool.usable, seed, now, count));
            if next.is_empty() {
                return Ok(None);
            }
            let probed = self.probe(pool, &next, overlapped).await?;
            let chosen = self.hint(pool, |hint| hint.settle(&probed.open, &probed.taken));
            if let Some(allocation) = self.take(pool, chosen, &probed).await? {
                return Ok(Some(allocation));
            }
            count = (count * 2).min(LAST);
        }
    }

    /// Reads the leases of these addresses, all at once and from the watch cache.
    async fn probe(
        &self,
        pool: &Pool,
        addresses: &[IpAddr],
        overlapped: &mut bool,
    ) -> Result<Probed, Error> {
        let names: Vec<_> = addresses
            .iter()
            .map(|&address| self.name(address))
            .collect();
        let peeked = self.acquirer.leases.peek(&names).await?;
        let now = self.now();
        let mut probed = Probed::default();
        for (&address, peek) in addresses.iter().zip(peeked) {
            let stored = match peek {
                Peek::Absent => {
                    probed.open.push(address);
                    continue;
                }
                Peek::Unreadable => {
                    probed.taken.push(address);
                    continue;
                }
                Peek::Stored(stored) => stored,
            };
            *overlapped |= stored.lease.pool != pool.name;
            match eligibility::judge(&stored, &self.requester().holder, Cooling::Cooled, now) {
                Eligibility::Taken | Eligibility::Avoided => probed.taken.push(address),
                Eligibility::Mine | Eligibility::Earlier | Eligibility::Vacant => {
                    if self.is_own_slot(&stored) {
                        probed.own = Some(address);
                    }
                    probed.open.push(address);
                    probed.leased.push(address);
                }
            }
        }
        Ok(probed)
    }

    /// The interface's own address if GETs have shown it, else the chosen one; `None`: there is
    /// none, or another pod was first.
    async fn take(
        &self,
        pool: &Arc<Pool>,
        chosen: Option<IpAddr>,
        probed: &Probed,
    ) -> Result<Option<Allocation>, Error> {
        let Some(address) = probed.own.or(chosen) else {
            return Ok(None);
        };
        let seed = self.seed(pool);
        self.hint(pool, |hint| hint.tries(seed, address));
        if probed.own == Some(address) {
            self.try_replace_own(pool, address).await
        } else if probed.leased.contains(&address) {
            self.try_replace(pool, address, Cooling::Cooled).await
        } else {
            self.create(pool, address).await
        }
    }

    /// Lists the pool for all ADDs of the node.
    async fn list(
        &self,
        pool: &Arc<Pool>,
        scope: ListScope<'_>,
    ) -> Result<Option<Allocation>, Error> {
        let at = self.now();
        let leases = self.acquirer.leases;
        let mut taken = leases.taken(scope, Freshness::Consistent).await?;
        if let Some(allocation) = self.find_own(pool, &taken).await? {
            return Ok(Some(allocation));
        }
        self.put_avoided_last(&mut taken);
        let (usable, seed, now) = (&pool.usable, self.seed(pool), self.now());
        let listed = match scope {
            ListScope::Pool(_) | ListScope::Vrf(_) => Listed::all(usable, &taken, seed, now),
            ListScope::Cooling(_) | ListScope::CoolingInVrf(_) => {
                Listed::released(usable, &taken, seed, now)
            }
        };
        self.hint(pool, |hint| hint.listed(listed, at, now));
        Ok(None)
    }
}

/// Whether so much of the pool is known to be taken, a third, that a blind create costs more than
/// GETs do: a lost one and the read after it 4.8 ms of the API server, [`FIRST`] GETs 2 ms.
fn is_crowded(pool: &Pool) -> bool {
    pool.count.as_ref().is_some_and(|count| {
        // The status saturates where pools are large beyond all use.
        let free = count.usage.free;
        free < u128::from(i64::MAX.unsigned_abs()) && free * 3 < pool.usable.len().saturating_mul(2)
    })
}

/// How many leases the pool has at most, by what is known without a request; none are worth a probe
/// where the collector has found nothing free.
fn leases_at_most(pool: &Pool) -> u128 {
    match pool.count.as_ref().map(|count| count.usage.free) {
        Some(0) => 0,
        Some(free) => pool.usable.len().saturating_sub(free),
        None => pool.usable.len().min(UNKNOWN_ROWS),
    }
}
