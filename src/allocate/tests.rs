use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::ip::Span;

fn set(text: &str) -> Spans {
    text.split(',')
        .filter(|span| !span.is_empty())
        .map(|span| span.parse::<Span>().expect("a span"))
        .collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn lease(address: IpAddr, state: TakenState) -> Taken {
    Taken {
        address,
        state,
        owner: None,
    }
}

fn released_at(address: &str, second: i64, cooldown: u64) -> Taken {
    lease(
        ip(address),
        TakenState::Cooling {
            released_at: at(second),
            cooldown: Duration::from_secs(cooldown),
        },
    )
}

fn seed() -> Seed {
    Seed::of("uid", "eth0", "net", "pool")
}

/// The oracle: every address, one by one.
fn addresses(set: &Spans) -> BTreeSet<IpAddr> {
    (0..set.len()).filter_map(|n| set.nth(n)).collect()
}

/// Addresses near both ends of both families, so that sets and leases meet.
fn address() -> impl Strategy<Value = IpAddr> {
    (any::<bool>(), any::<bool>(), 0..24u8).prop_map(|(v4, low, n)| match (v4, low) {
        (true, true) => IpAddr::from([0, 0, 0, n]),
        (true, false) => IpAddr::from([255, 255, 255, 255 - n]),
        (false, low) => {
            let bits = if low {
                u128::from(n)
            } else {
                u128::MAX - u128::from(n)
            };
            IpAddr::V6(bits.into())
        }
    })
}

fn usable() -> impl Strategy<Value = Spans> {
    prop::collection::vec((address(), address()), 0..6).prop_map(|ends| {
        ends.into_iter()
            .filter_map(|(a, b)| Span::new(a.min(b), a.max(b)))
            .filter(|span| span.len() < 100)
            .collect()
    })
}

fn state() -> impl Strategy<Value = TakenState> {
    prop_oneof![
        Just(TakenState::Held),
        Just(TakenState::Retained),
        Just(TakenState::Quarantined),
        (0..200i64, 0..60u64).prop_map(|(second, cooldown)| TakenState::Cooling {
            released_at: at(second),
            cooldown: Duration::from_secs(cooldown),
        }),
    ]
}

fn taken() -> impl Strategy<Value = Vec<Taken>> {
    prop::collection::btree_map(address(), state(), 0..60)
        .prop_map(|leases| leases.into_iter().map(|(a, s)| lease(a, s)).collect())
}

proptest! {
    #[test]
    fn free_is_what_is_usable_and_has_no_lease(usable in usable(), taken in taken()) {
        let leased: BTreeSet<IpAddr> = taken.iter().map(|t| t.address).collect();
        let naive: BTreeSet<IpAddr> = addresses(&usable).difference(&leased).copied().collect();
        let found: Vec<IpAddr> = free(&usable, &taken, seed()).collect();
        prop_assert_eq!(found.len(), naive.len());
        prop_assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), naive);
        let in_order: Vec<IpAddr> = order(&usable, seed()).filter(|a| !leased.contains(a)).collect();
        prop_assert_eq!(found, in_order, "leases do not change the order of the rest");
    }

    #[test]
    fn what_was_released_has_cooled_once_its_cooldown_is_over(usable in usable(), taken in taken(), now in 0..300i64) {
        let over: Vec<IpAddr> = cooled(&usable, &taken, at(now), seed()).collect();
        let all: Vec<(Timestamp, IpAddr)> = cooling(&usable, &taken).collect();
        prop_assert!(all.is_sorted(), "the longest released first");
        for t in &taken {
            let released = match t.state {
                TakenState::Cooling { released_at, cooldown } if usable.contains(t.address) => Some((released_at, cooldown)),
                TakenState::Cooling { .. }
                | TakenState::Held
                | TakenState::Retained
                | TakenState::Quarantined => None,
            };
            let ended = released.is_some_and(|(at_, rest)| {
                at_ + SignedDuration::try_from(rest).expect("a minute") <= at(now)
            });
            prop_assert_eq!(over.contains(&t.address), ended, "{:?}", t);
            prop_assert_eq!(all.iter().any(|(_, a)| *a == t.address), released.is_some(), "{:?}", t);
        }
        prop_assert!(all.len() <= taken.len(), "none comes twice");
    }

    #[test]
    fn counts_add_up(usable in usable(), taken in taken()) {
        let c = Usage::of(&usable, &taken);
        prop_assert_eq!(c.usable, c.held + c.cooling + c.retained + c.quarantined + c.free);
        prop_assert_eq!(c.free, free(&usable, &taken, seed()).count() as u128);
    }
}

#[test]
fn a_free_address_of_the_whole_of_ipv6_costs_what_one_of_four_costs() {
    let all = set("::/0");
    let first = order(&all, seed()).next().expect("an address");
    let next = free(&all, &[lease(first, TakenState::Held)], seed()).next();
    assert_eq!(next, order(&all, seed()).nth(1));
}

#[test]
fn a_pool_without_room_has_nothing_free() {
    let usable = set("10.0.0.1-10.0.0.2");
    let full: Vec<Taken> = addresses(&usable)
        .into_iter()
        .map(|a| lease(a, TakenState::Held))
        .collect();
    assert_eq!(free(&usable, &full, seed()).next(), None);
    assert_eq!(free(&Spans::default(), &full, seed()).next(), None);
}

#[test]
fn the_longest_released_of_the_cooling_comes_first() {
    let usable = set("10.0.0.0/24");
    let taken = [
        released_at("10.0.0.1", 95, 30),
        released_at("10.0.0.2", 80, 30),
        released_at("10.0.0.3", 90, 30),
    ];
    let order: Vec<IpAddr> = cooling(&usable, &taken)
        .map(|(_, address)| address)
        .collect();
    assert_eq!(order, [ip("10.0.0.2"), ip("10.0.0.3"), ip("10.0.0.1")]);
}

#[test]
fn the_end_of_a_cooldown_belongs_to_the_time_after_it() {
    let usable = set("10.0.0.0/24");
    let taken = [released_at("10.0.0.1", 70, 30)];
    assert_eq!(cooled(&usable, &taken, at(99), seed()).next(), None);
    assert_eq!(
        cooled(&usable, &taken, at(100), seed()).next(),
        Some(ip("10.0.0.1"))
    );
}

#[test]
fn a_releasing_clock_that_is_ahead_only_lengthens_the_cooldown() {
    let usable = set("10.0.0.0/24");
    let taken = [released_at("10.0.0.1", 500, 30)];
    assert_eq!(cooled(&usable, &taken, at(100), seed()).next(), None);
}

#[test]
fn of_the_cooled_old_ones_come_first_and_rivals_scatter_among_equals() {
    let usable = set("10.0.0.0/24");
    let mut taken: Vec<Taken> = (1..=40)
        .map(|n| released_at(&format!("10.0.0.{n}"), 940, 30))
        .collect();
    taken.push(released_at("10.0.0.77", 0, 30));
    let orders: BTreeSet<Vec<IpAddr>> = (0..20)
        .map(|pod| {
            let seed = Seed::of(&format!("pod-{pod}"), "eth0", "net", "pool");
            cooled(&usable, &taken, at(1000), seed).collect()
        })
        .collect();
    assert_eq!(orders.len(), 20, "each pod has its own order");
    assert!(orders.iter().all(|o| o[0] == ip("10.0.0.77")));
    let seconds: BTreeSet<IpAddr> = orders.iter().map(|o| o[1]).collect();
    assert!(seconds.len() > 10, "{seconds:?}");
}

#[test]
fn counts_read_as_a_sentence() {
    let usable = set("10.0.0.1-10.0.0.4");
    let taken = [
        lease(ip("10.0.0.1"), TakenState::Held),
        lease(ip("10.0.0.2"), TakenState::Retained),
        released_at("10.0.0.3", 0, 30),
        lease(ip("10.9.9.9"), TakenState::Held),
    ];
    insta::assert_snapshot!(Usage::of(&usable, &taken), @"4 addresses: 1 held, 1 cooling, 1 retained, 1 free");
    insta::assert_snapshot!(Usage::of(&set("fd00::/64"), &[]), @"18446744073709551616 addresses: 18446744073709551616 free");
    insta::assert_snapshot!(Usage::of(&set("10.0.0.7"), &[lease(ip("10.0.0.7"), TakenState::Quarantined)]), @"1 address: 1 quarantined");
    insta::assert_snapshot!(Usage::of(&Spans::default(), &[]), @"0 addresses");
}
