use crate::collector::tests::scene::{Fate, Scene, held, pod, says};
use crate::collector::{KeepReason, NodeSnapshot, PodEnd, PodSnapshot, Proof, Reason};

#[test]
fn a_pod_that_has_finished_gives_its_address_back_in_the_next_run() {
    for end in [PodEnd::Succeeded, PodEnd::Failed] {
        let finished = || Scene::new(held(1, "u")).pod(pod("u").finished(end));
        let released = || Fate::Released(Reason::PodFinished(end, Proof::ContainersEnded));
        says(vec![
            (
                "no earlier run has seen it like this",
                finished(),
                Fate::Kept(KeepReason::Marked),
            ),
            ("one has", finished().marked(1), released()),
            (
                "its object may be deleted by now",
                finished().marked(1).with(|s| s.live.pod = None),
                released(),
            ),
            (
                "its node is not Ready",
                finished().marked(1).node(&NodeSnapshot::default()),
                Fate::Kept(KeepReason::Unready),
            ),
            (
                "its Node object is gone, so its kubelet did not write that",
                finished().marked(1).without_node(),
                Fate::Kept(KeepReason::Marked),
            ),
            (
                "it is being deleted, so the pod garbage collector may have written that",
                finished()
                    .marked(1)
                    .with(|s| s.lists.pods[0].deleting = true),
                Fate::Kept(KeepReason::Marked),
            ),
            (
                "a container runs",
                finished()
                    .marked(1)
                    .with(|s| s.lists.pods[0].containers_ended = false),
                Fate::Kept(KeepReason::Marked),
            ),
            (
                "it does not seem so any more",
                finished().marked(1).with(|s| s.live.pod = Some(pod("u"))),
                Fate::Kept(KeepReason::Alive),
            ),
            (
                "its kubelet reports that the teardown fails",
                finished().marked(1).with(|s| s.live.teardown_failed = true),
                Fate::Kept(KeepReason::TeardownFailed),
            ),
        ]);
    }
}

/// As anyone may write it who may write pods.
#[test]
fn the_end_of_a_mirror_releases_nothing() {
    let mirror = |uid: &str| PodSnapshot {
        mirrors: Some(uid.into()),
        ..pod("forged").called("forged").finished(PodEnd::Succeeded)
    };
    let ended = |uid: &str| Scene::new(held(1, uid)).marked(10_000).pod(mirror(uid));
    let static_pod = "0123456789abcdef0123456789abcdef";
    says(vec![
        (
            "the pod was deleted, and may still be running",
            ended("u"),
            Fate::Kept(KeepReason::Marked),
        ),
        (
            "it is a static pod, which outlives its mirror",
            ended(static_pod),
            Fate::Kept(KeepReason::StaticPod),
        ),
        (
            "the pod lives",
            ended("u").with(|s| s.lists.pods.push(pod("u"))),
            Fate::Fine,
        ),
        (
            "its own mirror shows that the static pod lives",
            ended(static_pod).with(|s| {
                s.lists.pods.push(PodSnapshot {
                    mirrors: Some(static_pod.into()),
                    ..pod("mirror")
                });
            }),
            Fate::Fine,
        ),
    ]);
}

#[test]
fn containers_that_have_ended_do_not_prove_that_a_living_pods_sandbox_has() {
    let mut ending = pod("u");
    ending.deleting = true;
    ending.containers_ended = true;
    let scene = Scene::new(held(1, "u")).marked(10_000).pod(ending);
    assert_eq!(scene.fate(), Fate::Fine);
}
