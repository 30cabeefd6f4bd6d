use crate::collector::tests::scene::{Fate, Scene, address, at, held, pod, says};
use crate::collector::{KeepReason, LeaseSnapshot, Reason};

/// The lease of address 1, of which another lease of the same interface is made, of address 2.
fn beside(change: impl FnOnce(&mut LeaseSnapshot)) -> Scene {
    let mut other = held(2, "u");
    change(&mut other);
    Scene::new(held(1, "u"))
        .pod(pod("u").with_address(2))
        .with(|s| s.lists.leases.push(other))
        .marked(602)
}

fn released() -> Fate {
    Fate::Released(Reason::Surplus { keeps: address(2) })
}

#[test]
fn a_lease_that_a_call_left_behind_goes_once_no_add_can_be_working_on_it() {
    says(vec![
        (
            "it has stood for longer than the longest ADD",
            beside(|_| {}),
            released(),
        ),
        (
            "it has not",
            beside(|_| {}).marked(600),
            Fate::Kept(KeepReason::Young),
        ),
        (
            "it was written since",
            beside(|_| {}).with(|s| s.lists.leases[0].version = "9".into()),
            Fate::Kept(KeepReason::Young),
        ),
        (
            "the pod's kubelet reports it",
            beside(|_| {}).with(|s| s.lists.pods[0].addresses = vec![address(1)]),
            Fate::Fine,
        ),
        (
            "the pod's kubelet reports it by now",
            beside(|_| {}).with(|s| s.live.pod = Some(pod("u").with_address(1))),
            Fate::Kept(KeepReason::Alive),
        ),
        (
            "the pod is gone meanwhile",
            beside(|_| {}).with(|s| s.live.pod = None),
            Fate::Kept(KeepReason::Changed),
        ),
        (
            "the other is of another interface",
            beside(|other| other.holder.as_mut().expect("a holder").interface = "net1".into()),
            Fate::Fine,
        ),
        (
            "the other is of another network",
            beside(|other| other.holder.as_mut().expect("a holder").network = "x".into()),
            Fate::Fine,
        ),
        (
            "the other is of another family",
            beside(|other| other.name.address = "fd00::2".parse().expect("an address")),
            Fate::Fine,
        ),
        (
            "its node is not Ready",
            beside(|_| {}).node(&crate::collector::NodeSnapshot::default()),
            Fate::Kept(KeepReason::Unready),
        ),
    ]);
}

#[test]
fn the_legitimate_lease_is_the_one_on_the_pods_own_node() {
    let forged = |lease: &mut LeaseSnapshot| {
        lease.held_since = Some(at(1_000_000).into());
        lease.holder.as_mut().expect("a holder").node = "n2".into();
    };
    let without_address = |s: &mut Scene| s.lists.pods[0].addresses.clear();
    says(vec![
        (
            "another node's is none, whatever its time",
            beside(forged).with(without_address),
            Fate::Fine,
        ),
        (
            "and goes",
            beside(|_| {})
                .with(without_address)
                .with(|s| forged(&mut s.lists.leases[0])),
            released(),
        ),
        (
            "a node's name may differ from its Node's in the case of its letters",
            beside(|other| other.holder.as_mut().expect("a holder").node = "N1".into()),
            released(),
        ),
        (
            "where none is on it, none is surplus",
            beside(|_| {}).with(|s| s.lists.pods[0].node = "n3".into()),
            Fate::Fine,
        ),
        (
            "one with a container outranks one that was recreated",
            beside(|_| {}).with(without_address).with(|s| {
                let holder = s.lists.leases[0].holder.as_mut();
                holder.expect("a holder").has_container = false;
            }),
            released(),
        ),
        (
            "a time that lies ahead proves nothing",
            beside(|other| other.held_since = Some(at(-5).into()))
                .with(without_address)
                .with(|s| s.lists.leases[0].held_since = Some(at(1_000_000).into())),
            released(),
        ),
    ]);
}

#[test]
fn an_annotation_makes_no_lease_surplus() {
    let scene = beside(|_| {}).with(|s| {
        s.lists.pods[0].addresses.clear();
        s.lists.leases[0].held_since = Some(at(-5).into());
        s.lists.admitted.insert(("u".into(), address(2)));
    });
    assert_eq!(scene.fate(), Fate::Fine);
}
