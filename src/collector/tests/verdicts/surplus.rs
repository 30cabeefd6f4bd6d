//! What becomes of several leases for one interface.

use super::{UNSUSPECTED, says};
use crate::collector::tests::scene::{Case, address, at, held, pod};
use crate::collector::{HolderSnapshot, KeepReason, LeaseSnapshot, Reason};
use crate::lease::State;

#[test]
fn of_several_leases_for_one_interface_one_is_legitimate() {
    let surplus = || {
        let mut case = Case::new(held(1, "u")).pod(pod("u"));
        case.first.leases.push(LeaseSnapshot {
            held_since: Some(at(-9_000)),
            ..held(2, "u")
        });
        case
    };
    let reported = |case: Case, last| {
        case.with(|c| {
            let pod = pod("u").reporting(last);
            c.first.pods = vec![pod.clone()];
            c.second.pod = Some(pod);
        })
    };
    let keeps = |last| address(last);
    let other = |change: &dyn Fn(&mut HolderSnapshot)| {
        surplus().with(|c| change(c.first.leases[1].holder.as_mut().expect("a holder")))
    };
    says(vec![
        (
            "the latest, where the pod reports none",
            surplus(),
            Some(Ok(Reason::Surplus { keeps: keeps(2) })),
        ),
        (
            "the one that the pod reports",
            reported(surplus(), 2),
            Some(Ok(Reason::Surplus { keeps: keeps(2) })),
        ),
        (
            "even where another is later",
            reported(surplus(), 1),
            UNSUSPECTED,
        ),
        (
            "a pod that comes to report it keeps it",
            surplus().with(|c| c.second.pod = Some(pod("u").reporting(1))),
            Some(Err(KeepReason::Alive)),
        ),
        (
            "an ADD may still work on one that was written just now",
            surplus().with(|c| c.first.leases[0].written = Some(at(-599))),
            Some(Err(KeepReason::Young)),
        ),
        (
            "and on one that does not say when it was written",
            surplus().with(|c| c.first.leases[0].written = None),
            Some(Err(KeepReason::Young)),
        ),
        (
            "another interface is none of it",
            other(&|h| h.interface = "net1".into()),
            UNSUSPECTED,
        ),
        (
            "another network neither",
            other(&|h| h.network = "other".into()),
            UNSUSPECTED,
        ),
        (
            "nor the other family",
            surplus().with(|c| {
                c.first.leases[1].name.address = "fd00::2".parse().expect("an address");
            }),
            UNSUSPECTED,
        ),
        (
            "nor one that cools",
            surplus().with(|c| c.first.leases[1].state = State::Cooling),
            UNSUSPECTED,
        ),
    ]);
}
