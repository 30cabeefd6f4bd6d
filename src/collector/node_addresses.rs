//! The nodes' own addresses, kept out of the pools by ReservedIPs that no person has to write.
//!
//! A node writes its own status, so that no node may reserve more than a few. One that is
//! registered anew has none for a moment, while its machine runs on: an address that has vanished
//! is kept for a day.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::now::Now;
use super::snapshot::Snapshot;
use crate::api::{ReservedIP, ReservedIPSpec};
use crate::ip::{Family, Span, Spans, reported};
use crate::pool::Pools;

/// The name of the ReservedIP, and with `-2`, `-3` behind it of those that follow where one is too
/// small.
pub const OURS: &str = "leasehold-nodes";

/// The ConfigMap that remembers which addresses are whose, and since when they have vanished.
pub const CONFIG_MAP: &str = "leasehold-gc-nodes";

/// Addresses of one family that one node may reserve, those included that have vanished.
pub const MOST: usize = 16;

/// For how long an address stays reserved that its node does not have any more.
pub const KEPT: Duration = Duration::from_hours(24);

/// Items of one ReservedIP, as the schema admits them.
const ROOM: usize = 1024;

/// The addresses of nodes that are reserved; each with the time since when it has vanished.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeAddresses(BTreeMap<String, BTreeMap<IpAddr, Option<Timestamp>>>);

impl NodeAddresses {
    /// From the texts of the ConfigMap: a line for each node, `address` or `address@time` separated
    /// by spaces. What can't be read is not remembered.
    #[must_use]
    pub fn read(data: &BTreeMap<String, String>) -> Self {
        let item = |text: &str| match text.split_once('@') {
            None => Some((reported(text)?, None)),
            Some((address, since)) => Some((reported(address)?, Some(since.parse().ok()?))),
        };
        let line = |text: &str| text.split_ascii_whitespace().filter_map(item).collect();
        Self(
            data.iter()
                .map(|(node, text)| (node.clone(), line(text)))
                .collect(),
        )
    }

    /// The texts that [`Self::read`] reads.
    #[must_use]
    pub fn write(&self) -> BTreeMap<String, String> {
        let item = |(address, since): (&IpAddr, &Option<Timestamp>)| match since {
            None => address.to_string(),
            Some(since) => format!("{address}@{since:.0}"),
        };
        let line = |known: &BTreeMap<_, _>| known.iter().map(item).collect::<Vec<_>>().join(" ");
        self.0
            .iter()
            .map(|(node, known)| (node.clone(), line(known)))
            .collect()
    }

    /// With what nodes report now.
    ///
    /// What counts is the subnet of a pool and not what it gives today: were it the latter, the
    /// reservation itself would be the reason to take it away again.
    #[must_use]
    pub fn updated(&self, snapshot: &Snapshot, pools: &Pools, now: &Now) -> Self {
        let mut subnets: Vec<Span> = pools
            .iter()
            .flatten()
            .filter(|pool| pool.vrf.is_default())
            .map(|pool| Span::from(pool.subnet))
            .collect();
        subnets.sort_unstable();
        subnets.dedup();
        let inside = |address: &IpAddr| subnets.iter().any(|subnet| subnet.contains(*address));
        let names: BTreeSet<&str> = self
            .0
            .keys()
            .map(String::as_str)
            .chain(snapshot.nodes.keys().map(|name| &**name))
            .collect();
        let none = BTreeMap::new();
        let of = |name: &str| {
            let present = snapshot.nodes.get(name).into_iter();
            let present = present.flat_map(|node| node.addresses.iter().copied());
            let present: Vec<IpAddr> = present.filter(inside).collect();
            let mut before = self.0.get(name).unwrap_or(&none).clone();
            before.retain(|address, _| inside(address));
            let known = known(&present, &before, now);
            (!known.is_empty()).then(|| (name.to_owned(), known.into_iter().collect()))
        };
        Self(names.into_iter().filter_map(of).collect())
    }

    /// The ReservedIPs that should be there, in the order of their names.
    #[must_use]
    pub fn reservations(&self) -> Vec<ReservedIP> {
        let all: BTreeSet<IpAddr> = self.0.values().flat_map(BTreeMap::keys).copied().collect();
        let spans: Spans = all.into_iter().collect();
        let items: Vec<String> = spans.iter().map(ToString::to_string).collect();
        items.chunks(ROOM).enumerate().map(object).collect()
    }
}

/// What one node has, and what it had until lately: no more than [`MOST`] of each family, those
/// that it has first, then those that vanished last.
fn known(
    present: &[IpAddr],
    before: &BTreeMap<IpAddr, Option<Timestamp>>,
    now: &Now,
) -> Vec<(IpAddr, Option<Timestamp>)> {
    let mut vanished: Vec<(IpAddr, Timestamp)> = before
        .iter()
        .filter(|(address, _)| !present.contains(address))
        .filter_map(|(address, since)| Some((*address, since.or(now.server)?)))
        .filter(|(_, since)| !now.is_past(*since, KEPT))
        .collect();
    vanished.sort_by_key(|(address, since)| (std::cmp::Reverse(*since), *address));
    let present = present.iter().map(|address| (*address, None));
    let vanished = vanished
        .into_iter()
        .map(|(address, since)| (address, Some(since)));
    let (mut counts, mut seen) = (BTreeMap::<Family, usize>::new(), BTreeSet::new());
    let all = present.chain(vanished);
    all.filter(|(address, _)| {
        let count = counts.entry(Family::of(*address)).or_default();
        let is_new = *count < MOST && seen.insert(*address);
        *count += usize::from(is_new);
        is_new
    })
    .collect()
}

fn object((index, items): (usize, &[String])) -> ReservedIP {
    let name = match index {
        0 => OURS.to_owned(),
        more => format!("{OURS}-{}", more + 1),
    };
    let spec = ReservedIPSpec {
        ips: items.to_vec(),
        vrf: String::new(),
        reason: Some("InternalIPs of nodes; leasehold-gc keeps this list".to_owned()),
    };
    ReservedIP::new(&name, spec)
}

/// Whether a ReservedIP of this name is one of these.
#[must_use]
pub(super) fn is_ours(name: &str) -> bool {
    name.strip_prefix(OURS).is_some_and(|rest| {
        rest.is_empty()
            || rest
                .strip_prefix('-')
                .is_some_and(|number| number.parse::<usize>().is_ok())
    })
}

#[cfg(test)]
mod tests;
