//! Sets of applications: two pods of one, `m`, and a pod of another.

use leasehold::lease::State::Held;

use crate::runtime::Act;
use crate::runtime::Act::{AddMember, Confirm, Del, EndNamespace};
use crate::scenario::Scenario;
use crate::{COOLED, RIVAL, holds};

const ONE: &[Act] = &[AddMember("m1")];
const TWO: &[Act] = &[AddMember("m2")];
const OTHER: &[Act] = &[AddMember("o1")];
const COLLECTOR: &[Act] = &[Confirm("m1")];

/// Another call finishes what the first one has begun.
#[test]
fn a_set_is_made_whole_although_its_maker_is_killed() {
    for before in [&[][..], &COOLED[..1]] {
        holds(&Scenario {
            before,
            faults: 1,
            only_kills: true,
            ..Scenario::of(2, &[ONE, TWO])
        });
    }
}

/// Each takes the other one for dead, however often.
#[test]
fn a_set_is_made_once_by_two_that_make_it() {
    holds(&Scenario {
        set_size: 2,
        ..Scenario::of(2, &[ONE, TWO])
    });
}

#[test]
fn two_sets_share_no_address_whatever_goes_wrong() {
    holds(&Scenario {
        faults: 1,
        ..Scenario::of(2, &[ONE, OTHER])
    });
}

/// A reply that is lost, a write that comes late, a list that is stale.
#[test]
fn a_set_is_made_once_whatever_goes_wrong() {
    holds(&Scenario {
        faults: 1,
        ..Scenario::of(1, &[ONE, TWO])
    });
}

/// Two pods of one application make its set while a pod of another one, or one without a set, takes
/// what there is besides: each is served, and no member goes to the other one.
#[test]
fn two_makers_leave_another_pod_what_they_do_not_list() {
    for (rival, set_size, faults, switches) in [
        (OTHER, 1, 0, 4),
        (OTHER, 2, 0, 2),
        (RIVAL, 1, 0, 3),
        (RIVAL, 2, 0, 2),
        (OTHER, 1, 1, 1),
        (RIVAL, 1, 1, 1),
    ] {
        holds(&Scenario {
            set_size,
            faults,
            switches: Some(switches),
            ..Scenario::of(set_size as usize + 1, &[ONE, TWO, rival])
        });
    }
}

/// Both pods fit into what one of them adds.
#[test]
fn two_pods_that_enlarge_a_set_at_once_are_both_served() {
    for (addresses, faults, switches, runtimes) in [
        (3, 0, 4, &[ONE, TWO][..]),
        (3, 1, 1, &[ONE, TWO]),
        (4, 0, 2, &[ONE, TWO, OTHER]),
    ] {
        holds(&Scenario {
            before: &[("10.0.0.1", "m0", Held)],
            members: &["10.0.0.1"],
            set_size: 3,
            faults,
            switches: Some(switches),
            ..Scenario::of(addresses, runtimes)
        });
    }
}

/// The reply to its list is lost, and the collector writes the claim before it is repeated: what is
/// stored then is not what the maker wrote.
#[test]
fn a_maker_that_does_not_know_that_it_has_listed_keeps_what_is_listed() {
    holds(&Scenario {
        faults: 1,
        ..Scenario::of(1, &[ONE, COLLECTOR])
    });
}

/// The call of a pod that was given up runs on, and another pod is there for it.
#[test]
fn a_late_maker_takes_nothing_from_the_set_of_the_next() {
    let replaced: &[Act] = &[Del("m1"), EndNamespace("m1"), AddMember("m2")];
    holds(&Scenario {
        faults: 1,
        switches: Some(4),
        ..Scenario::of(2, &[ONE, replaced])
    });
}

/// A member goes from pod to pod.
#[test]
fn a_pod_that_ends_leaves_its_member_to_the_next() {
    let ends: &[Act] = &[AddMember("m1"), Del("m1"), Del("m1")];
    holds(&Scenario {
        faults: 1,
        switches: Some(2),
        ..Scenario::of(1, &[ends, TWO])
    });
}
