use crate::collector::tests::scene::{Fate, Scene, held, pod, says};
use crate::collector::{KeepReason, PodEnd, Proof, Reason};
use crate::lease::State;

fn due() -> Scene {
    Scene::new(held(1, "u")).gone(Some("1"), Some(102), None)
}

#[test]
fn the_lease_of_a_pod_that_lives_is_fine() {
    let lease = || Scene::new(held(1, "u"));
    says(vec![
        ("it runs", lease().pod(pod("u")), Fate::Fine),
        (
            "it is a static pod, known by its mirror",
            lease().pod(crate::collector::PodSnapshot {
                mirrors: Some("u".into()),
                ..pod("mirror")
            }),
            Fate::Fine,
        ),
        (
            "it is on another node than its lease says, and has no other",
            lease().pod(crate::collector::PodSnapshot {
                node: "n2".into(),
                ..pod("u")
            }),
            Fate::Fine,
        ),
        (
            "only a newer version knows what its state means",
            due().with(|s| s.lists.leases[0].state = State::Unknown),
            Fate::Fine,
        ),
    ]);
}

#[test]
fn an_address_that_another_living_pod_uses_is_never_released() {
    let rival = || pod("other").called("other").with_address(1);
    says(vec![
        (
            "by its kubelet's word",
            due().with(|s| s.lists.pods.push(rival())),
            Fate::Kept(KeepReason::Reported),
        ),
        (
            "whatever else is waived",
            due().with(|s| {
                s.lists.pods.push(rival());
                s.options.release_unreachable = true;
            }),
            Fate::Kept(KeepReason::Reported),
        ),
        (
            "the pod that has the holder's name by now",
            due().with(|s| s.live.pod = Some(pod("u2").with_address(1))),
            Fate::Kept(KeepReason::Reported),
        ),
        (
            "a pod that has finished reports what it had",
            due().with(|s| s.lists.pods.push(rival().finished(PodEnd::Succeeded))),
            Fate::Released(Reason::PodGone(Proof::Heartbeat)),
        ),
        (
            "a pod that holds the address in another vrf uses it there",
            due().with(|s| {
                s.lists.pods.push(rival());
                let mut blue = held(1, "other");
                blue.name.vrf = "blue".parse().expect("a vrf");
                s.lists.leases.push(blue);
            }),
            Fate::Released(Reason::PodGone(Proof::Heartbeat)),
        ),
        (
            "two holders share it",
            due().with(|s| s.lists.leases[0].shared = true),
            Fate::Kept(KeepReason::Shared),
        ),
    ]);
}
