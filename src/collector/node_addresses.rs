//! The nodes' own addresses, kept out of the pools by a ReservedIP that nobody has to write.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::snapshot::Snapshot;
use crate::api::{ReservedIP, ReservedIPSpec};
use crate::ip::{Span, Spans};
use crate::pool::Pools;

/// The name of the ReservedIP, and with `-2`, `-3` behind it of those that follow where one is too small.
pub const OURS: &str = "leasehold-nodes";

/// Items of one ReservedIP, as the schema admits them.
const ROOM: usize = 1024;

/// The ReservedIPs that should be there, in the order of their names.
///
/// What counts is the subnet of a pool and not what it gives today: were it the latter, the reservation itself would be
/// the reason to take it away again.
#[must_use]
pub fn reservations(snapshot: &Snapshot, pools: &Pools) -> Vec<ReservedIP> {
    let mut subnets: Vec<Span> = pools
        .iter()
        .flatten()
        .filter(|pool| pool.vrf.is_default())
        .map(|pool| Span::from(pool.subnet))
        .collect();
    subnets.sort_unstable();
    subnets.dedup();
    let all: BTreeSet<IpAddr> = snapshot
        .nodes
        .values()
        .flat_map(|n| n.addresses.clone())
        .collect();
    let inside = |address: &IpAddr| subnets.iter().any(|subnet| subnet.contains(*address));
    let spans: Spans = all.into_iter().filter(inside).collect();
    let items: Vec<String> = spans.iter().map(ToString::to_string).collect();
    items.chunks(ROOM).enumerate().map(object).collect()
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
