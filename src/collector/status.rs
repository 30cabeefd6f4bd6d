//! How full each pool is, and what is odd about it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::api::{Condition, IPPoolStatus, MicroTime, Time};
use crate::ip::PoolName;
use crate::ip::{Family, Spans, Vrf};
use crate::lease::{LeaseName, State};
use crate::pool::{InvalidPool, Pool, Pools};

mod overlap;

use overlap::{Shared, overlaps};

/// How many leases or pools the message of a condition names.
const SHOWN: usize = 3;

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
    /// Why it gives nothing at all, if something in it says nothing.
    fault: Option<String>,
    overlaps: Vec<Shared>,
    out_of_range: (usize, Vec<IpAddr>),
}

/// Leases as they are counted: name, state, and the pool that each came out of.
pub type Counting<'a> = (&'a LeaseName, State, &'a PoolName);

impl Counted {
    /// Counts every pool. What overlaps counts in each: nobody else gets it from either.
    #[must_use]
    pub fn all<'a>(pools: &Pools, leases: impl Iterator<Item = Counting<'a>>) -> Vec<Self> {
        let mut by_vrf: BTreeMap<&Vrf, Vec<(IpAddr, State)>> = BTreeMap::new();
        let mut out_of_range: BTreeMap<&PoolName, (usize, Vec<IpAddr>)> = BTreeMap::new();
        for (name, state, pool) in leases {
            by_vrf
                .entry(&name.vrf)
                .or_default()
                .push((name.address, state));
            if let Some(Ok(of)) = pools.get(pool.as_str())
                && state == State::Held
                && !(of.vrf == name.vrf && of.usable.contains(name.address))
            {
                let (count, shown) = out_of_range.entry(pool).or_default();
                *count += 1;
                shown.push(name.address);
                shown.sort_unstable();
                shown.truncate(SHOWN);
            }
        }
        for leases in by_vrf.values_mut() {
            leases.sort_unstable_by_key(|&(address, _)| address);
        }
        let mut shared = overlaps(pools.iter().flatten().map(|pool| &**pool));
        let counted = |pool: Result<&std::sync::Arc<Pool>, &InvalidPool>| match pool {
            Ok(pool) => {
                let leases = by_vrf.get(&pool.vrf).map_or(&[][..], Vec::as_slice);
                Self::of(
                    pool,
                    leases,
                    shared.remove(&pool.name).unwrap_or_default(),
                    out_of_range.remove(&pool.name).unwrap_or_default(),
                )
            }
            Err(broken) => Self::of_broken(broken),
        };
        pools.iter().map(counted).collect()
    }

    fn of(
        pool: &Pool,
        leases: &[(IpAddr, State)],
        overlaps: Vec<Shared>,
        out_of_range: (usize, Vec<IpAddr>),
    ) -> Self {
        let mut counted = Self {
            name: pool.name.clone(),
            vrf: Some(pool.vrf.clone()),
            family: Some(pool.family()),
            capacity: saturate(pool.usable.len()),
            held: 0,
            cooling: 0,
            retained: 0,
            quarantined: 0,
            free: 0,
            fault: None,
            overlaps,
            out_of_range,
        };
        let mut inside = 0;
        for (_, state) in within(leases, &pool.usable) {
            inside += 1;
            *match state {
                State::Held => &mut counted.held,
                State::Cooling => &mut counted.cooling,
                State::Retained => &mut counted.retained,
                State::Quarantined | State::Unknown => &mut counted.quarantined,
            } += 1;
        }
        counted.free = saturate(pool.usable.len() - inside);
        counted
    }

    fn of_broken(broken: &InvalidPool) -> Self {
        Self {
            name: broken.name.clone(),
            vrf: broken.vrf.clone(),
            family: broken.family,
            capacity: 0,
            held: 0,
            cooling: 0,
            retained: 0,
            quarantined: 0,
            free: 0,
            fault: Some(broken.fault.to_string()),
            overlaps: Vec::new(),
            out_of_range: <(usize, Vec<IpAddr>)>::default(),
        }
    }

    /// What is odd about it, or not.
    pub fn conditions(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let findings = self.findings().into_iter();
        findings.map(|(kind, finding)| (kind, finding.holds))
    }

    fn findings(&self) -> [(&'static str, Finding); 3] {
        [
            ("Exhausted", self.exhausted()),
            ("Overlapping", self.overlapping()),
            ("OutOfRange", self.out_of_range()),
        ]
    }

    fn exhausted(&self) -> Finding {
        match (&self.fault, self.free) {
            (Some(fault), _) => Finding::yes("Unusable", format!("it gives no address: {fault}")),
            (None, 0) if self.capacity == 0 => Finding::yes(
                "NoAddresses",
                "everything in it is excluded or reserved".to_owned(),
            ),
            (None, 0) => Finding::yes(
                "NothingFree",
                format!("none of its {} addresses is free", self.capacity),
            ),
            (None, _) => Finding::no("AddressesFree"),
        }
    }

    fn overlapping(&self) -> Finding {
        if self.overlaps.is_empty() {
            return Finding::no("NoOverlap");
        }
        let named = self.overlaps.iter().take(SHOWN);
        let mut parts: Vec<String> = named
            .map(|shared| format!("pool {} may give {} too", shared.with, shared.span))
            .collect();
        if self.overlaps.len() > SHOWN {
            parts.push(format!("and {} more", self.overlaps.len() - SHOWN));
        }
        Finding::yes("SharedAddresses", parts.join("; "))
    }

    fn out_of_range(&self) -> Finding {
        let (count, shown) = &self.out_of_range;
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

/// The leases whose address is in `usable`: a step for each span, and one for each lease inside.
fn within<'a>(
    leases: &'a [(IpAddr, State)],
    usable: &'a Spans,
) -> impl Iterator<Item = &'a (IpAddr, State)> {
    usable.iter().flat_map(move |span| {
        let begin = leases.partition_point(|(address, _)| *address < span.first());
        let end = leases.partition_point(|(address, _)| *address <= span.last());
        &leases[begin..end]
    })
}

fn saturate(count: u128) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What a condition says.
struct Finding {
    holds: bool,
    reason: &'static str,
    message: String,
}

impl Finding {
    fn yes(reason: &'static str, message: String) -> Self {
        Self {
            holds: true,
            reason,
            message,
        }
    }

    fn no(reason: &'static str) -> Self {
        Self {
            holds: false,
            reason,
            message: String::new(),
        }
    }
}

/// The status that a pool should have, where that is not the one that it has. `reclaimed` were taken back just now.
#[must_use]
pub fn pool_status(
    counted: &Counted,
    before: Option<&IPPoolStatus>,
    reclaimed: i64,
    now: Timestamp,
) -> Option<IPPoolStatus> {
    let unwritten = IPPoolStatus::default();
    let old = before.unwrap_or(&unwritten);
    let mut conditions: Vec<Condition> = counted
        .findings()
        .into_iter()
        .map(|(kind, finding)| condition(kind, finding, &old.conditions, now))
        .collect();
    let known = |kind: &str| ["Exhausted", "Overlapping", "OutOfRange"].contains(&kind);
    let others = old.conditions.iter().filter(|c| !known(&c.type_));
    conditions.extend(others.cloned());
    let status = IPPoolStatus {
        capacity: counted.capacity,
        held: counted.held,
        cooling: counted.cooling,
        retained: counted.retained,
        quarantined: counted.quarantined,
        free: counted.free,
        reclaimed: old.reclaimed.saturating_add(reclaimed),
        conditions,
        observed_at: old.observed_at.clone(),
    };
    (status != *old || old.observed_at.is_none()).then_some(IPPoolStatus {
        observed_at: Some(MicroTime(now)),
        ..status
    })
}

/// The time of a condition is that of its last change from yes to no or back.
fn condition(kind: &str, finding: Finding, before: &[Condition], now: Timestamp) -> Condition {
    let status = if finding.holds { "True" } else { "False" };
    let same = before
        .iter()
        .find(|c| c.type_ == kind && c.status == status);
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: finding.reason.to_owned(),
        message: finding.message,
        last_transition_time: same.map_or(Time(now), |c| c.last_transition_time.clone()),
        observed_generation: None,
    }
}

#[cfg(test)]
mod tests;
