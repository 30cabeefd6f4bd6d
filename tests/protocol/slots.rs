//! Addresses that are kept for a pod's name: two pods of the name, and a rival.

use leasehold::lease::State::{Held, Retained};

use crate::runtime::Act::{AddSticky, Del, EndNamespace};
use crate::runtime::{Act, Initial};
use crate::scenario::Scenario;
use crate::{COOLED, RIVAL, holds};

const HELD: &[Initial] = &[("10.0.0.1", "s0", Held)];
const KEPT: &[Initial] = &[("10.0.0.1", "s0", Retained)];

/// The node of the first was given up, or its pod deleted by force: both pods of the name are there
/// for a while. A rival takes what they may want, and keeps it: where it gives it back between the
/// tries of two pods that start for the first time, they may get an address each, and the collector
/// releases the one that is left.
#[test]
fn pods_of_one_name_have_one_address_one_after_the_other() {
    let first: &[Act] = &[AddSticky("s1"), Del("s1"), Del("s1")];
    let second: &[Act] = &[AddSticky("s2"), Del("s2")];
    for (addresses, cooldown, before, faults) in [
        (1, 30, &[][..], 1),
        (2, 0, &[], 1),
        (2, 30, &COOLED[..1], 1),
        (3, 30, &[("10.0.0.1", "c9", Held)], 0),
    ] {
        holds(&Scenario {
            before,
            cooldown,
            faults,
            ..Scenario::of(addresses, &[first, second])
        });
        holds(&Scenario {
            before,
            cooldown,
            ..Scenario::of(addresses, &[first, second, RIVAL])
        });
    }
}

/// The old pod's DEL comes at any time, and again, or its runtime is killed: until it is done, the
/// new pod waits.
#[test]
fn what_a_pod_of_the_name_has_or_had_goes_to_the_next_one_and_to_no_rival() {
    let ends: &[Act] = &[Del("s0"), EndNamespace("s0"), Del("s0")];
    for (addresses, before) in [(1, HELD), (2, HELD), (1, KEPT), (2, KEPT)] {
        holds(&Scenario {
            before,
            cooldown: 30,
            faults: 1,
            ..Scenario::of(addresses, &[ends, &[AddSticky("s2"), Del("s2")], RIVAL])
        });
    }
}

/// The old pod's ADD runs on when its runtime has given it up, and its pod is made anew elsewhere.
#[test]
fn a_late_call_of_the_old_pod_takes_nothing_from_the_new_one() {
    let replaced: &[Act] = &[Del("s1"), EndNamespace("s1"), AddSticky("s2")];
    for (addresses, before) in [(2, &[][..]), (2, KEPT)] {
        holds(&Scenario {
            before,
            cooldown: 30,
            faults: 1,
            switches: Some(2),
            ..Scenario::of(addresses, &[&[AddSticky("s1")], replaced, RIVAL])
        });
    }
}

#[test]
fn a_name_has_one_address_of_each_family() {
    for (v4, v6, before) in [(1, 1, &[][..]), (2, 1, KEPT)] {
        holds(&Scenario {
            before,
            v6_addresses: Some(v6),
            faults: 1,
            switches: Some(1),
            ..Scenario::of(v4, &[&[AddSticky("s1"), Del("s1")], &[AddSticky("s2")]])
        });
    }
}

#[test]
fn a_slot_that_does_not_list_what_is_kept_for_it_is_found() {
    let scenario = Scenario {
        before: &[("10.0.0.1", "c9", Held)],
        lists_claims: false,
        ..Scenario::of(
            3,
            &[&[AddSticky("s1"), Del("s1")], &[AddSticky("s2")], RIVAL],
        )
    };
    let fault = scenario.explore().expect_err("a second address");
    assert!(fault.contains("s2 was answered"), "{fault}");
}
