//! What a node remembers of a pool from one ADD to the next: proposals, and how long they are good
//! for.
//!
//! An ADD in a crowded pool needs an address that is free. Its own list would cost more than all
//! else that it does, so the processes of a node share what one of them has learned. All of it may
//! be missing, stale or untrue: an address is given by a write of its lease, and "full" is the
//! answer only of a list that found nothing.
//!
//! # What was measured
//!
//! The API server's CPU, Kubernetes 1.37, two cores: a GET of a lease from the watch cache 0.5 ms,
//! a list 25 µs for each row that it returns and 1.2 µs for each that it passes over, a create that
//! is lost 3.6 ms. Hence:
//!
//! - Before a create come GETs, many at once: seven of them cost what one lost create costs.
//! - A pool is probed until the GETs of all ADDs of the node have cost what a list of it costs,
//!   then one of them lists it for all ([`ROWS_PER_PROBE`]): at most twice the cost of the better
//!   way, whichever that is.
//! - A list of one block of addresses by a label would cost as much as 50 GETs, and show no more
//!   than these do.
//! - What the collector has counted costs nothing, because ADD reads the pools anyway: the sample
//!   of free addresses is proposed before any other read (twenty ADDs at a time in a pool of 16,383
//!   that is 99 % full: 0.9 times as many a second as with plenty of room), and a large pool in
//!   which it has just found nothing is listed by no node. Only what was released since is: 200 ADDs
//!   that find nothing cost the API server 0.8 to 1.2 times what as many `curl` GETs do.
//! - In a pool without a cooldown, a release deletes the lease, and no cheap request shows what is
//!   missing: the number of all leases changes with every other pool, and a watch from the version
//!   that was counted tells not when it has told all. There the count stands for one list, and the
//!   next is made once it costs a node no more than 4 % of a processor: every 39 s for 65,000
//!   addresses, every 10 s for 16,000.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Count, Seed, Taken, Usage, cooled, cooling, free};
use crate::ip::Spans;
use crate::pool::Pool;

/// So many rows of a list cost what one GET costs.
const ROWS_PER_PROBE: u128 = 20;

/// How long an address that was seen free is proposed: until the collector has counted anew.
const KEPT: Duration = Duration::from_mins(1);

/// How many open addresses are kept: each edit reads and writes all of them.
const OPEN: usize = 512;

/// How many addresses are kept of each other sort.
const MOST: usize = 256;

/// After this time the process that lists counts as killed.
const LISTING: Duration = Duration::from_secs(10);

/// A pool of fewer leases is listed by each ADD that finds it full: that costs no more than what
/// else it reads.
pub const CHEAP_ROWS: u128 = 512;

/// How long "full" is repeated without a request. A kubelet tries again after some 12 s.
const FULL: Duration = Duration::from_secs(10);

/// How long "full" is repeated if nothing was released meanwhile. An address without a lease is
/// found within a minute.
const FULL_BUT_FOR_RELEASED: Duration = Duration::from_secs(50);

/// How long the collector's count of a full pool stands for a list: it counts every minute.
const COUNTED: Duration = Duration::from_secs(70);

/// What a node remembers of a pool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolHint {
    /// Addresses that had no lease, or a cooled one, when they were seen.
    open: Vec<IpAddr>,
    /// When the latest of them was seen.
    seen: Timestamp,
    /// When a list last has shown so few that all of them are kept.
    all_seen: Timestamp,
    /// Which address each seed tried last: a repeated ADD finds there what the one before it has
    /// created.
    tried: Vec<(u64, IpAddr)>,
    /// How many GETs have found a lease since the last list.
    probes: u128,
    /// Since when a process lists the pool for all.
    listing: Option<Timestamp>,
    /// Released addresses whose cooldown was not over, the longest released first.
    cooling: Vec<(Timestamp, IpAddr)>,
    /// The list that found nothing open.
    full: Option<Full>,
    /// When the collector made the count that was taken in last.
    counted: Timestamp,
}

/// A list that found nothing open, or a count of the collector.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Full {
    /// When it began.
    at: Timestamp,
    /// When the last list of released addresses began that found none that had cooled.
    checked: Timestamp,
    usage: Usage,
    /// Whether the collector says so.
    #[serde(default)]
    counted: bool,
}

/// What an ADD does that has tried all that is known to be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Wait for the process that lists the pool.
    Wait,
    /// List the pool, for all.
    List,
    /// List its released addresses only, for all.
    ListReleased,
    /// Take it for full.
    Full(Usage),
}

/// What a list has shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listed {
    /// Addresses that have no lease, or a cooled one: those first that were free, in the order of
    /// the lister's seed.
    open: Vec<IpAddr>,
    /// Those whose cooldown is not over, the longest released first.
    cooling: Vec<(Timestamp, IpAddr)>,
    /// What is in the pool; `None` for a list of released addresses only.
    usage: Option<Usage>,
}

impl Listed {
    /// Of a list of all that is taken.
    #[must_use]
    pub fn all(usable: &Spans, taken: &[Taken], seed: Seed, now: Timestamp) -> Self {
        let mut listed = Self::released(usable, taken, seed, now);
        listed
            .open
            .splice(..0, free(usable, taken, seed).take(OPEN));
        listed.usage = Some(Usage::of(usable, taken));
        listed
    }

    /// Of a list of all that is taken, for those who take no released address.
    #[must_use]
    pub fn free(usable: &Spans, taken: &[Taken], seed: Seed) -> Self {
        Self {
            open: free(usable, taken, seed).take(MOST).collect(),
            ..Self::default()
        }
    }

    /// Of a list of the released addresses.
    #[must_use]
    pub fn released(usable: &Spans, taken: &[Taken], seed: Seed, now: Timestamp) -> Self {
        let open: Vec<IpAddr> = cooled(usable, taken, now, seed).collect();
        let over: BTreeSet<IpAddr> = open.iter().copied().collect();
        Self {
            open,
            cooling: cooling(usable, taken)
                .filter(|(_, address)| !over.contains(address))
                .collect(),
            usage: None,
        }
    }
}

impl PoolHint {
    /// Takes in what the collector has counted, again once it has been forgotten.
    pub fn learn(&mut self, pool: &Pool, now: Timestamp) {
        let Some(count) = &pool.count else {
            return;
        };
        let Count {
            at, usage, sample, ..
        } = count;
        if self.counted == *at && within(self.seen, now, KEPT) {
            return;
        }
        self.counted = *at;
        self.see(sample.iter().copied(), now);
        let is_full =
            usage.free == 0 && usage.usable == pool.usable.len() && usage.usable >= CHEAP_ROWS;
        if is_full && within(*at, now, COUNTED) && self.full.is_none_or(|full| full.at < *at) {
            self.full = Some(Full {
                at: *at,
                checked: Timestamp::UNIX_EPOCH,
                usage: *usage,
                // Where released addresses rest not at all, their leases are deleted, and no list
                // of what was released shows them: the count is worth a list of a node's own.
                counted: !pool.cooldown.is_zero(),
            });
        }
    }

    /// Up to `count` open addresses of `usable`, in the order of the seed, so that rivals begin at
    /// different ones.
    #[must_use]
    pub fn propose(&self, usable: &Spans, seed: Seed, now: Timestamp, count: usize) -> Vec<IpAddr> {
        if !within(self.seen, now, KEPT) {
            return Vec::new();
        }
        let is_usable = |address: &IpAddr| usable.contains(*address);
        let mut open: Vec<IpAddr> = self.open.iter().copied().filter(is_usable).collect();
        open.sort_by_cached_key(|address| seed.rank(*address));
        open.truncate(count);
        open
    }

    /// The same, reserved for the caller, who tries them all.
    pub fn take_open(
        &mut self,
        usable: &Spans,
        seed: Seed,
        now: Timestamp,
        count: usize,
    ) -> Vec<IpAddr> {
        let open = self.propose(usable, seed, now, count);
        self.open.retain(|address| !open.contains(address));
        for address in &open {
            self.tries(seed, *address);
        }
        open
    }

    /// The address that this seed tried last.
    #[must_use]
    pub fn tried(&self, seed: Seed) -> Option<IpAddr> {
        let mut tried = self.tried.iter().filter(|(by, _)| *by == seed.number());
        tried.next_back().map(|(_, address)| *address)
    }

    /// Takes in what GETs of proposed addresses have shown, and reserves one of the open ones for
    /// the caller: the first that no other process of the node has taken since.
    pub fn settle(&mut self, open: &[IpAddr], taken: &[IpAddr]) -> Option<IpAddr> {
        self.miss(taken);
        let chosen = open.iter().find(|address| self.open.contains(address))?;
        self.open.retain(|address| address != chosen);
        Some(*chosen)
    }

    /// Takes in what GETs of other addresses have shown. All but the first open one are left for
    /// others.
    pub fn find(&mut self, open: &[IpAddr], taken: &[IpAddr], now: Timestamp) -> Option<IpAddr> {
        self.miss(taken);
        let (chosen, rest) = open.split_first()?;
        self.see(rest.iter().copied(), now);
        Some(*chosen)
    }

    /// This seed tries this address now.
    pub fn tries(&mut self, seed: Seed, address: IpAddr) {
        self.tried.push((seed.number(), address));
        let excess = self.tried.len().saturating_sub(MOST);
        self.tried.drain(..excess);
    }

    /// Whether another GET is worth it in a pool of so many leases, before a list. Where the last
    /// list has found nothing, or all that it has found is kept here, a GET at random finds no more.
    #[must_use]
    pub fn may_probe(&self, rows: u128, now: Timestamp) -> bool {
        let knows_all = within(self.all_seen, now, KEPT);
        self.full.is_none() && !knows_all && self.probes < rows / ROWS_PER_PROBE
    }

    /// Whose turn it is to list the pool, for an ADD that searches it since `began`.
    pub fn turn(&mut self, began: Timestamp, now: Timestamp) -> Turn {
        let mut next = Turn::List;
        if let Some(Full {
            at,
            checked,
            usage,
            counted,
        }) = self.full
        {
            let rows = usage.usable.saturating_sub(usage.free);
            let worth =
                Duration::from_micros(u64::try_from(rows.saturating_mul(600)).unwrap_or(u64::MAX));
            let (repeats, stands) = match (rows >= CHEAP_ROWS, counted) {
                (true, true) => (FULL, COUNTED),
                (true, false) => (worth.min(FULL), worth.min(FULL_BUT_FOR_RELEASED)),
                (false, _) => (Duration::ZERO, Duration::ZERO),
            };
            let is_own = !counted && began <= at.min(checked) && at <= now;
            if is_own || repeats > Duration::ZERO && within(checked, now, repeats) {
                return Turn::Full(usage);
            }
            if stands > Duration::ZERO && within(at, now, stands) {
                next = Turn::ListReleased;
            }
        }
        if self
            .listing
            .is_some_and(|since| within(since, now, LISTING))
        {
            return Turn::Wait;
        }
        self.listing = Some(now);
        next
    }

    /// Takes in a list that began at `at`, unless what is known is newer. It may show addresses as
    /// free that calls try right now.
    pub fn listed_at(&mut self, mut listed: Listed, at: Timestamp, now: Timestamp) {
        if self.seen >= at {
            return;
        }
        let tried: BTreeSet<IpAddr> = self.tried.iter().map(|(_, address)| *address).collect();
        listed.open.retain(|address| !tried.contains(address));
        self.listed(listed, at, now);
    }

    /// Takes in a list that began at `at`.
    pub fn listed(&mut self, listed: Listed, at: Timestamp, now: Timestamp) {
        let Listed {
            open,
            cooling,
            usage,
        } = listed;
        if usage.is_some() && open.len() < OPEN {
            self.all_seen = at;
        }
        self.full = match usage {
            Some(_) if !open.is_empty() => None,
            Some(usage) => Some(Full {
                at,
                checked: at,
                usage,
                counted: false,
            }),
            // Once these have been taken, it is as full as before.
            None if !open.is_empty() => self.full,
            None => self.full.map(|full| Full {
                checked: at,
                ..full
            }),
        };
        self.open.clear();
        self.see(open.into_iter(), now);
        self.cooling = cooling;
        self.cooling.truncate(MOST);
        self.probes = 0;
        self.listing = None;
    }

    /// The list has failed.
    pub fn not_listed(&mut self) {
        self.listing = None;
    }

    /// Released addresses whose cooldown was not over, the longest released first.
    #[must_use]
    pub fn cooling(&self) -> &[(Timestamp, IpAddr)] {
        &self.cooling
    }

    /// Reserves a cooling address for the caller, unless another process of the node has it. With
    /// the last of them goes the knowledge that nothing was released: who has reserved one may not
    /// have taken it.
    pub fn reserve(&mut self, address: IpAddr) -> bool {
        let before = self.cooling.len();
        self.cooling.retain(|(_, cooling)| *cooling != address);
        if self.cooling.is_empty() {
            let counted = self.full.filter(|full| full.counted);
            self.full = counted.map(|full| Full {
                checked: Timestamp::UNIX_EPOCH,
                ..full
            });
        }
        self.cooling.len() < before
    }

    fn see(&mut self, open: impl Iterator<Item = IpAddr>, now: Timestamp) {
        let known: BTreeSet<IpAddr> = self.open.iter().copied().collect();
        let new = open.filter(|address| !known.contains(address));
        self.open.extend(new.take(OPEN));
        self.open.truncate(OPEN);
        self.seen = now;
    }

    fn miss(&mut self, taken: &[IpAddr]) {
        self.probes = self.probes.saturating_add(taken.len() as u128);
        self.open.retain(|address| !taken.contains(address));
    }
}

/// Whether `at` lies no more than `limit` before `now`. What lies ahead was written by another
/// clock.
fn within(at: Timestamp, now: Timestamp, limit: Duration) -> bool {
    let age = now.duration_since(at);
    age >= SignedDuration::ZERO && SignedDuration::try_from(limit).is_ok_and(|limit| age <= limit)
}

#[cfg(test)]
mod tests;
