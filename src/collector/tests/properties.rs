//! What the collector never does, whatever else is the case.

use jiff::Timestamp;
use proptest::prelude::*;

use super::scene::{at, held, options, pod};
use crate::collector::{
    LeaseSnapshot, Life, NodeSnapshot, Options, PodEnd, PodSnapshot, Reason, SecondRead, Snapshot,
    SnapshotIndex, confirm, missing, suspects,
};
use crate::lease::State;

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
    (0..12_u8, uid, state, time(), time(), time(), any::<bool>()).prop_map(
        |(last, uid, state, written, held_since, over, shared)| {
            let mut lease = LeaseSnapshot {
                written,
                state,
                shared,
                held_since,
                over,
                ..held(last, uid)
            };
            if let Some(holder) = &mut lease.holder {
                holder.pod = uid.into();
                holder.node = if last % 2 == 0 { "n1" } else { "n2" }.into();
            }
            lease
        },
    )
}

fn any_pod() -> impl Strategy<Value = PodSnapshot> {
    let life = prop_oneof![
        3 => Just(Life::Alive),
        1 => Just(Life::Finished(PodEnd::Failed)),
        1 => Just(Life::Finished(PodEnd::Terminated)),
    ];
    let uid = prop::sample::select(&UIDS[..]);
    let reports = prop::collection::vec(0..12_u8, 0..3);
    (uid, life, reports, any::<bool>()).prop_map(|(uid, life, reports, mirror)| {
        let mut pod = PodSnapshot {
            life,
            ..pod(uid).called(uid)
        };
        if mirror {
            pod.uid = format!("mirror-of-{uid}").into();
            pod.mirrors = Some(uid.into());
        }
        reports.into_iter().fold(pod, PodSnapshot::reporting)
    })
}

fn node() -> impl Strategy<Value = NodeSnapshot> {
    (any::<bool>(), any::<bool>()).prop_map(|(out_of_service, ready)| NodeSnapshot {
        addresses: Vec::new(),
        out_of_service,
        ready,
    })
}

fn snapshots() -> impl Strategy<Value = Snapshot> {
    let leases = prop::collection::vec(lease(), 0..10);
    let pods = prop::collection::vec(any_pod(), 0..5);
    let nodes = prop::collection::vec(prop::option::of(node()), 2);
    let beats = prop::collection::vec(prop::option::of((-50..0_i64).prop_map(at)), 2);
    (leases, pods, nodes, beats).prop_map(|(mut leases, mut pods, nodes, beats)| {
        leases.sort_by(|a, b| a.name.cmp(&b.name));
        leases.dedup_by(|a, b| a.name == b.name);
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        pods.dedup_by(|a, b| a.name == b.name);
        let boxed = |name: &str| Box::<str>::from(name);
        let (mut look, names) = (
            Snapshot {
                leases,
                pods,
                ..Snapshot::default()
            },
            ["n1", "n2"],
        );
        for ((name, node), beat) in names.iter().zip(nodes).zip(beats) {
            look.nodes.extend(node.map(|node| (boxed(name), node)));
            look.heartbeats.extend(beat.map(|beat| (boxed(name), beat)));
        }
        look
    })
}

/// What is left to chance of a second snapshot: whether the lease changed, the node and its heartbeat.
#[derive(Debug, Clone)]
struct Chance {
    changed: bool,
    node: Option<NodeSnapshot>,
    heartbeat: Option<Timestamp>,
    waive: bool,
}

fn chance() -> impl Strategy<Value = Chance> {
    let beat = prop::option::of((-50..50_i64).prop_map(at));
    (any::<bool>(), prop::option::of(node()), beat, any::<bool>()).prop_map(
        |(changed, node, heartbeat, waive)| Chance {
            changed,
            node,
            heartbeat,
            waive,
        },
    )
}

/// What is taken back, where the pods of the second look are `pods`.
fn taken_back(
    snapshot: &Snapshot,
    pods: &[PodSnapshot],
    chance: &Chance,
) -> Vec<(LeaseSnapshot, Reason)> {
    let index = SnapshotIndex::of(snapshot);
    let options = Options {
        release_unreachable: chance.waive,
        ..options()
    };
    let taken = suspects(&index, at(0)).into_iter().filter_map(|suspect| {
        let holder = suspect.lease.holder.as_ref()?;
        let second = SecondRead {
            version: Some(if chance.changed { "2" } else { "1" }.to_owned()),
            pod: pods.iter().find(|pod| pod.name == holder.pod).cloned(),
            node: chance.node.clone(),
            heartbeat: chance.heartbeat,
            claim: None,
            server_time: Some(at(30)),
        };
        let reason = confirm(&suspect, &index, &second, &options).ok()?;
        Some((suspect.lease.clone(), reason))
    });
    taken.collect()
}

/// Whether the lease is the only one of its holder, or the one that it reports.
fn is_legitimate(snapshot: &Snapshot, lease: &LeaseSnapshot, pod: &PodSnapshot) -> bool {
    let mine = snapshot.leases.iter().filter(|other| {
        other.state == State::Held && other.holder.as_ref().is_some_and(|h| pod.is(&h.uid))
    });
    mine.count() == 1 || pod.reports(lease.name.address)
}

proptest! {
    #[test]
    fn the_lease_of_a_living_pod_is_never_taken_back(snapshot in snapshots(), chance in chance()) {
        for (lease, reason) in taken_back(&snapshot, &snapshot.pods, &chance) {
            for pod in snapshot.pods.iter().filter(|pod| pod.is_alive()) {
                let holds = lease.state == State::Held
                    && lease.holder.as_ref().is_some_and(|holder| pod.is(&holder.uid));
                prop_assert!(!(holds && is_legitimate(&snapshot, &lease, pod)), "{lease:?} {reason:?}");
            }
        }
    }

    #[test]
    fn a_pod_that_lives_at_either_look_keeps_its_lease(
        snapshot in snapshots(),
        second in prop::collection::vec(any_pod(), 0..5),
        chance in chance(),
    ) {
        for (lease, reason) in taken_back(&snapshot, &second, &chance) {
            let holder = lease.holder.as_ref().expect("a holder");
            let alive = |pods: &[PodSnapshot]| {
                // Of the second look, as of the API server, one pod of a name.
                pods.iter().find(|pod| pod.name == holder.pod).is_some_and(|pod| pod.is_alive() && pod.is(&holder.uid))
            };
            if matches!(reason, Reason::PodGone(_) | Reason::PodFinished(..)) {
                prop_assert!(!alive(&snapshot.pods) && !alive(&second), "{lease:?} {reason:?}");
            }
        }
    }

    #[test]
    fn an_interface_of_a_living_pod_keeps_one_lease(snapshot in snapshots(), chance in chance()) {
        let taken = taken_back(&snapshot, &snapshot.pods, &chance);
        for pod in snapshot.pods.iter().filter(|pod| pod.is_alive()) {
            let held: Vec<&LeaseSnapshot> = snapshot.leases.iter().filter(|lease| {
                lease.state == State::Held && lease.holder.as_ref().is_some_and(|h| pod.is(&h.uid))
            }).collect();
            let left = held.iter().filter(|lease| taken.iter().all(|(gone, _)| gone.name != lease.name)).count();
            prop_assert!(held.is_empty() || left > 0);
        }
    }

    #[test]
    fn an_address_that_another_living_pod_reports_stays(snapshot in snapshots(), chance in chance()) {
        for (lease, reason) in taken_back(&snapshot, &snapshot.pods, &chance) {
            let reported = snapshot.pods.iter().any(|pod| pod.is_alive() && pod.reports(lease.name.address));
            prop_assert!(!reported || matches!(reason, Reason::Cooled | Reason::QuarantineOver));
        }
    }

    #[test]
    fn nothing_is_taken_back_of_what_changed(snapshot in snapshots(), chance in chance()) {
        let chance = Chance { changed: true, ..chance };
        prop_assert_eq!(taken_back(&snapshot, &snapshot.pods, &chance), vec![]);
    }

    #[test]
    fn a_node_that_shows_nothing_keeps_what_it_may_run(snapshot in snapshots()) {
        let silent = Chance { changed: false, node: Some(NodeSnapshot::default()), heartbeat: None, waive: false };
        for (_, reason) in taken_back(&snapshot, &snapshot.pods, &silent) {
            prop_assert!(!matches!(reason, Reason::PodGone(_) | Reason::PodFinished(..)));
        }
    }

    #[test]
    fn what_has_a_lease_is_not_missing(snapshot in snapshots()) {
        let pools = pools();
        for missing in missing(&SnapshotIndex::of(&snapshot), &pools) {
            prop_assert!(snapshot.leases.iter().all(|lease| lease.name.address != missing.address));
            prop_assert!(missing.pod.is_alive() && missing.pod.reports(missing.address));
        }
    }
}

fn pools() -> crate::pool::Pools {
    let pool = |name: &str, subnet: &str| {
        crate::api::IPPool::new(
            name,
            crate::api::IPPoolSpec {
                subnet: subnet.to_owned(),
                ..crate::api::IPPoolSpec::default()
            },
        )
    };
    let written = vec![pool("p", "10.0.0.0/29")];
    crate::pool::Pools::read(written, &[], &[], &crate::ip::Vrf::default()).expect("pools")
}
