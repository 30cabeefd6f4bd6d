//! The protocol of leases, walked through in every order that its steps can take.
//!
//! No API server and no time here: a [`fake_store`] of leases that admits writes as etcd does (a
//! name once, a version once), and [`runtime`]s whose calls stop before each request. [`search`]
//! goes through every order of their steps, or through those in which actors come in between each
//! other's steps so often and no more (`Scenario::switches`); in some runs a reply is lost, a write
//! arrives when its sender waits no longer, a list is stale, or a process is killed. After each step
//! [`invariants`] says which rule is broken. That the real API server is such a store is for
//! `tests/e2e` to show.

mod fake_store;
mod invariants;
mod runtime;
mod scenario;
mod search;
mod sets;
mod slots;

use leasehold::lease::State::{Cooling, Held};
use runtime::Act::{Add, AddAgain, Del, DelFailed, EndNamespace};
use runtime::{Act, Initial};
use scenario::Scenario;

const EARLIER: &[Initial] = &[("10.0.0.1", "c0", Held)];
const COOLED: &[Initial] = &[("10.0.0.1", "c9", Cooling), ("10.0.0.2", "c9", Cooling)];

/// A runtime was killed while the ADD of sandbox 1 ran. That runs on, or is killed at some point,
/// while the new runtime clears sandbox 1 away and makes sandbox 2. A DEL is repeated, as runtimes
/// do.
const LATE: &[Act] = &[Add("c1")];
const LATE_AGAIN: &[Act] = &[AddAgain("c1")];
const RESTARTED: &[Act] = &[Del("c1"), EndNamespace("c1"), Add("c2"), Del("c1")];
const RESTARTED_AGAIN: &[Act] = &[Del("c1"), EndNamespace("c1"), AddAgain("c2"), Del("c1")];
const TURNED: &[Act] = &[Del("c1"), EndNamespace("c1"), AddAgain("c2")];
const RIVAL: &[Act] = &[Add("c3")];
const COME_AND_GONE_RIVAL: &[Act] = &[Add("c3"), Del("c3")];
const COME_AND_GONE: &[Act] = &[Add("c1"), Del("c1"), Del("c1")];

fn holds(scenario: &Scenario) {
    match scenario.explore() {
        // Fewer would mean that the scenario does not run at all.
        Ok(states) => assert!(states > 50, "{scenario:?} has only {states} states"),
        Err(fault) => panic!("{scenario:?}: {fault}"),
    }
}

#[test]
fn a_late_call_takes_nothing_from_the_next_sandbox_whatever_two_things_go_wrong() {
    for (before, cooldown, runtimes) in [
        (&[][..], 0, &[LATE, RESTARTED][..]),
        (EARLIER, 30, &[LATE_AGAIN, RESTARTED_AGAIN]),
        (COOLED, 30, &[LATE, RESTARTED]),
    ] {
        holds(&Scenario {
            before,
            cooldown,
            faults: 2,
            ..Scenario::of(2, runtimes)
        });
    }
}

#[test]
fn another_pod_loses_nothing_by_it_and_is_not_refused_without_need() {
    for (before, cooldown) in [(&[][..], 0), (EARLIER, 30), (COOLED, 0)] {
        let runtimes = &[LATE_AGAIN, RESTARTED_AGAIN, RIVAL];
        holds(&Scenario {
            before,
            cooldown,
            faults: 1,
            ..Scenario::of(2, runtimes)
        });
    }
}

#[test]
fn a_del_that_is_repeated_at_any_time_takes_nothing_from_the_next_sandbox() {
    for (before, cooldown) in [(&[][..], 30), (EARLIER, 0)] {
        let runtimes = &[LATE, TURNED, &[Del("c1")]];
        holds(&Scenario {
            before,
            cooldown,
            faults: 1,
            ..Scenario::of(2, runtimes)
        });
    }
}

#[test]
fn two_pods_never_have_the_last_address_both() {
    for (before, cooldown, faults) in [
        (&[][..], 0, 2),
        (&[], 30, 1),
        (&COOLED[..1], 0, 1),
        (&COOLED[..1], 30, 1),
    ] {
        let runtimes = &[COME_AND_GONE, RIVAL];
        holds(&Scenario {
            before,
            cooldown,
            faults,
            ..Scenario::of(1, runtimes)
        });
    }
}

/// Preferring another address is never a reason to give none.
#[test]
fn a_pod_whose_attachments_fail_is_refused_only_where_the_pool_is_full() {
    let failing: &[Act] = &[
        Add("c1"),
        DelFailed("c1"),
        EndNamespace("c1"),
        Add("c2"),
        DelFailed("c2"),
        Add("c0"),
    ];
    for (addresses, cooldown) in [(1, 0), (1, 30), (2, 0), (2, 30)] {
        holds(&Scenario {
            cooldown,
            ..Scenario::of(addresses, &[failing, COME_AND_GONE_RIVAL])
        });
    }
}

#[test]
fn a_pod_has_an_address_of_both_families_or_of_neither() {
    for (v4, v6, faults, runtimes) in [
        (1, 1, 0, &[COME_AND_GONE, RIVAL][..]),
        (2, 1, 0, &[COME_AND_GONE, RIVAL]),
        (1, 2, 0, &[COME_AND_GONE, RIVAL]),
        (1, 1, 1, &[LATE, RIVAL]),
        (2, 2, 1, &[LATE, RESTARTED]),
    ] {
        holds(&Scenario {
            v6_addresses: Some(v6),
            faults,
            ..Scenario::of(v4, runtimes)
        });
    }
}

/// Two blind creates miss what is free, wherever that lies, for some of the pods: then lists
/// decide.
#[test]
fn a_list_is_not_believed_where_it_may_be_wrong() {
    let addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    let held_but = |free: &[&str]| -> Vec<Initial> {
        let held = addresses
            .into_iter()
            .filter(|address| !free.contains(address));
        held.map(|address| (address, "c9", Held)).collect()
    };
    for (index, &one) in addresses.iter().enumerate() {
        for another in &addresses[..index] {
            holds(&Scenario {
                before: &held_but(&[one, another]),
                faults: 1,
                ..Scenario::of(4, &[COME_AND_GONE, RIVAL])
            });
        }
        let full = [&held_but(&[one])[..], &[(one, "c0", Held)]].concat();
        holds(&Scenario {
            before: &full,
            faults: 2,
            ..Scenario::of(4, &[&[Del("c0"), Add("c3")]])
        });
    }
}

/// The proof that the search can find: the rule that stops late calls is taken out.
#[test]
fn a_move_without_a_look_at_the_namespace_is_found() {
    let scenario = Scenario {
        before: EARLIER,
        cooldown: 30,
        looks_at_namespaces: false,
        ..Scenario::of(2, &[LATE_AGAIN, RESTARTED_AGAIN])
    };
    let fault = scenario.explore().expect_err("a late call that wins");
    assert!(fault.contains("is not held by c2"), "{fault}");
}
