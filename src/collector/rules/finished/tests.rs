use crate::collector::tests::scene::{Fate, Scene, held, pod, says};
use crate::collector::{KeepReason, NodeSnapshot, PodEnd, Proof, Reason};

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

#[test]
fn containers_that_have_ended_do_not_prove_that_a_living_pods_sandbox_has() {
    let mut ending = pod("u");
    ending.deleting = true;
    ending.containers_ended = true;
    let scene = Scene::new(held(1, "u")).marked(10_000).pod(ending);
    assert_eq!(scene.fate(), Fate::Fine);
}
