//! Some of the free addresses of a pool, by which an ADD finds one without a list.

use std::net::IpAddr;

use super::CountedLease;
use crate::allocate::{Seed, order};
use crate::pool::Pool;

/// How many of all pools together: each ADD reads all samples.
const TOTAL: usize = 1024;

/// How many of a pool: 64 at least, and as many as the schema admits at most. What a node needs
/// within a minute beyond these costs a list of the pool.
const LEAST: usize = 64;
const MOST: usize = 256;

/// How many addresses the sample of each of so many pools may have.
pub(super) fn size(pools: usize) -> usize {
    (TOTAL / pools.max(1)).clamp(LEAST, MOST)
}

/// Up to `most` of the `free` addresses of a pool, in their order. `leases` are all of its vrf,
/// sorted by address.
///
/// Those of the last sample stay as long as they are free, so that a run in which nothing changes
/// writes nothing. The others come from anywhere in the pool.
pub(super) fn sample(
    pool: &Pool,
    leases: &[CountedLease<'_>],
    free: u128,
    most: usize,
) -> Vec<IpAddr> {
    let is_free = |address: &IpAddr| {
        let found = leases.binary_search_by_key(address, |lease| lease.name.address);
        found.is_err()
    };
    let before = pool.count.iter().flat_map(|count| &count.sample).copied();
    let mut sample: Vec<IpAddr> = before
        .filter(|address| pool.usable.contains(*address) && is_free(address))
        .collect();
    sample.sort_unstable();
    sample.dedup();
    // Another order each time, because what was taken meanwhile came first in the last one.
    let seed = Seed::of(&pool.uid, "", "", &leases.len().to_string());
    let others = order(&pool.usable, seed);
    let others = others.filter(|address| is_free(address) && !sample.contains(address));
    let wanted = usize::try_from(free).map_or(most, |free| free.min(most));
    let more: Vec<IpAddr> = others.take(wanted.saturating_sub(sample.len())).collect();
    sample.extend(more);
    sample.truncate(wanted);
    sample.sort_unstable();
    sample
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::ip::{PoolName, Vrf};
    use crate::lease::{LeaseName, State};
    use crate::pool::Pools;

    /// `10.0.0.0/21`, with the sample of an earlier run.
    fn pool(before: &[IpAddr]) -> Pool {
        let written = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": "a"},
            "spec": {"subnet": "10.0.0.0/21"}, "status": {"observedAt": "2026-01-01T00:00:00.000000Z", "sample": before}});
        let written = vec![serde_json::from_value(written).expect("a pool")];
        let pools = Pools::read(written, &[], &[], &Vrf::default()).expect("no reservations");
        Pool::clone(pools.get("a").expect("the pool").expect("a sound one"))
    }

    fn ip(number: u16) -> IpAddr {
        let [high, low] = number.to_be_bytes();
        IpAddr::from([10, 0, high, low])
    }

    /// The sample where all but these numbers are taken.
    fn of(before: &[IpAddr], free: &BTreeSet<u16>) -> Vec<IpAddr> {
        let from = PoolName::from("a");
        let taken = (1..2047).filter(|number| !free.contains(number));
        let names: Vec<LeaseName> = taken
            .map(|number| LeaseName {
                vrf: Vrf::default(),
                address: ip(number),
            })
            .collect();
        let leases: Vec<CountedLease<'_>> = names
            .iter()
            .map(|name| CountedLease {
                name,
                state: State::Held,
                pool: &from,
                over: None,
            })
            .collect();
        sample(&pool(before), &leases, free.len() as u128, LEAST)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_sample_is_free_small_and_changes_only_where_something_was_taken(
            free in prop::collection::btree_set(1..2047u16, 0..200),
            taken in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let addresses: BTreeSet<IpAddr> = free.iter().copied().map(ip).collect();
            let first = of(&[], &free);
            prop_assert_eq!(first.len(), free.len().min(64));
            prop_assert!(first.iter().all(|address| addresses.contains(address)));
            prop_assert_eq!(of(&first, &free), first.clone());

            let mut left = free.clone();
            for index in taken.iter().filter(|_| !first.is_empty()) {
                let IpAddr::V4(gone) = index.get(&first) else { continue };
                left.remove(&(u16::from(gone.octets()[2]) << 8 | u16::from(gone.octets()[3])));
            }
            let next = of(&first, &left);
            let left: BTreeSet<IpAddr> = left.into_iter().map(ip).collect();
            prop_assert_eq!(next.len(), left.len().min(64));
            prop_assert!(next.iter().all(|address| left.contains(address)));
            let kept = first.iter().filter(|address| left.contains(address));
            prop_assert!(kept.into_iter().all(|address| next.contains(address)));
        }
    }

    #[test]
    fn the_more_pools_there_are_the_smaller_is_the_sample_of_each() {
        let sizes = [0, 1, 4, 5, 16, 17, 1000].map(size);
        assert_eq!(sizes, [256, 256, 256, 204, 64, 64, 64]);
    }

    #[test]
    fn a_sample_comes_from_anywhere_in_the_pool() {
        let free: BTreeSet<u16> = (1..1000).collect();
        let sample = of(&[], &free);
        let upper = sample.iter().filter(|address| **address >= ip(500)).count();
        assert!((16..=48).contains(&upper), "{sample:?}");
    }
}
