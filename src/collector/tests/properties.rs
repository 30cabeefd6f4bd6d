//! What the collector never does, whatever else is the case.

use proptest::prelude::*;

use super::scene::{at, held, options, pod};
use crate::api::{IPPool, IPPoolSpec};
use crate::collector::compact::Moment;
use crate::collector::index::SnapshotIndex;
use crate::collector::marks::{Gone, Mark, MarkTable};
use crate::collector::now::Now;
use crate::collector::recreate::missing;
use crate::collector::rules::{Case, Judgment, Live, confirm};
use crate::collector::{
    LeaseSnapshot, NodeSnapshot, Options, Phase, PodEnd, PodSnapshot, Proof, Reason, Snapshot,
};
use crate::lease::State;
use crate::pool::Pools;

const UIDS: [&str; 4] = ["a", "b", "c", "d"];

fn lease() -> impl Strategy<Value = LeaseSnapshot> {
    let state = prop_oneof![
        6 => Just(State::Held),
        1 => Just(State::Cooling),
        1 => Just(State::Retained),
        1 => Just(State::Quarantined),
        1 => Just(State::Unknown),
    ];
    let uid = prop::sample::select(&UIDS[..]);
    let time = || prop::option::of((-2000..100_i64).prop_map(at));
    (0..12_u8, uid, state, time(), time(), any::<(bool, bool)>()).prop_map(
        |(last, uid, state, held_since, over, (shared, has_container))| {
            let mut lease = LeaseSnapshot {
                state,
                shared,
                held_since: held_since.map(Moment::from),
                over: over.map(Moment::from),
                ..held(last, uid)
            };
            if let Some(holder) = &mut lease.holder {
                holder.pod = uid.into();
                holder.has_container = has_container;
                holder.node = if last % 2 == 0 { "n1" } else { "n2" }.into();
            }
            lease
        },
    )
}

fn any_pod() -> impl Strategy<Value = PodSnapshot> {
    let phase = prop_oneof![
        3 => Just(Phase::Running),
        1 => Just(Phase::Other),
        1 => Just(Phase::Finished(PodEnd::Failed)),
        1 => Just(Phase::Finished(PodEnd::Succeeded)),
    ];
    let uid = prop::sample::select(&UIDS[..]);
    let node = prop::sample::select(&["n1", "n2", ""][..]);
    let reports = prop::collection::vec(0..12_u8, 0..3);
    (uid, phase, node, reports, any::<(bool, bool, bool)>()).prop_map(
        |(uid, phase, node, reports, (mirror, deleting, containers_ended))| {
            let mut pod = PodSnapshot {
                phase,
                deleting,
                containers_ended,
                node: node.into(),
                ..pod(uid).called(uid)
            };
            if mirror {
                pod.uid = format!("mirror-of-{uid}").into();
                pod.mirrors = Some(uid.into());
            }
            reports.into_iter().fold(pod, PodSnapshot::with_address)
        },
    )
}

fn node() -> impl Strategy<Value = NodeSnapshot> {
    any::<(bool, bool)>().prop_map(|(out_of_service, ready)| NodeSnapshot {
        addresses: Vec::new(),
        out_of_service,
        ready,
    })
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    let leases = prop::collection::vec(lease(), 0..10);
    let pods = prop::collection::vec(any_pod(), 0..5);
    let nodes = prop::collection::vec(prop::option::of(node()), 2);
    let beats = prop::collection::vec(prop::option::of("[12]"), 2);
    (leases, pods, nodes, beats).prop_map(|(mut leases, mut pods, nodes, beats)| {
        leases.sort_by(|a, b| a.name.cmp(&b.name));
        leases.dedup_by(|a, b| a.name == b.name);
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        pods.dedup_by(|a, b| a.name == b.name);
        let mut snapshot = Snapshot {
            leases,
            pods,
            ..Snapshot::default()
        };
        for ((name, node), beat) in ["n1", "n2"].iter().zip(nodes).zip(beats) {
            let node = node.map(|node| (Box::from(*name), node));
            snapshot.nodes.extend(node);
            let beat = beat.map(|beat| (Box::from(*name), beat.into()));
            snapshot.heartbeats.extend(beat);
        }
        snapshot
    })
}

/// What is left to chance of live reads and of marks.
#[derive(Debug, Clone)]
struct Chance {
    changed: bool,
    node: Option<NodeSnapshot>,
    teardown_failed: bool,
    waive: bool,
    marked: Vec<bool>,
    heartbeat: Option<String>,
    contact: Option<i64>,
    node_absent: Option<i64>,
}

fn chance() -> impl Strategy<Value = Chance> {
    let ago = || prop::option::of(0..2000_i64);
    (
        any::<(bool, bool, bool)>(),
        prop::option::of(node()),
        prop::collection::vec(any::<bool>(), 12),
        prop::option::of("[12]"),
        ago(),
        ago(),
    )
        .prop_map(
            |((changed, teardown_failed, waive), node, marked, heartbeat, contact, node_absent)| {
                Chance {
                    changed,
                    node,
                    teardown_failed,
                    waive,
                    marked,
                    heartbeat,
                    contact,
                    node_absent,
                }
            },
        )
}

impl Chance {
    fn marks(&self, snapshot: &Snapshot) -> MarkTable {
        let mut marks = MarkTable::default();
        for (lease, marked) in snapshot.leases.iter().zip(&self.marked) {
            if *marked {
                let gone = Gone {
                    since: at(-2000),
                    heartbeat: self.heartbeat.as_deref().map(Box::from),
                    contact: self.contact.map(|ago| at(-ago)),
                    node_absent: self.node_absent.map(|ago| at(-ago)),
                };
                let mark = Mark {
                    gone: Some(gone),
                    ..Mark::new(lease, at(-2000))
                };
                marks.set(lease.name.clone(), mark);
            }
        }
        marks
    }
}

/// What is released, where the pods are `pods` in live reads.
fn released(
    snapshot: &Snapshot,
    pods: &[PodSnapshot],
    chance: &Chance,
) -> Vec<(LeaseSnapshot, Reason)> {
    let index = SnapshotIndex::of(snapshot);
    let options = Options {
        release_unreachable: chance.waive,
        ..options()
    };
    let (marks, now) = (chance.marks(snapshot), now());
    let case = Case::new(&index, &marks, now, &options);
    let released = snapshot.leases.iter().filter_map(|lease| {
        let Judgment::Due(due) = case.judge(lease) else {
            return None;
        };
        let holder = lease.holder.as_ref()?;
        let live = Live {
            version: Some(if chance.changed { "2" } else { "1" }.to_owned()),
            pod: pods.iter().find(|pod| pod.name == holder.pod).cloned(),
            node: chance.node.clone(),
            claim: None,
            teardown_failed: chance.teardown_failed,
        };
        confirm(lease, &due.reason, &live).ok()?;
        Some((lease.clone(), due.reason))
    });
    released.collect()
}

fn now() -> Now {
    Now {
        server: Some(at(0)),
        own: at(0),
    }
}

fn holds(lease: &LeaseSnapshot, pod: &PodSnapshot) -> bool {
    lease.state == State::Held && lease.holder.as_ref().is_some_and(|h| pod.is(&h.uid))
}

/// Whether the lease is the only one of its holder, or the one that its kubelet reports.
fn is_legitimate(snapshot: &Snapshot, lease: &LeaseSnapshot, pod: &PodSnapshot) -> bool {
    let mine = snapshot.leases.iter().filter(|other| holds(other, pod));
    mine.count() == 1 || pod.has_address(lease.name.address)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_lease_of_a_living_pod_is_never_released(snapshot in snapshots(), chance in chance()) {
        for (lease, reason) in released(&snapshot, &snapshot.pods, &chance) {
            for pod in snapshot.pods.iter().filter(|pod| pod.is_alive()) {
                let wronged = holds(&lease, pod) && is_legitimate(&snapshot, &lease, pod);
                prop_assert!(!wronged, "{lease:?} {reason:?}");
            }
        }
    }

    #[test]
    fn a_pod_that_lives_in_the_list_or_as_of_now_keeps_its_lease(
        snapshot in snapshots(),
        live in prop::collection::vec(any_pod(), 0..5),
        chance in chance(),
    ) {
        for (lease, reason) in released(&snapshot, &live, &chance) {
            let holder = lease.holder.as_ref().expect("a holder");
            let alive = |pods: &[PodSnapshot]| {
                // Of one name there is one pod.
                pods.iter().find(|pod| pod.name == holder.pod).is_some_and(|pod| pod.is_alive() && pod.is(&holder.uid))
            };
            if matches!(reason, Reason::PodGone(_) | Reason::PodFinished(..)) {
                prop_assert!(!alive(&snapshot.pods) && !alive(&live), "{lease:?} {reason:?}");
            }
        }
    }

    #[test]
    fn an_interface_of_a_living_pod_keeps_one_lease(snapshot in snapshots(), chance in chance()) {
        let released = released(&snapshot, &snapshot.pods, &chance);
        for pod in snapshot.pods.iter().filter(|pod| pod.is_alive()) {
            let held: Vec<&LeaseSnapshot> = snapshot.leases.iter().filter(|lease| holds(lease, pod)).collect();
            let left = held.iter().filter(|lease| released.iter().all(|(gone, _)| gone.name != lease.name)).count();
            prop_assert!(held.is_empty() || left > 0);
        }
    }

    #[test]
    fn an_address_that_a_living_pod_uses_stays(snapshot in snapshots(), chance in chance()) {
        for (lease, reason) in released(&snapshot, &snapshot.pods, &chance) {
            let used = snapshot.pods.iter().any(|pod| pod.is_alive() && pod.has_address(lease.name.address));
            prop_assert!(!used || matches!(reason, Reason::Cooled | Reason::QuarantineOver));
        }
    }

    #[test]
    fn nothing_is_released_of_what_changed(snapshot in snapshots(), chance in chance()) {
        let chance = Chance { changed: true, ..chance };
        prop_assert_eq!(released(&snapshot, &snapshot.pods, &chance), vec![]);
    }

    #[test]
    fn nothing_that_a_dead_pod_left_is_released_without_a_mark(snapshot in snapshots(), chance in chance()) {
        let chance = Chance { marked: Vec::new(), waive: false, ..chance };
        for (lease, reason) in released(&snapshot, &snapshot.pods, &chance) {
            let vouched = matches!(
                reason,
                Reason::PodGone(Proof::OutOfService) | Reason::PodFinished(_, Proof::OutOfService)
            );
            prop_assert!(!reason.is_reclaim() || vouched, "{lease:?} {reason:?}");
        }
    }

    #[test]
    fn a_node_that_is_not_ready_keeps_what_it_may_run(snapshot in snapshots(), chance in chance()) {
        let not_ready = Some(NodeSnapshot::default());
        let chance = Chance { node: not_ready, waive: false, ..chance };
        for (_, reason) in released(&snapshot, &snapshot.pods, &chance) {
            prop_assert!(!matches!(reason, Reason::PodGone(_) | Reason::PodFinished(..)));
        }
    }

    #[test]
    fn what_has_a_lease_is_not_missing(snapshot in snapshots()) {
        for missing in missing(&SnapshotIndex::of(&snapshot), &pools(), &MarkTable::default()) {
            prop_assert!(snapshot.leases.iter().all(|lease| lease.name.address != missing.address));
            prop_assert!(missing.pod.is_alive() && missing.pod.has_address(missing.address));
            prop_assert!(!missing.pod.node.is_empty());
        }
    }
}

fn pools() -> Pools {
    let spec = IPPoolSpec {
        subnet: "10.0.0.0/29".to_owned(),
        ..IPPoolSpec::default()
    };
    Pools::read_each(vec![IPPool::new("p", spec)], &[], &[])
}
