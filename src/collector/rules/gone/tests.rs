use crate::collector::rules::Judgment;
use crate::collector::rules::Keep;
use crate::collector::tests::scene::{Fate, Scene, at, held, pod, ready, says};
use crate::collector::{KeepReason, NodeSnapshot, PodEnd, Proof, Reason};

const HASH: &str = "0123456789abcdef0123456789abcdef";

fn gone() -> Scene {
    Scene::new(held(1, "u"))
}

fn released(proof: Proof) -> Fate {
    Fate::Released(Reason::PodGone(proof))
}

fn not_ready() -> NodeSnapshot {
    NodeSnapshot::default()
}

fn out_of_service(ready: bool) -> NodeSnapshot {
    NodeSnapshot {
        out_of_service: true,
        ready,
        ..NodeSnapshot::default()
    }
}

#[test]
fn a_pod_that_is_gone_gives_its_address_back_once_its_node_has_had_time() {
    says(vec![
        (
            "no earlier run has seen it gone",
            gone(),
            Fate::Kept(KeepReason::Marked),
        ),
        (
            "its node has not renewed its heartbeat since: partitioned",
            gone().gone(Some("2"), None, None),
            Fate::Kept(KeepReason::Silent),
        ),
        (
            "its node has just renewed it",
            gone().gone(Some("1"), None, None),
            Fate::Kept(KeepReason::Ending),
        ),
        (
            "the pod's time and the margin are not over",
            gone().gone(Some("1"), Some(100), None),
            Fate::Kept(KeepReason::Ending),
        ),
        (
            "they are over",
            gone().gone(Some("1"), Some(102), None),
            released(Proof::Heartbeat),
        ),
        (
            "its node had no heartbeat and has one now",
            gone().gone(None, Some(102), None),
            released(Proof::Heartbeat),
        ),
        (
            "a heartbeat that vanished is none",
            gone()
                .gone(Some("1"), None, None)
                .with(|s| s.lists.heartbeats.clear()),
            Fate::Kept(KeepReason::Silent),
        ),
        (
            "its node is not Ready: a kubelet whose runtime is down tears nothing down",
            gone().gone(Some("1"), Some(102), None).node(&not_ready()),
            Fate::Kept(KeepReason::Unready),
        ),
        (
            "its node ceases to be Ready while the run goes on",
            gone()
                .gone(Some("1"), Some(102), None)
                .with(|s| s.live.node = Some(not_ready())),
            Fate::Kept(KeepReason::Unready),
        ),
        (
            "the API server's answers have no time",
            gone()
                .gone(Some("1"), Some(102), None)
                .with(|s| s.now.server = None),
            Fate::Kept(KeepReason::Marked),
        ),
        (
            "the API server's clock is behind the run's own",
            gone()
                .gone(Some("1"), Some(102), None)
                .with(|s| s.now.server = Some(at(-10))),
            Fate::Kept(KeepReason::Ending),
        ),
        (
            "it was given for ever to end",
            gone()
                .with(|s| s.lists.leases[0].termination = std::time::Duration::MAX)
                .gone(Some("1"), Some(100_000), None),
            Fate::Kept(KeepReason::Ending),
        ),
        (
            "its kubelet reports that the teardown fails",
            gone()
                .gone(Some("1"), Some(102), None)
                .with(|s| s.live.teardown_failed = true),
            Fate::Kept(KeepReason::TeardownFailed),
        ),
        (
            "it is there after all",
            gone()
                .gone(Some("1"), Some(102), None)
                .with(|s| s.live.pod = Some(pod("u"))),
            Fate::Kept(KeepReason::Alive),
        ),
        (
            "another pod has its name by now",
            gone()
                .gone(Some("1"), Some(102), None)
                .with(|s| s.live.pod = Some(pod("u2"))),
            released(Proof::Heartbeat),
        ),
    ]);
}

#[test]
fn any_write_to_the_lease_voids_its_mark() {
    let marked = || gone().gone(Some("1"), Some(102), None);
    says(vec![
        ("nothing was written", marked(), released(Proof::Heartbeat)),
        (
            "it was written since it was marked",
            marked().with(|s| s.lists.leases[0].version = "9".into()),
            Fate::Kept(KeepReason::Marked),
        ),
        (
            "it was deleted and created",
            marked().with(|s| s.lists.leases[0].uid = "other".into()),
            Fate::Kept(KeepReason::Marked),
        ),
        (
            "it is written while the run goes on",
            marked().with(|s| s.live.version = Some("9".into())),
            Fate::Kept(KeepReason::Changed),
        ),
        (
            "it is gone already",
            marked().with(|s| s.live.version = None),
            Fate::Kept(KeepReason::Vanished),
        ),
    ]);
}

#[test]
fn a_node_object_that_is_gone_is_waited_for_as_long() {
    let gone = |since| gone().gone(Some("1"), Some(10_000), since).without_node();
    says(vec![
        (
            "no earlier run has seen that",
            gone(None),
            Fate::Kept(KeepReason::Ending),
        ),
        (
            "not long enough ago",
            gone(Some(100)),
            Fate::Kept(KeepReason::Ending),
        ),
        (
            "long enough ago",
            gone(Some(102)),
            released(Proof::NodeGone),
        ),
        (
            "it is registered anew while the run goes on",
            gone(Some(102)).with(|s| s.live.node = Some(ready())),
            Fate::Kept(KeepReason::Unready),
        ),
        (
            "its name is empty: it was bound to no node",
            gone(Some(102)).with(|s| {
                if let Some(holder) = &mut s.lists.leases[0].holder {
                    holder.node = "".into();
                }
            }),
            released(Proof::NodeGone),
        ),
    ]);
}

#[test]
fn a_node_that_is_out_of_service_counts_only_while_it_is_not_ready() {
    says(vec![
        (
            "an administrator vouches that it is shut down",
            gone().node(&out_of_service(false)),
            released(Proof::OutOfService),
        ),
        (
            "the taint was forgotten on a node that lives",
            gone().node(&out_of_service(true)),
            Fate::Kept(KeepReason::Marked),
        ),
        (
            "it comes back while the run goes on",
            gone()
                .node(&out_of_service(false))
                .with(|s| s.live.node = Some(out_of_service(true))),
            Fate::Kept(KeepReason::Unready),
        ),
        (
            "an administrator waives any proof",
            gone()
                .node(&not_ready())
                .with(|s| s.options.release_unreachable = true),
            released(Proof::Waived),
        ),
    ]);
}

#[test]
fn a_static_pod_outlives_its_mirror() {
    let marked = || {
        let scene = Scene::new(held(1, HASH));
        scene.gone(Some("1"), Some(10_000), Some(10_000))
    };
    says(vec![
        (
            "its mirror is gone, and its kubelet runs it on",
            marked(),
            Fate::Kept(KeepReason::StaticPod),
        ),
        (
            "its node is shut down",
            marked().node(&out_of_service(false)),
            released(Proof::OutOfService),
        ),
        (
            "its Node object is gone",
            marked().without_node(),
            released(Proof::NodeGone),
        ),
        (
            "an administrator waives any proof",
            marked().with(|s| s.options.release_unreachable = true),
            released(Proof::Waived),
        ),
    ]);
}

#[test]
fn a_node_that_is_not_ready_gets_no_mark_and_begins_anew() {
    assert_eq!(gone().node(&not_ready()).next_mark(), None);
    let known = gone().gone(Some("1"), Some(50), None).node(&not_ready());
    let mark = known.next_mark().expect("it stays marked");
    assert_eq!(mark.gone.and_then(|gone| gone.contact), None);
}

#[test]
fn a_mark_says_what_the_next_run_has_to_know() {
    let first = gone().next_mark().expect("a mark");
    let found = first.gone.expect("it is gone");
    assert_eq!(
        (first.since, found.since, found.heartbeat.as_deref()),
        (at(0), at(0), Some("2"))
    );
    assert_eq!((found.contact, found.node_absent), (None, None));

    let second = gone().gone(Some("1"), None, None).next_mark();
    let found = second.and_then(|mark| mark.gone).expect("it is gone");
    assert_eq!(
        (found.since, found.contact),
        (at(-800), Some(at(0))),
        "heard of by this run"
    );

    let lost = gone().gone(Some("1"), Some(50), None).without_node();
    let found = lost.next_mark().and_then(|mark| mark.gone).expect("gone");
    assert_eq!((found.contact, found.node_absent), (None, Some(at(0))));

    let back = gone().gone(Some("1"), None, Some(50));
    let found = back.next_mark().and_then(|mark| mark.gone).expect("gone");
    assert_eq!((found.contact, found.node_absent), (Some(at(0)), None));
}

#[test]
fn a_wait_says_when_it_ends() {
    let Judgment::Keep(Keep { until, .. }) = gone().gone(Some("1"), Some(40), None).judgment()
    else {
        panic!("it is kept");
    };
    assert_eq!(until, Some(at(60)));
}

#[test]
fn a_pod_that_the_pod_garbage_collector_called_failed_may_run_on() {
    let failed = |end| {
        let mut pod = pod("u").finished(end);
        pod.containers_ended = false;
        gone().gone(Some("1"), Some(102), None).pod(pod)
    };
    let end = PodEnd::Failed;
    says(vec![
        (
            "its node has had time",
            failed(end),
            Fate::Released(Reason::PodFinished(end, Proof::Heartbeat)),
        ),
        (
            "its node has not",
            failed(end).gone(Some("1"), Some(100), None),
            Fate::Kept(KeepReason::Ending),
        ),
    ]);
}
