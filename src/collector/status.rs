//! How full each pool is, and what is odd about it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::compact::Moment;
use super::pod_name::PodName;
use crate::allocate::CHEAP_ROWS;
use crate::api::{Condition, IPPoolStatus, MicroTime};
use crate::ip::{Family, PoolName, Spans, Vrf};
use crate::lease::{LeaseName, State};
use crate::pool::{InvalidPool, Overlap, Pool, Pools, overlaps};

mod finding;
mod kept;
mod sample;

use finding::Finding;
pub use kept::{KeptLease, KeptLeases};
use sample::sample;

/// How many leases, pools or nodes the message of a condition names.
const SHOWN: usize = 3;

/// What each of our conditions is called.
const CONDITIONS: [&str; 5] = [
    "Exhausted",
    "Overlapping",
    "OutOfRange",
    "LeasesKept",
    "AddressContested",
];

/// A pool, counted.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Its name.
    pub name: PoolName,
    /// Its address space, if that can be read.
    pub vrf: Option<Vrf>,
    /// Its family, if that can be read.
    pub family: Option<Family>,
    /// How many addresses it may give; [`i64::MAX`] stands for that many or more.
    pub capacity: i64,
    /// Leases in each state on addresses that it may give.
    pub held: i64,
    /// The same.
    pub cooling: i64,
    /// The same.
    pub retained: i64,
    /// The same; a state that only a newer version knows counts here too.
    pub quarantined: i64,
    /// Addresses without a lease.
    pub free: i64,
    /// Some of them, if more than half of the pool is taken.
    sample: Vec<IpAddr>,
    /// Why it gives nothing at all, if something in it is invalid.
    fault: Option<String>,
    overlaps: Vec<Overlap>,
    out_of_range: OutOfRange,
    /// The leases out of it that look dead and are kept.
    pub kept: KeptLeases,
    /// When the next quarantine ends.
    quarantine_ends: Option<Moment>,
    contested: Vec<(IpAddr, Vec<PodName>)>,
}

/// Held leases out of a pool that would not give their addresses today.
#[derive(Debug, Clone, Default)]
struct OutOfRange {
    count: usize,
    shown: Vec<IpAddr>,
}

/// A lease as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct CountedLease<'a> {
    /// Its name.
    pub name: &'a LeaseName,
    /// The state of its address.
    pub state: State,
    /// The pool that it came out of.
    pub pool: &'a PoolName,
    /// When this state ends by itself.
    pub over: Option<Moment>,
}

/// What else is known of pools.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// The leases that look dead and are kept, by the pool that they came out of.
    pub kept: BTreeMap<PoolName, KeptLeases>,
    /// The addresses that two living pods use.
    pub contested: Vec<(IpAddr, Vec<PodName>)>,
}

impl Counted {
    /// Counts every IPPool. What overlaps counts in each: no other pod gets it from either.
    #[must_use]
    pub fn pools<'a>(
        pools: &Pools,
        leases: impl Iterator<Item = CountedLease<'a>>,
        findings: &Findings,
    ) -> Vec<Self> {
        Self::all(pools, pools.iter(), leases, findings)
    }

    /// Counts every Subnet. One and the pools that inherit from it are of one segment: that is no
    /// overlap.
    #[must_use]
    pub fn subnets<'a>(
        pools: &Pools,
        leases: impl Iterator<Item = CountedLease<'a>>,
        findings: &Findings,
    ) -> Vec<Self> {
        Self::all(pools, pools.subnets(), leases, findings)
    }

    fn all<'a, 'p>(
        pools: &'p Pools,
        counted: impl Iterator<Item = Result<&'p Arc<Pool>, &'p InvalidPool>>,
        leases: impl Iterator<Item = CountedLease<'a>>,
        findings: &Findings,
    ) -> Vec<Self> {
        let counting: Vec<_> = counted.collect();
        let mut by_vrf: BTreeMap<&Vrf, Vec<CountedLease<'a>>> = BTreeMap::new();
        let mut by_pool: BTreeMap<&PoolName, Vec<CountedLease<'a>>> = BTreeMap::new();
        let mut out_of_range: BTreeMap<&PoolName, OutOfRange> = BTreeMap::new();
        for lease in leases {
            by_vrf.entry(&lease.name.vrf).or_default().push(lease);
            match pools.get(lease.pool.as_str()) {
                Some(Ok(of)) if lease.state == State::Held => {
                    let address = lease.name.address;
                    if !(of.vrf == lease.name.vrf && of.usable.contains(address)) {
                        out_of_range.entry(lease.pool).or_default().add(address);
                    }
                }
                // What a broken pool may give is not known; what came out of it is.
                Some(Err(_)) => by_pool.entry(lease.pool).or_default().push(lease),
                Some(Ok(_)) | None => {}
            }
        }
        for leases in by_vrf.values_mut() {
            leases.sort_unstable_by_key(|lease| lease.name.address);
        }
        let sampled = sample::size(counting.len());
        let sound = counting.iter().copied().flatten();
        let mut shared = overlaps(sound.map(|pool| &**pool));
        let counted = |pool: Result<&Arc<Pool>, &InvalidPool>| match pool {
            Ok(pool) => {
                let leases = by_vrf.get(&pool.vrf).map_or(&[][..], Vec::as_slice);
                let mut counted = Self::of(pool, leases, findings, sampled);
                counted.overlaps = shared.remove(&pool.name).unwrap_or_default();
                counted.out_of_range = out_of_range.remove(&pool.name).unwrap_or_default();
                counted
            }
            Err(broken) => {
                let leases = by_pool.get(&broken.name).map_or(&[][..], Vec::as_slice);
                Self::of_broken(broken, leases, findings)
            }
        };
        counting.into_iter().map(counted).collect()
    }

    fn empty(name: &PoolName, findings: &Findings) -> Self {
        Self {
            name: name.clone(),
            vrf: None,
            family: None,
            capacity: 0,
            held: 0,
            cooling: 0,
            retained: 0,
            quarantined: 0,
            free: 0,
            sample: Vec::new(),
            fault: None,
            overlaps: Vec::new(),
            out_of_range: OutOfRange::default(),
            kept: findings.kept.get(name).cloned().unwrap_or_default(),
            quarantine_ends: None,
            contested: Vec::new(),
        }
    }

    /// `sampled` addresses at most are in its sample.
    fn of(pool: &Pool, leases: &[CountedLease<'_>], findings: &Findings, sampled: usize) -> Self {
        let mut counted = Self {
            vrf: Some(pool.vrf.clone()),
            family: Some(pool.family()),
            capacity: saturate(pool.usable.len()),
            ..Self::empty(&pool.name, findings)
        };
        let mut inside = 0;
        for lease in within(leases, &pool.usable) {
            inside += 1;
            counted.count(lease);
        }
        let free = pool.usable.len() - inside;
        counted.free = saturate(free);
        if free < inside {
            counted.sample = sample(pool, leases, free, sampled);
        }
        let contested = findings.contested.iter();
        counted.contested = contested
            .filter(|(address, _)| pool.lists(*address))
            .cloned()
            .collect();
        counted
    }

    fn of_broken(broken: &InvalidPool, leases: &[CountedLease<'_>], findings: &Findings) -> Self {
        let mut counted = Self {
            vrf: broken.vrf.clone(),
            family: broken.family,
            fault: Some(broken.fault.to_string()),
            ..Self::empty(&broken.name, findings)
        };
        for lease in leases {
            counted.count(lease);
        }
        counted
    }

    fn count(&mut self, lease: &CountedLease<'_>) {
        *match lease.state {
            State::Held => &mut self.held,
            State::Cooling => &mut self.cooling,
            State::Retained => &mut self.retained,
            State::Quarantined | State::Unknown => &mut self.quarantined,
        } += 1;
        if lease.state == State::Quarantined {
            let ends = [self.quarantine_ends, lease.over].into_iter().flatten();
            self.quarantine_ends = ends.min();
        }
    }

    /// What is odd about it, or not.
    pub fn conditions(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let findings = self.findings().into_iter();
        findings.map(|(kind, finding)| (kind, finding.holds))
    }

    /// What of it a person has to see to: reason and message.
    pub fn notices(&self) -> impl Iterator<Item = (&'static str, String)> {
        let findings = self.findings().into_iter();
        findings
            .filter(|(kind, finding)| {
                finding.holds && ["LeasesKept", "AddressContested"].contains(kind)
            })
            .map(|(kind, finding)| (kind, finding.message))
    }

    fn findings(&self) -> [(&'static str, Finding); 5] {
        let [exhausted, overlapping, out_of_range, kept, contested] = CONDITIONS;
        [
            (exhausted, self.exhausted()),
            (overlapping, self.overlapping()),
            (out_of_range, self.out_of_range()),
            (kept, self.kept.finding()),
            (contested, self.contested()),
        ]
    }

    fn exhausted(&self) -> Finding {
        match (&self.fault, self.free.saturating_add(self.cooling)) {
            (Some(fault), _) => Finding::yes("Unusable", format!("it gives no address: {fault}")),
            (None, 0) if self.capacity == 0 => Finding::yes(
                "NoAddresses",
                "every address in it is excluded or reserved".to_owned(),
            ),
            (None, 0) => Finding::yes("NothingLeft", self.nothing_left()),
            (None, _) => Finding::no("AddressesLeft"),
        }
    }

    /// That nothing is left, who has it all, and what comes back by itself.
    fn nothing_left(&self) -> String {
        let states = [
            (self.held, "held"),
            (self.retained, "retained"),
            (self.quarantined, "quarantined"),
        ];
        let states: Vec<String> = states
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, state)| format!("{count} {state}"))
            .collect();
        let returns = [
            self.kept.returns(),
            self.quarantine_ends.map(Timestamp::from),
        ];
        let returns = match returns.into_iter().flatten().min() {
            Some(at) => format!("the next one returns at {at:.0}"),
            None => "none returns by itself until a pod ends".to_owned(),
        };
        format!(
            "none of its {} addresses is left ({}); {returns}",
            self.capacity,
            states.join(", ")
        )
    }

    fn contested(&self) -> Finding {
        if self.contested.is_empty() {
            return Finding::no("NoContest");
        }
        let shown = self.contested.iter().take(SHOWN).map(|(address, pods)| {
            let pods: Vec<String> = pods.iter().map(ToString::to_string).collect();
            format!("{address} is used by {}", pods.join(" and "))
        });
        Finding::yes(
            "TwoLivingPods",
            Finding::listed(shown.collect(), self.contested.len()),
        )
    }

    fn overlapping(&self) -> Finding {
        if self.overlaps.is_empty() {
            return Finding::no("NoOverlap");
        }
        let shown = self.overlaps.iter().take(SHOWN);
        let shown = shown.map(|other| format!("pool {} may give {} too", other.with, other.span));
        Finding::yes(
            "SharedAddresses",
            Finding::listed(shown.collect(), self.overlaps.len()),
        )
    }

    fn out_of_range(&self) -> Finding {
        let OutOfRange { count, shown } = &self.out_of_range;
        if *count == 0 {
            return Finding::no("AllInRange");
        }
        let named: Vec<String> = shown.iter().map(ToString::to_string).collect();
        let more = match count - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Finding::yes(
            "LeasesOutside",
            format!(
                "pods hold {count} that it would not give today: {}{more}",
                named.join(", ")
            ),
        )
    }
}

impl OutOfRange {
    fn add(&mut self, address: IpAddr) {
        self.count += 1;
        self.shown.push(address);
        self.shown.sort_unstable();
        self.shown.truncate(SHOWN);
    }
}

/// The leases whose address is in `usable`: a step for each span, and one for each lease inside.
fn within<'a, 'l>(
    leases: &'a [CountedLease<'l>],
    usable: &'a Spans,
) -> impl Iterator<Item = &'a CountedLease<'l>> {
    usable.iter().flat_map(move |span| {
        let begin = leases.partition_point(|lease| lease.name.address < span.first());
        let end = leases.partition_point(|lease| lease.name.address <= span.last());
        &leases[begin..end]
    })
}

fn saturate(count: u128) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The status that a pool should have, where that is not the one that it has. `reclaimed` were
/// released just now.
#[must_use]
pub fn pool_status(
    counted: &Counted,
    generation: Option<i64>,
    before: Option<&IPPoolStatus>,
    reclaimed: i64,
    now: Timestamp,
) -> Option<IPPoolStatus> {
    let unwritten = IPPoolStatus::default();
    let old = before.unwrap_or(&unwritten);
    let mut conditions: Vec<Condition> = counted
        .findings()
        .into_iter()
        .map(|(kind, finding)| finding.condition(kind, generation, &old.conditions, now))
        .collect();
    let others = old.conditions.iter();
    let others = others.filter(|condition| !CONDITIONS.contains(&&*condition.type_));
    conditions.extend(others.cloned());
    let status = IPPoolStatus {
        capacity: counted.capacity,
        held: counted.held,
        cooling: counted.cooling,
        retained: counted.retained,
        quarantined: counted.quarantined,
        free: counted.free,
        sample: counted.sample.iter().map(ToString::to_string).collect(),
        reclaimed: old.reclaimed.saturating_add(reclaimed),
        kept: counted
            .kept
            .by_label()
            .into_iter()
            .map(|(why, count)| (why.to_owned(), count))
            .collect(),
        conditions,
        observed_generation: generation,
        observed_at: old.observed_at.clone(),
    };
    // A large pool that is full is listed by no node while this count is new.
    let is_proof =
        status.free == 0 && u128::try_from(status.capacity).is_ok_and(|it| it >= CHEAP_ROWS);
    (is_proof || status != *old || old.observed_at.is_none()).then_some(IPPoolStatus {
        observed_at: Some(MicroTime(now)),
        ..status
    })
}

#[cfg(test)]
mod tests;
