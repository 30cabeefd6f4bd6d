//! What becomes of a lease.

use std::time::Duration;

use super::scene::{Case, at, held, pod};
use crate::collector::{
    GraceExtended, KeepReason, LeaseSnapshot, NodeSnapshot, PodEnd, Proof, Reason, SnapshotIndex,
    grace_extended,
};
use crate::lease::State;

mod surplus;
mod vacant;

type Verdict = Option<Result<Reason, KeepReason>>;

fn says(table: Vec<(&str, Case, Verdict)>) {
    for (sentence, case, verdict) in table {
        assert_eq!(case.verdict(), verdict, "{sentence}");
    }
}

const UNSUSPECTED: Verdict = None;

#[test]
fn a_pod_that_is_gone_and_proven_so_gives_its_address_back() {
    let gone = || Case::new(held(1, "u"));
    let silent = || gone().with(|c| c.second.heartbeat = Some(at(0)));
    says(vec![
        (
            "its node renewed its heartbeat after the pod had gone",
            gone(),
            Some(Ok(Reason::PodGone(Proof::Heartbeat))),
        ),
        (
            "its node had no heartbeat before and has one now",
            gone().with(|c| c.first.heartbeats.clear()),
            Some(Ok(Reason::PodGone(Proof::Heartbeat))),
        ),
        (
            "a node that shows no sign of life may run it on: partitioned",
            silent(),
            Some(Err(KeepReason::Silent)),
        ),
        (
            "a heartbeat that went back in time is no sign of life",
            gone().with(|c| c.second.heartbeat = Some(at(-5))),
            Some(Err(KeepReason::Silent)),
        ),
        (
            "a heartbeat that vanished is none either",
            gone().with(|c| c.second.heartbeat = None),
            Some(Err(KeepReason::Silent)),
        ),
        (
            "a node that was lost at the first look has yet to tear down what it ran",
            gone().with(|c| c.first.nodes.entry("n1".into()).or_default().ready = false),
            Some(Err(KeepReason::Unready)),
        ),
        (
            "a kubelet whose runtime is down tears nothing down",
            gone().with(|c| c.second.node = Some(NodeSnapshot::default())),
            Some(Err(KeepReason::Unready)),
        ),
        (
            "a node that is lost shows no sign of life before it is back",
            silent().with(|c| c.first.nodes.entry("n1".into()).or_default().ready = false),
            Some(Err(KeepReason::Silent)),
        ),
        (
            "a node that was not there at the first look had not torn down anything by then",
            gone().with(|c| c.first.nodes.clear()),
            Some(Err(KeepReason::Unready)),
        ),
        (
            "its node is gone too",
            silent().with(|c| {
                c.first.nodes.clear();
                c.second.node = None;
            }),
            Some(Ok(Reason::PodGone(Proof::NodeGone))),
        ),
        (
            "a node that was there a moment ago is not gone for good",
            silent().with(|c| c.second.node = None),
            Some(Err(KeepReason::Silent)),
        ),
        (
            "a node that has come since is there",
            silent().with(|c| c.first.nodes.clear()),
            Some(Err(KeepReason::Silent)),
        ),
        (
            "somebody vouches that its node is shut down",
            silent().with(|c| {
                c.second.node = Some(NodeSnapshot {
                    out_of_service: true,
                    ..NodeSnapshot::default()
                });
            }),
            Some(Ok(Reason::PodGone(Proof::OutOfService))),
        ),
        (
            "an administrator asks for no proof",
            silent().with(|c| c.options.release_unreachable = true),
            Some(Ok(Reason::PodGone(Proof::Waived))),
        ),
        (
            "another pod has its name by now",
            gone().pod(pod("u2")),
            Some(Ok(Reason::PodGone(Proof::Heartbeat))),
        ),
    ]);
}

#[test]
fn a_pod_that_was_ending_has_the_time_that_it_was_given() {
    let gone = |seconds: u64, since: Option<i64>| {
        let mut lease = held(1, "u");
        lease.gone_since = since.map(at);
        lease.termination = Duration::from_secs(seconds);
        Case::new(lease)
    };
    let node_gone = |since| {
        gone(120, since).with(|c| {
            c.first.nodes.clear();
            c.second.node = None;
        })
    };
    let taken = || Some(Ok(Reason::PodGone(Proof::Heartbeat)));
    let ending = || Some(Err(KeepReason::Ending));
    says(vec![
        ("it is over between the looks", gone(30, None), taken()),
        (
            "it may last beyond the second look",
            gone(31, None),
            ending(),
        ),
        (
            "an earlier run knew that it was gone",
            gone(120, Some(-100)),
            taken(),
        ),
        ("not long enough ago", gone(120, Some(-91)), ending()),
        (
            "it was given for ever",
            gone(u64::MAX, Some(-100)),
            ending(),
        ),
        (
            "the API server does not tell the time",
            gone(120, Some(-100)).with(|c| c.second.server_time = None),
            ending(),
        ),
        (
            "its Node object is gone, and the machine may be there",
            node_gone(None),
            ending(),
        ),
        (
            "its Node object is gone, and its time is over",
            node_gone(Some(-100)),
            Some(Ok(Reason::PodGone(Proof::NodeGone))),
        ),
        (
            "somebody vouches that nothing runs on its node",
            gone(120, None).with(|c| {
                c.second.node = Some(NodeSnapshot {
                    out_of_service: true,
                    ..NodeSnapshot::default()
                });
            }),
            Some(Ok(Reason::PodGone(Proof::OutOfService))),
        ),
        (
            "a finished pod has ended",
            gone(120, None).pod(pod("u").finished(PodEnd::Failed)),
            Some(Ok(Reason::PodFinished(PodEnd::Failed, Proof::Heartbeat))),
        ),
    ]);
}

#[test]
fn only_a_pod_that_is_given_more_time_than_its_lease_says_is_prolonged() {
    for (seconds, state, is_prolonged) in [
        (31, State::Held, true),
        (30, State::Held, false),
        (31, State::Cooling, false),
    ] {
        let mut lease = held(1, "u");
        lease.state = state;
        let termination = Duration::from_secs(seconds);
        let case = Case::new(lease).pod(crate::collector::PodSnapshot {
            termination,
            ..pod("u")
        });
        let index = SnapshotIndex::of(&case.first);
        let lease = &case.first.leases[0];
        let expected: Vec<_> = is_prolonged
            .then_some(GraceExtended { lease, termination })
            .into_iter()
            .collect();
        assert_eq!(grace_extended(&index), expected, "{seconds} s, {state:?}");
    }
}

#[test]
fn a_pod_that_lives_keeps_its_address() {
    let lease = || held(1, "u");
    says(vec![
        ("it runs", Case::new(lease()).pod(pod("u")), UNSUSPECTED),
        (
            "it is a static pod, known by its mirror",
            Case::new(lease()).pod(crate::collector::PodSnapshot {
                mirrors: Some("u".into()),
                ..pod("mirror")
            }),
            UNSUSPECTED,
        ),
        (
            "it is on another node than its lease says",
            Case::new(lease()).pod(crate::collector::PodSnapshot {
                node: "n2".into(),
                ..pod("u")
            }),
            UNSUSPECTED,
        ),
        (
            "it came between the looks: a list that was behind",
            Case::new(lease()).with(|c| c.second.pod = Some(pod("u"))),
            Some(Err(KeepReason::Alive)),
        ),
        (
            "it had finished, and does not seem so any more",
            Case::new(lease())
                .pod(pod("u").finished(PodEnd::Failed))
                .with(|c| c.second.pod = Some(pod("u"))),
            Some(Err(KeepReason::Alive)),
        ),
    ]);
}

#[test]
fn a_pod_that_has_finished_gives_its_address_back() {
    for end in [PodEnd::Succeeded, PodEnd::Failed, PodEnd::Terminated] {
        let finished = || Case::new(held(1, "u")).pod(pod("u").finished(end));
        says(vec![
            (
                "and its node lives",
                finished(),
                Some(Ok(Reason::PodFinished(end, Proof::Heartbeat))),
            ),
            (
                "but not while its node is silent",
                finished().with(|c| c.second.heartbeat = Some(at(0))),
                Some(Err(KeepReason::Silent)),
            ),
            (
                "and may be deleted between the looks",
                finished().with(|c| c.second.pod = None),
                Some(Ok(Reason::PodFinished(end, Proof::Heartbeat))),
            ),
        ]);
    }
}

#[test]
fn an_address_that_another_living_pod_reports_is_never_taken_back() {
    let gone = || Case::new(held(1, "u"));
    let rival = || pod("other").called("other").reporting(1);
    let shown = |c: &mut Case| c.first.pods.push(rival());
    says(vec![
        (
            "whoever it is",
            gone().with(shown),
            Some(Err(KeepReason::Reported)),
        ),
        (
            "whatever else is waived",
            gone()
                .with(shown)
                .with(|c| c.options.release_unreachable = true),
            Some(Err(KeepReason::Reported)),
        ),
        (
            "the pod that has the holder's name by now",
            gone().with(|c| c.second.pod = Some(pod("u2").reporting(1))),
            Some(Err(KeepReason::Reported)),
        ),
        (
            "a pod that has finished reports what it had",
            gone().with(|c| c.first.pods.push(rival().finished(PodEnd::Succeeded))),
            Some(Ok(Reason::PodGone(Proof::Heartbeat))),
        ),
        (
            "a pod that holds the address in another vrf reports that one",
            gone().with(shown).with(|c| {
                let mut blue = held(1, "other");
                blue.name.vrf = "blue".parse().expect("a vrf");
                c.first.leases.push(blue);
            }),
            Some(Ok(Reason::PodGone(Proof::Heartbeat))),
        ),
    ]);
}

fn cooled() -> LeaseSnapshot {
    LeaseSnapshot {
        state: State::Cooling,
        over: Some(at(-1)),
        ..held(1, "u")
    }
}

#[test]
fn a_lease_that_changed_between_the_looks_is_left_alone() {
    let gone = || Case::new(held(1, "u"));
    says(vec![
        (
            "it has another version",
            gone().with(|c| c.second.version = Some("2".into())),
            Some(Err(KeepReason::Changed)),
        ),
        (
            "it is gone",
            gone().with(|c| c.second.version = None),
            Some(Err(KeepReason::Vanished)),
        ),
        (
            "it cooled, and was taken again",
            Case::new(cooled()).with(|c| c.second.version = Some("2".into())),
            Some(Err(KeepReason::Changed)),
        ),
    ]);
}

/// The reasons are read by people at three in the morning.
#[test]
fn each_reason_says_what_happened() {
    for (reason, words) in [
        (
            Reason::PodGone(Proof::Heartbeat),
            "the pod is gone, and its node has shown since that it lives",
        ),
        (
            Reason::PodFinished(PodEnd::Terminated, Proof::NodeGone),
            "the pod is being deleted and its containers have terminated, and so is its node",
        ),
    ] {
        assert_eq!(reason.to_string(), words);
        assert!(Reason::LABELS.contains(&reason.label()));
    }
}
