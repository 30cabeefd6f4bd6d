//! Which address of a pool to try next.
//!
//! Everything here is a function of its arguments. The taken addresses were read a moment ago and
//! may be stale: a choice made here is a proposal, and [`lease`](crate::lease) finds out whether it
//! still holds.
//!
//! The order of the proposals (ARCHITECTURE.md, "The protocol of leases"): [`order`] for creates
//! and GETs without a list; what a [`PoolHint`] knows to be open; once the leases of the pool are
//! known, [`free`], then [`cooled`]; [`cooling`] when no pool has anything else.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::ip::Spans;

mod hint;
mod order;

pub use hint::{CHEAP_ROWS, Listed, PoolHint, Turn};
pub use order::{Seed, order};

pub use crate::pool::{Count, Owner, Taken, TakenState, Usage};

/// The addresses of `usable` that have no lease, in the order of `seed`.
///
/// A step of the walk costs some nanoseconds, and at most as many steps have no result as there are
/// leases.
pub fn free<'a>(
    usable: &'a Spans,
    taken: &[Taken],
    seed: Seed,
) -> impl Iterator<Item = IpAddr> + use<'a> {
    let taken: HashSet<IpAddr> = taken.iter().map(|t| t.address).collect();
    let inside = taken.iter().filter(|a| usable.contains(**a)).count() as u128;
    let mut left = usable.len() - inside;
    order(usable, seed)
        .filter(move |address| !taken.contains(address))
        // The walk ends with the last free address, not with the last address.
        .take_while(move |_| {
            let more = left > 0;
            left = left.saturating_sub(1);
            more
        })
}

/// The addresses of `usable` that were released and whose cooldown is over at `now`.
///
/// Those that were released long ago come first, by classes of doubling age; within a class the
/// order is that of `seed`. By time alone, all rivals would try the same address.
pub fn cooled(
    usable: &Spans,
    taken: &[Taken],
    now: Timestamp,
    seed: Seed,
) -> impl Iterator<Item = IpAddr> + use<> {
    let mut over: Vec<(u32, IpAddr)> = released(usable, taken)
        .filter(|(_, release)| release.over(now))
        .map(|(address, release)| (release.doublings(now), address))
        .collect();
    over.sort_by_key(|&(doublings, address)| (Reverse(doublings), seed.rank(address), address));
    over.into_iter().map(|(_, address)| address)
}

/// The addresses of `usable` that were released, whether their cooldown is over or not, each with
/// the time of its release and the longest released first: for when no pool has anything better.
pub fn cooling(
    usable: &Spans,
    taken: &[Taken],
) -> impl Iterator<Item = (Timestamp, IpAddr)> + use<> {
    let mut all: Vec<(Timestamp, IpAddr)> = released(usable, taken)
        .map(|(address, release)| (release.released_at, address))
        .collect();
    all.sort_unstable();
    all.into_iter()
}

/// The cooling leases of `taken` in `usable`: an address that was excluded or reserved since its
/// release is not given again.
fn released<'a>(
    usable: &'a Spans,
    taken: &'a [Taken],
) -> impl Iterator<Item = (IpAddr, Release)> + 'a {
    taken.iter().filter_map(|lease| match lease.state {
        TakenState::Cooling {
            released_at,
            cooldown,
        } => usable.contains(lease.address).then_some((
            lease.address,
            Release {
                released_at,
                cooldown,
            },
        )),
        TakenState::Held | TakenState::Retained | TakenState::Quarantined => None,
    })
}

struct Release {
    released_at: Timestamp,
    cooldown: Duration,
}

impl Release {
    /// How long ago it was; negative if the releasing node's clock is ahead.
    fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.released_at)
    }

    fn over(&self, now: Timestamp) -> bool {
        SignedDuration::try_from(self.cooldown).is_ok_and(|cooldown| self.age(now) >= cooldown)
    }

    /// The logarithm of the age in seconds.
    fn doublings(&self, now: Timestamp) -> u32 {
        doublings(self.released_at, now)
    }
}

/// The logarithm of the seconds since `released_at`: a class of age in which rivals scatter.
#[must_use]
pub fn doublings(released_at: Timestamp, now: Timestamp) -> u32 {
    let age = now.duration_since(released_at).as_secs();
    age.checked_ilog2().unwrap_or(0)
}

#[cfg(test)]
mod tests;
