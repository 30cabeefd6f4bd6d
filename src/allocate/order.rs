//! The order in which a pod tries the addresses of a pool.
//!
//! A pseudo-random permutation that is never stored: the address at any place of the order is
//! computed from the place, so all of IPv6 costs what a `/28` costs.
//!
//! # Invariants
//!
//! The order is a function of the set and the seed alone, on every platform and in every version of
//! the program: a pod that comes back, perhaps to a newer plugin, tries the same addresses as
//! before. No hash of the standard library promises that, so the two that are needed are here.

use std::net::IpAddr;

use crate::ip::Spans;

/// What makes the order of one pod's interface in one pool differ from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// The seed of the interface `interface` that the CNI network `network` gives to the pod
    /// `pod_uid`, in the pool `pool`.
    #[must_use]
    pub fn of(pod_uid: &str, interface: &str, network: &str, pool: &str) -> Self {
        // FNV-1a. A byte that no UTF-8 text contains ends each part, so ("a", "bc") differs from
        // ("ab", "c").
        let hash = [pod_uid, interface, network, pool]
            .into_iter()
            .flat_map(|part| part.bytes().chain([0xff]))
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self(mix(hash))
    }

    /// What makes it differ from others.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// A number that this seed gives `address`: sorted by it, each seed has another order.
    #[must_use]
    pub fn rank(self, address: IpAddr) -> u64 {
        let bits = match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        mix(mix(self.0 ^ low(bits >> 64)) ^ low(bits))
    }

    /// The key of the `round`-th round of a permutation.
    fn key(self, round: u64) -> u64 {
        // The odd constant of `SplitMix64` (Steele, Lea, Flood 2014): its multiples differ in all
        // bits.
        mix(self
            .0
            .wrapping_add((round + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

/// All addresses of `usable`, each once, in the order of `seed`.
pub fn order(usable: &Spans, seed: Seed) -> impl Iterator<Item = IpAddr> + use<'_> {
    let permutation = Permutation::new(usable.len(), seed);
    (0..usable.len()).filter_map(move |place| usable.nth(permutation.at(place)))
}

/// As many rounds as make adjacent places of a small pool independent of each other. Four are the
/// least that hide their key (Luby and Rackoff 1988), and small domains need some more.
const ROUNDS: usize = 6;

/// A permutation of the numbers below `size`.
///
/// A Feistel network over `left × right` numbers, the smallest such grid that holds them all. A
/// number outside the set is sent through again until it is inside ("cycle walking", Black and
/// Rogaway 2002). The grid is larger than the set by less than one column, so few numbers walk
/// twice.
struct Permutation {
    size: u128,
    left: u128,
    right: u128,
    keys: [u64; ROUNDS],
}

impl Permutation {
    fn new(size: u128, seed: Seed) -> Self {
        let left = size.saturating_sub(1).isqrt() + 1;
        Self {
            size,
            left,
            right: size.div_ceil(left),
            keys: std::array::from_fn(|round| seed.key(round as u64)),
        }
    }

    /// Where the permutation puts `place`, which is below its size.
    fn at(&self, place: u128) -> u128 {
        let mut walker = self.shuffle(place);
        while walker >= self.size {
            walker = self.shuffle(walker);
        }
        walker
    }

    fn shuffle(&self, number: u128) -> u128 {
        let (mut l, mut r) = (number % self.left, number / self.left);
        for pair in self.keys.chunks_exact(2) {
            l = (l + u128::from(mix(pair[0] ^ low(r)))) % self.left;
            r = (r + u128::from(mix(pair[1] ^ low(l)))) % self.right;
        }
        l + self.left * r
    }
}

/// The finalizer of `SplitMix64`: a bijection in which every bit of the input changes half of the
/// bits of the output.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The lower 64 bits.
fn low(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::ip::Span;

    fn set(text: &str) -> Spans {
        text.split(',')
            .map(|span| span.parse::<Span>().expect("a span"))
            .collect()
    }

    fn first(usable: &Spans, pod: &str) -> IpAddr {
        let seed = Seed::of(pod, "eth0", "net", "pool");
        order(usable, seed).next().expect("an address")
    }

    proptest! {
        #[test]
        fn every_number_has_one_place(size in 1..3_000u128, seed: u64) {
            let permutation = Permutation::new(size, Seed(seed));
            let places: BTreeSet<u128> = (0..size).map(|place| permutation.at(place)).collect();
            prop_assert_eq!(places, (0..size).collect());
        }

        #[test]
        fn large_sets_are_permuted_inside_their_bounds(size in 1..=u128::MAX, place: u128, seed: u64) {
            let permutation = Permutation::new(size, Seed(seed));
            prop_assert!(permutation.at(place % size) < size);
        }
    }

    #[test]
    fn each_address_comes_once_and_only_those_of_the_set() {
        let usable = set("10.0.0.1-10.0.0.77,10.9.0.0/26,255.255.255.250-255.255.255.255");
        let walked: Vec<IpAddr> = order(&usable, Seed::of("u", "eth0", "n", "p")).collect();
        assert_eq!(walked.len() as u128, usable.len());
        assert_eq!(walked.into_iter().collect::<Spans>(), usable);
        assert_eq!(order(&Spans::default(), Seed(7)).next(), None);
    }

    /// A change here changes the addresses that restarted pods come back to.
    #[test]
    fn the_order_is_the_same_on_every_machine_and_in_every_version() {
        let seed = Seed::of("0c4d", "eth0", "underlay", "blue");
        let walk = |text: &str| {
            order(&set(text), seed)
                .take(3)
                .map(|a| a.to_string())
                .collect::<Vec<_>>()
                .join(" ")
        };
        insta::assert_snapshot!(walk("10.0.0.0/28"), @"10.0.0.14 10.0.0.13 10.0.0.4");
        insta::assert_snapshot!(walk("fd00::/64"), @"fd00::8a3c:a0c3:7875:6b0e fd00::d5e:49c8:6211:4a51 fd00::edf:fd06:8154:c944");
        insta::assert_snapshot!(walk("::/0"), @"fca3:5302:5d2e:22b1:b915:6d7e:5b93:c611 e9d6:7aa0:d674:50c3:190a:d475:92a1:b638 5b70:79bb:ce10:7c90:2521:32eb:94a0:62ce");
    }

    #[test]
    fn every_part_of_the_seed_counts_and_none_runs_into_the_next() {
        let base = ["uid", "eth0", "net", "pool"];
        let seed = |p: [&str; 4]| Seed::of(p[0], p[1], p[2], p[3]);
        for part in 0..base.len() {
            let mut other = base;
            other[part] = "x";
            assert_ne!(seed(other), seed(base), "part {part}");
        }
        assert_ne!(seed(["a", "bc", "", ""]), seed(["ab", "c", "", ""]));
    }

    #[test]
    fn rivals_scatter_over_the_whole_pool() {
        let usable = set("10.0.0.0/26");
        let mut tries: BTreeMap<IpAddr, u32> = BTreeMap::new();
        for pod in 0..6_400 {
            *tries
                .entry(first(&usable, &format!("pod-{pod}")))
                .or_default() += 1;
        }
        assert_eq!(
            tries.len(),
            64,
            "every address is the first one of some seed"
        );
        // A hundred each would be even. A binomial differs by 5 times its deviation of 10 once in
        // a million.
        assert!(tries.values().all(|n| (50..=150).contains(n)), "{tries:?}");
    }
}
