use proptest::prelude::*;

use super::super::TakenState;
use super::*;
use crate::ip::{Span, Vrf};
use crate::pool::Pools;

const NONE: [IpAddr; 0] = [];

fn ip(number: usize) -> IpAddr {
    let number = u32::try_from(number).expect("of few bits");
    IpAddr::V4((0x0a00_0000 + number).into())
}

fn usable(count: usize) -> Spans {
    let span = Span::new(ip(0), ip(count - 1)).expect("a span");
    std::iter::once(span).collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn seed(pod: usize) -> Seed {
    Seed::of(&format!("pod-{pod}"), "eth0", "net", "pool")
}

fn held(address: IpAddr) -> Taken {
    Taken {
        address,
        state: TakenState::Held,
        owner: None,
    }
}

fn released(address: IpAddr, second: i64) -> Taken {
    let state = TakenState::Cooling {
        released_at: at(second),
        cooldown: Duration::from_secs(30),
    };
    Taken {
        state,
        ..held(address)
    }
}

/// A pool of `count` whose list shows all held but `open`.
fn listed(count: usize, open: &[IpAddr], second: i64) -> PoolHint {
    let all = (0..count).map(ip);
    let taken: Vec<Taken> = all.filter(|it| !open.contains(it)).map(held).collect();
    let mut hint = PoolHint::default();
    let list = Listed::all(&usable(count), &taken, seed(0), at(second));
    hint.listed(list, at(second), at(second));
    hint
}

fn propose(hint: &PoolHint, pod: usize, second: i64) -> Vec<IpAddr> {
    hint.propose(&usable(2000), seed(pod), at(second), 4)
}

#[test]
fn a_list_shows_nobody_what_another_process_tries_right_now() {
    let free = |second| {
        let listed = Listed::free(&usable(20), &[], seed(0));
        (listed, at(second), at(second))
    };
    let take = |hint: &mut PoolHint, pod| hint.take_open(&usable(20), seed(pod), at(101), 8);
    let mut hint = PoolHint::default();
    let (listed, began, now) = free(100);
    hint.listed_at(listed, began, now);
    let first = take(&mut hint, 1);
    // One that began before the last, and one that began since and does not show the new leases.
    for second in [99, 101] {
        let (listed, began, now) = free(second);
        hint.listed_at(listed, began, now);
    }
    let second = take(&mut hint, 2);
    let given: BTreeSet<&IpAddr> = first.iter().chain(&second).collect();
    assert_eq!(given.len(), 16, "{first:?} {second:?}");
    assert_eq!(take(&mut hint, 3).len(), 4, "the rest");
}

#[test]
fn no_two_processes_are_given_one_open_address() {
    let open: Vec<IpAddr> = (0..20).map(ip).collect();
    let mut hint = listed(1000, &open, 100);
    let mut given = BTreeSet::new();
    // All have read the same proposals before the first of them chooses.
    let proposals: Vec<_> = (0..20).map(|pod| propose(&hint, pod, 100)).collect();
    for (pod, mut proposal) in proposals.into_iter().enumerate() {
        let chosen = loop {
            match hint.settle(&proposal, &[]) {
                Some(address) => break address,
                None => proposal = propose(&hint, pod, 100),
            }
        };
        assert!(given.insert(chosen), "{chosen} was given twice");
    }
    assert_eq!(given, open.into_iter().collect());
    assert_eq!(propose(&hint, 0, 100), NONE);
}

#[test]
fn rivals_begin_at_different_addresses() {
    let open: Vec<IpAddr> = (0..64).map(ip).collect();
    let hint = listed(1000, &open, 100);
    let first: BTreeSet<IpAddr> = (0..64).map(|pod| propose(&hint, pod, 100)[0]).collect();
    assert!(first.len() > 30, "{first:?}");
}

#[test]
fn what_is_taken_or_not_usable_any_more_or_seen_long_ago_is_not_proposed() {
    let mut hint = listed(1000, &[ip(1), ip(2), ip(3)], 100);
    assert_eq!(hint.settle(&[], &[ip(1)]), None);
    let mut left = propose(&hint, 0, 160);
    left.sort_unstable();
    assert_eq!(left, [ip(2), ip(3)]);
    assert_eq!(hint.propose(&usable(3), seed(0), at(100), 4), [ip(2)]);
    assert_eq!(propose(&hint, 0, 161), NONE);
    assert_eq!(propose(&hint, 0, 99), NONE, "a clock that was set back");
}

#[test]
fn a_repeated_add_looks_where_the_one_before_it_wrote() {
    let mut hint = PoolHint::default();
    assert_eq!(hint.tried(seed(1)), None);
    hint.tries(seed(1), ip(1));
    hint.tries(seed(2), ip(2));
    hint.tries(seed(1), ip(3));
    assert_eq!(hint.tried(seed(1)), Some(ip(3)));
    (0..MOST).for_each(|pod| hint.tries(seed(100 + pod), ip(9)));
    assert_eq!(hint.tried(seed(1)), None, "it is no log");
}

#[test]
fn the_node_probes_until_that_has_cost_what_a_list_costs() {
    let mut hint = PoolHint::default();
    let mut probes = 0;
    while hint.may_probe(16_383, at(100)) {
        assert_eq!(hint.find(&[], &[ip(1), ip(2)], at(100)), None);
        probes += 2;
    }
    assert_eq!(probes, 16_383 / 20 + 1);
    let next = at(101);
    assert!(!hint.may_probe(16_383, next), "nor does the next ADD");
    hint.listed(Listed::default(), next, next);
    assert!(hint.may_probe(16_383, next), "until it has been listed");
    assert!(!hint.may_probe(19, next), "a small pool is listed at once");
}

#[test]
fn a_pool_in_which_a_list_has_found_nothing_or_few_that_are_kept_is_not_probed() {
    assert!(!listed(60_000, &[], 100).may_probe(60_000, at(100)));
    let few: Vec<IpAddr> = (0..OPEN - 1).map(ip).collect();
    let hint = listed(60_000, &few, 100);
    assert!(!hint.may_probe(60_000, at(160)));
    assert!(hint.may_probe(60_000, at(161)), "others have been released");
    let many: Vec<IpAddr> = (0..OPEN).map(ip).collect();
    assert!(listed(60_000, &many, 100).may_probe(60_000, at(100)));
}

#[test]
fn what_one_process_finds_besides_is_left_for_the_next() {
    let mut hint = PoolHint::default();
    assert_eq!(hint.find(&[ip(1), ip(2)], &[], at(100)), Some(ip(1)));
    assert_eq!(propose(&hint, 7, 100), [ip(2)]);
}

#[test]
fn one_process_lists_and_the_others_wait_for_it_unless_it_was_killed() {
    let mut hint = PoolHint::default();
    assert_eq!(hint.turn(at(100), at(100)), Turn::List);
    assert_eq!(hint.turn(at(100), at(101)), Turn::Wait);
    assert_eq!(hint.turn(at(100), at(111)), Turn::List, "it was killed");
    hint.not_listed();
    assert_eq!(hint.turn(at(100), at(111)), Turn::List, "it has failed");
    assert_eq!(
        hint.turn(at(100), at(50)),
        Turn::List,
        "a clock that was set back"
    );
}

#[test]
fn a_list_that_began_after_a_search_did_is_as_good_as_one_of_its_own() {
    let mut hint = listed(4, &[], 100);
    assert!(matches!(hint.turn(at(100), at(100)), Turn::Full(_)));
    assert_eq!(hint.turn(at(101), at(101)), Turn::List);
}

#[test]
fn a_large_pool_is_full_for_seconds_then_but_for_released_ones_then_listed() {
    for (count, full_until, released_until) in
        [(511, 0, 0), (1000, 0, 0), (16_000, 9, 9), (60_000, 10, 36)]
    {
        for age in 0..60 {
            let mut hint = listed(count, &[], 100);
            let turn = hint.turn(at(100 + age + 1), at(100 + age));
            let expected = match age {
                0 if count > 511 => "full",
                1.. if age <= full_until => "full",
                1.. if age <= released_until => "released",
                _ => "list",
            };
            let found = match turn {
                Turn::Full(_) => "full",
                Turn::ListReleased => "released",
                Turn::List => "list",
                Turn::Wait => "wait",
            };
            assert_eq!(found, expected, "{count} addresses after {age} s");
        }
    }
}

#[test]
fn nothing_is_full_by_a_list_that_has_shown_something_or_lies_ahead() {
    let mut hint = listed(60_000, &[ip(1)], 100);
    assert_eq!(hint.settle(&[ip(1)], &[]), Some(ip(1)));
    assert_eq!(hint.turn(at(101), at(101)), Turn::List);
    let mut hint = listed(60_000, &[], 100);
    assert_eq!(hint.turn(at(50), at(50)), Turn::List);
}

/// A pool of 1,024 addresses, of which 1,022 are given, as the collector has counted it.
fn counted(free: usize, second: i64, sample: &[IpAddr], cooldown: i64) -> Pool {
    let status = serde_json::json!({"capacity": 1022, "held": 1022 - free, "free": free,
        "observedAt": at(second).to_string(), "sample": sample});
    let written = serde_json::from_value(serde_json::json!({
        "apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": "pool"},
        "spec": {"subnet": "10.0.0.0/22", "cooldownSeconds": cooldown}, "status": status,
    }));
    let written = vec![written.expect("a pool")];
    let pools = Pools::read(written, &[], &[], &Vrf::default()).expect("no reservations");
    let pool = pools.get("pool").expect("the pool").expect("a sound one");
    Pool::clone(pool)
}

#[test]
fn what_the_collector_has_seen_free_is_proposed_once_for_each_count() {
    let mut hint = PoolHint::default();
    let pool = counted(2, 90, &[ip(1), ip(2)], 30);
    hint.learn(&pool, at(100));
    assert_eq!(hint.settle(&[ip(1)], &[ip(2)]), Some(ip(1)));
    hint.learn(&pool, at(101));
    assert_eq!(propose(&hint, 0, 101), NONE, "it was tried");
    hint.learn(&pool, at(170));
    assert_eq!(propose(&hint, 0, 170).len(), 2, "a minute later, it stands");
    hint.learn(&counted(1, 150, &[ip(3)], 30), at(171));
    assert!(propose(&hint, 0, 171).contains(&ip(3)), "another count");
}

#[test]
fn a_large_pool_in_which_the_collector_found_nothing_is_not_listed_for_a_minute() {
    let full = counted(0, 100, &[], 30);
    for (says, pool, second, expected) in [
        ("just counted", &full, 101, Turn::ListReleased),
        ("a minute ago", &full, 170, Turn::ListReleased),
        ("longer ago", &full, 171, Turn::List),
        ("by a clock that is ahead", &full, 99, Turn::List),
        ("one is free", &counted(1, 100, &[], 30), 101, Turn::List),
        (
            "nothing ever cools in it, as after a list of one's own",
            &counted(0, 100, &[], 0),
            101,
            Turn::List,
        ),
    ] {
        let mut hint = PoolHint::default();
        hint.learn(pool, at(second));
        assert_eq!(hint.turn(at(second), at(second)), expected, "{says}");
    }
    let mut hint = PoolHint::default();
    let mut reserved = full.clone();
    reserved.usable = usable(1000);
    hint.learn(&reserved, at(101));
    assert_eq!(
        hint.turn(at(101), at(101)),
        Turn::List,
        "another set of addresses was counted"
    );

    let mut hint = PoolHint::default();
    hint.learn(&full, at(101));
    hint.turn(at(101), at(101));
    hint.listed(Listed::default(), at(101), at(101));
    assert!(
        matches!(hint.turn(at(111), at(111)), Turn::Full(_)),
        "repeated for seconds"
    );
    assert_eq!(hint.turn(at(112), at(112)), Turn::ListReleased);
}

#[test]
fn where_nothing_cools_the_count_of_a_full_pool_stands_for_a_list() {
    let mut pool = counted(0, 100, &[], 0);
    pool.usable = usable(60_000);
    pool.count.as_mut().expect("a count").usage.usable = 60_000;
    for (second, expected) in [
        (101, Turn::ListReleased),
        (136, Turn::ListReleased),
        (137, Turn::List),
    ] {
        let mut hint = PoolHint::default();
        hint.learn(&pool, at(second));
        // As good as a list of its own is only what this search has seen itself.
        let turn = hint.turn(at(100), at(second));
        assert_eq!(turn, expected, "at {second} s");
    }
}

#[test]
fn what_was_released_in_a_full_pool_leaves_it_full_once_it_is_taken() {
    let mut hint = PoolHint::default();
    hint.learn(&counted(0, 100, &[], 30), at(101));
    assert_eq!(hint.turn(at(101), at(101)), Turn::ListReleased);
    let one = Listed::released(&usable(1022), &[released(ip(7), 60)], seed(0), at(101));
    hint.listed(one, at(101), at(101));
    assert_eq!(hint.settle(&[ip(7)], &[]), Some(ip(7)));
    assert_eq!(hint.turn(at(102), at(102)), Turn::ListReleased);
}

#[test]
fn a_hint_that_nobody_can_have_written_is_no_more_than_untrue() {
    let far = "2999-01-01T00:00:00Z";
    let usage = serde_json::json!({"usable": 0, "held": 0, "cooling": 0, "retained": 0, "quarantined": 0, "free": 1});
    let strange = serde_json::json!({"seen": far, "probes": u64::MAX, "listing": far,
        "full": {"at": far, "checked": far, "usage": usage}});
    let mut hint: PoolHint = serde_json::from_value(strange).expect("a hint");
    assert_eq!(hint.turn(at(100), at(100)), Turn::List);
    assert_eq!(hint.settle(&[], &[ip(1)]), None);
    assert!(!hint.may_probe(20_000, at(100)));
}

#[test]
fn a_list_of_the_released_prolongs_full_and_its_finds_end_it() {
    let pool = usable(60_000);
    let mut hint = listed(60_000, &[], 100);
    assert_eq!(hint.turn(at(115), at(115)), Turn::ListReleased);
    let none = Listed::released(&pool, &[], seed(0), at(115));
    hint.listed(none, at(115), at(115));
    assert!(matches!(hint.turn(at(120), at(120)), Turn::Full(_)));
    assert_eq!(hint.turn(at(126), at(126)), Turn::ListReleased);
    let one = [released(ip(7), 90)];
    hint.listed(
        Listed::released(&pool, &one, seed(0), at(126)),
        at(126),
        at(126),
    );
    assert_eq!(propose(&hint, 0, 126), [ip(7)]);
}

#[test]
fn a_cooling_address_is_reserved_once_and_with_the_last_of_them_the_pool_is_not_known_to_be_full() {
    let taken: Vec<Taken> = (2..1000).map(|n| held(ip(n))).collect();
    let cooling = [released(ip(0), 99), released(ip(1), 98)];
    let all: Vec<Taken> = taken.into_iter().chain(cooling).collect();
    let mut hint = PoolHint::default();
    let list = Listed::all(&usable(1000), &all, seed(0), at(100));
    hint.listed(list, at(100), at(100));
    assert_eq!(hint.cooling(), [(at(98), ip(1)), (at(99), ip(0))]);
    assert!(matches!(hint.turn(at(100), at(100)), Turn::Full(_)));
    assert!(hint.reserve(ip(1)) && !hint.reserve(ip(1)));
    assert!(matches!(hint.turn(at(100), at(100)), Turn::Full(_)));
    assert!(hint.reserve(ip(0)));
    assert_eq!(hint.turn(at(100), at(100)), Turn::List);
}

proptest! {
    #[test]
    fn a_list_is_open_where_nothing_is_held_or_cools(states in prop::collection::vec(0..4u8, 1..200)) {
        let pool = usable(states.len());
        let taken = |(n, state): (usize, &u8)| match state {
            0 => None,
            1 => Some(held(ip(n))),
            2 => Some(released(ip(n), 90)),
            _ => Some(released(ip(n), 10)),
        };
        let leases: Vec<Taken> = states.iter().enumerate().filter_map(taken).collect();
        let list = Listed::all(&pool, &leases, seed(0), at(100));
        let with = |wanted: &[u8]| -> BTreeSet<IpAddr> {
            let those = states.iter().enumerate().filter(|(_, state)| wanted.contains(state));
            those.map(|(n, _)| ip(n)).collect()
        };
        prop_assert_eq!(list.open.iter().copied().collect::<BTreeSet<_>>(), with(&[0, 3]));
        prop_assert_eq!(list.cooling.iter().map(|(_, it)| *it).collect::<BTreeSet<_>>(), with(&[2]));
    }

    #[test]
    fn a_hint_is_read_back_as_it_was_written(open in prop::collection::vec(0..2000usize, 0..9), second in 0..1000i64) {
        let open: Vec<IpAddr> = open.into_iter().map(ip).collect();
        let mut hint = listed(2000, &open, second);
        hint.tries(seed(1), ip(5));
        hint.turn(at(second), at(second + 1));
        let text = serde_json::to_string(&hint).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<PoolHint>(&text).expect("a hint"), hint);
    }
}
