//! What becomes of a lease that nobody holds.

use super::{UNSUSPECTED, says};
use crate::collector::tests::scene::{Case, at, held, pod};
use crate::collector::{ClaimSnapshot, KeepReason, LeaseSnapshot, Reason};
use crate::lease::State;

fn in_state(state: State, over: Option<i64>) -> LeaseSnapshot {
    LeaseSnapshot {
        state,
        over: over.map(at),
        ..held(1, "u")
    }
}

fn retained() -> LeaseSnapshot {
    LeaseSnapshot {
        claim: Some(("ns".into(), "claim".into())),
        ..in_state(State::Retained, None)
    }
}

#[test]
fn what_nobody_holds_ends_when_its_time_is_over() {
    says(vec![
        (
            "a cooldown",
            Case::new(in_state(State::Cooling, Some(0))),
            Some(Ok(Reason::Cooled)),
        ),
        (
            "but not before",
            Case::new(in_state(State::Cooling, Some(1))),
            UNSUSPECTED,
        ),
        (
            "a quarantine",
            Case::new(in_state(State::Quarantined, Some(-1))),
            Some(Ok(Reason::QuarantineOver)),
        ),
        (
            "but not before",
            Case::new(in_state(State::Quarantined, Some(1))),
            UNSUSPECTED,
        ),
        (
            "a state that only a newer version knows is not ours to end",
            Case::new(in_state(State::Unknown, Some(-1))),
            UNSUSPECTED,
        ),
    ]);
}

#[test]
fn what_a_claim_keeps_stays_as_long_as_the_claim_may_list_it() {
    use ClaimSnapshot::{Gone, Lists, Omits, Unknown};
    let case = |first, second| Case::new(retained()).claim(first, second);
    says(vec![
        ("it lists it", case(Lists, Lists), UNSUSPECTED),
        ("it cannot be read", case(Unknown, Gone), UNSUSPECTED),
        ("it was not asked", Case::new(retained()), UNSUSPECTED),
        ("it is gone", case(Gone, Gone), Some(Ok(Reason::ClaimGone))),
        (
            "it lists something else",
            case(Omits, Omits),
            Some(Ok(Reason::ClaimOmits)),
        ),
        (
            "it came back",
            case(Gone, Lists),
            Some(Err(KeepReason::Claimed)),
        ),
        (
            "it cannot be read at the second look",
            case(Gone, Unknown),
            Some(Err(KeepReason::Claimed)),
        ),
        (
            "it is gone, and its last holder says that it runs on it",
            case(Gone, Gone).pod(pod("u").reporting(1)),
            Some(Err(KeepReason::Reported)),
        ),
    ]);
}

#[test]
fn a_lease_of_two_holders_is_left_to_them() {
    let shared = LeaseSnapshot {
        shared: true,
        ..held(1, "u")
    };
    assert_eq!(Case::new(shared).verdict(), Some(Err(KeepReason::Shared)));
}
