use crate::collector::tests::scene::{Fate, Scene, at, held, pod, says};
use crate::collector::{ClaimSnapshot, KeepReason, Reason};
use crate::lease::{ClaimKind, ClaimRef, State};

use ClaimSnapshot::{Gone, Leaving, Lists, Omits, Unknown};

fn retained() -> Scene {
    Scene::new(held(1, "u")).with(|s| {
        s.lists.leases[0].state = State::Retained;
        let claim = ClaimRef {
            kind: ClaimKind::IPClaim,
            ..ClaimRef::default()
        };
        s.lists.leases[0].claim = Some(claim.into());
    })
}

#[test]
fn a_lease_that_a_claim_keeps_goes_with_the_claim() {
    says(vec![
        (
            "its claim lists it",
            retained().claim(Lists, Lists),
            Fate::Fine,
        ),
        (
            "its claim is not known",
            retained().claim(Unknown, Gone),
            Fate::Fine,
        ),
        ("no claim keeps it: a person does", retained(), Fate::Fine),
        (
            "no earlier run has seen it like this",
            retained().claim(Gone, Gone),
            Fate::Kept(KeepReason::Young),
        ),
        (
            "an ADD may be about to list it",
            retained().claim(Omits, Omits).marked(599),
            Fate::Kept(KeepReason::Young),
        ),
        (
            "it leaves its set",
            retained().claim(Leaving, Leaving).marked(602),
            Fate::Kept(KeepReason::Leaving),
        ),
        (
            "its claim is gone",
            retained().claim(Gone, Gone).marked(602),
            Fate::Released(Reason::ClaimGone),
        ),
        (
            "its claim does not list it",
            retained().claim(Omits, Omits).marked(602),
            Fate::Released(Reason::ClaimOmits),
        ),
        (
            "its claim lists it by now",
            retained().claim(Omits, Lists).marked(602),
            Fate::Kept(KeepReason::Claimed),
        ),
        (
            "a living pod uses it",
            retained()
                .claim(Gone, Gone)
                .marked(602)
                .pod(pod("u").with_address(1)),
            Fate::Kept(KeepReason::Reported),
        ),
    ]);
}

#[test]
fn what_cools_or_is_in_quarantine_ends_with_its_time() {
    for (state, reason) in [
        (State::Cooling, Reason::Cooled),
        (State::Quarantined, Reason::QuarantineOver),
    ] {
        let over = |over: Option<i64>| {
            Scene::new(held(1, "u")).with(|s| {
                s.lists.leases[0].state = state;
                s.lists.leases[0].over = over.map(|over| at(over).into());
            })
        };
        says(vec![
            ("it is over", over(Some(0)), Fate::Released(reason.clone())),
            ("it is not", over(Some(1)), Fate::Fine),
            ("it never is", over(None), Fate::Fine),
            (
                "by the API server's clock it is not",
                over(Some(0)).with(|s| s.now.server = Some(at(-1))),
                Fate::Fine,
            ),
        ]);
    }
}
