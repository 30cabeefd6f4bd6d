use crate::collector::tests::scene::{Fate, Scene, address, at, held, pod, says};
use crate::collector::{
    ClaimSnapshot, KeepReason, LeaseSnapshot, PodEnd, Reason, StatefulSetSnapshot,
};
use crate::lease::{ClaimKind, ClaimOwner, ClaimRef, State};

use ClaimSnapshot::{Gone, Lists, Omits, Unknown};

/// The slot of a pod of the StatefulSet web.
fn slot(pod: &str) -> ClaimRef {
    ClaimRef {
        kind: ClaimKind::Pod,
        namespace: "ns".to_owned(),
        name: pod.to_owned(),
        interface: "eth0".to_owned(),
        network: "net".to_owned(),
        owner: Some(ClaimOwner {
            group: "apps".to_owned(),
            kind: "StatefulSet".to_owned(),
            name: "web".to_owned(),
            ..ClaimOwner::default()
        }),
        ..ClaimRef::default()
    }
}

/// An address that is kept for web-1.
fn retained() -> Scene {
    Scene::new(held(1, "u")).with(|s| {
        s.lists.leases[0].state = State::Retained;
        s.lists.leases[0].claim = Some(slot("web-1").into());
    })
}

#[test]
fn an_address_is_kept_while_a_pod_of_its_name_is_to_be_expected() {
    says(vec![
        (
            "its StatefulSet makes it",
            retained().claim(Lists, Lists).marked(302),
            Fate::Fine,
        ),
        (
            "its StatefulSet is not known",
            retained().claim(Unknown, Gone).marked(302),
            Fate::Fine,
        ),
        (
            "StatefulSets could not be listed",
            retained().marked(302),
            Fate::Fine,
        ),
        (
            "no earlier run has seen it like this",
            retained().claim(Gone, Gone),
            Fate::Kept(KeepReason::Awaited),
        ),
        (
            "its StatefulSet may be made again",
            retained().claim(Gone, Gone).marked(300),
            Fate::Kept(KeepReason::Awaited),
        ),
        (
            "its StatefulSet is gone",
            retained().claim(Gone, Gone).marked(302),
            Fate::Released(Reason::OwnerGone),
        ),
        (
            "its StatefulSet was scaled down",
            retained().claim(Omits, Omits).marked(302),
            Fate::Released(Reason::ScaledDown),
        ),
        (
            "it was made again",
            retained().claim(Gone, Lists).marked(302),
            Fate::Kept(KeepReason::Claimed),
        ),
        (
            "it could not be read",
            retained().claim(Omits, Unknown).marked(302),
            Fate::Kept(KeepReason::Claimed),
        ),
        (
            "the lease was written since",
            retained()
                .claim(Gone, Gone)
                .marked(302)
                .with(|s| s.live.version = Some("2".to_owned())),
            Fate::Kept(KeepReason::Changed),
        ),
        (
            "a pod of the name may be about to take it",
            retained()
                .claim(Gone, Gone)
                .marked(302)
                .pod(pod("v").called("web-1")),
            Fate::Fine,
        ),
        (
            "a pod of the name was made since the list",
            retained()
                .claim(Gone, Gone)
                .marked(302)
                .with(|s| s.live.pod = Some(pod("v").called("web-1"))),
            Fate::Kept(KeepReason::Alive),
        ),
        (
            "its last holder uses it under another name",
            retained()
                .claim(Gone, Gone)
                .marked(302)
                .pod(pod("u").with_address(1)),
            Fate::Kept(KeepReason::Reported),
        ),
        (
            "another pod uses it",
            retained()
                .claim(Gone, Gone)
                .marked(302)
                .pod(pod("w").called("db").with_address(1)),
            Fate::Kept(KeepReason::Reported),
        ),
    ]);
}

#[test]
fn an_address_that_no_stateful_set_keeps_goes_after_a_day_without_a_pod() {
    let alone = |over: Option<i64>| {
        retained().with(|s| {
            let lease = &mut s.lists.leases[0];
            lease.claim.as_mut().expect("a slot").owner = None;
            lease.over = over.map(|over| at(over).into());
        })
    };
    says(vec![
        (
            "the day is not over",
            alone(Some(1)).marked(302),
            Fate::Fine,
        ),
        ("it was never released", alone(None).marked(302), Fate::Fine),
        (
            "no earlier run has seen it like this",
            alone(Some(0)),
            Fate::Kept(KeepReason::Awaited),
        ),
        (
            "the day is over",
            alone(Some(0)).marked(302),
            Fate::Released(Reason::Unused),
        ),
        (
            "a pod of the name is there",
            alone(Some(0)).marked(302).pod(pod("v").called("web-1")),
            Fate::Fine,
        ),
        (
            "one was made since the list",
            alone(Some(0))
                .marked(302)
                .with(|s| s.live.pod = Some(pod("v").called("web-1"))),
            Fate::Kept(KeepReason::Alive),
        ),
    ]);
}

#[test]
fn an_address_goes_whose_pod_has_another_one_on_the_same_interface() {
    let living = || pod("v").called("web-1");
    let with = |pod, other: LeaseSnapshot| {
        let scene = retained().marked(602).pod(pod);
        scene.with(|s| s.lists.leases.push(other))
    };
    let elsewhere = |interface: &str, network: &str| {
        let mut lease = held(2, "v");
        let holder = lease.holder.as_mut().expect("a holder");
        holder.interface = interface.into();
        holder.network = network.into();
        lease
    };
    let superseded = || {
        Fate::Released(Reason::Superseded {
            keeps: address(2),
            pod: "v".into(),
        })
    };
    says(vec![
        ("it has", with(living(), held(2, "v")), superseded()),
        (
            "an ADD may still be working on it",
            with(living(), held(2, "v")).marked(600),
            Fate::Kept(KeepReason::Young),
        ),
        (
            "on another interface",
            with(living(), elsewhere("net1", "net")),
            Fate::Fine,
        ),
        (
            "on another network",
            with(living(), elsewhere("eth0", "other")),
            Fate::Fine,
        ),
        (
            "the lease is another pod's",
            with(living(), held(2, "w")),
            Fate::Fine,
        ),
        (
            "the pod has ended",
            with(living().finished(PodEnd::Failed), held(2, "v")),
            Fate::Fine,
        ),
        (
            "the pod reports it",
            with(living().with_address(1), held(2, "v")),
            Fate::Kept(KeepReason::Reported),
        ),
        (
            "it is another pod of the name by now",
            with(living(), held(2, "v")).with(|s| s.live.pod = Some(pod("x").called("web-1"))),
            Fate::Kept(KeepReason::Changed),
        ),
    ]);
}

#[test]
fn a_stateful_set_makes_the_pods_of_its_numbers() {
    let set = |start, replicas| StatefulSetSnapshot {
        start,
        replicas,
        retains: false,
    };
    let retaining = StatefulSetSnapshot {
        retains: true,
        ..set(0, 0)
    };
    for (name, set, says) in [
        ("web-0", Some(Some(set(0, 1))), Lists),
        ("web-1", Some(Some(set(0, 1))), Omits),
        ("web-0", Some(Some(set(0, 0))), Omits),
        ("web-4", Some(Some(set(5, 2))), Omits),
        ("web-5", Some(Some(set(5, 2))), Lists),
        ("web-6", Some(Some(set(5, 2))), Lists),
        ("web-7", Some(Some(set(5, 2))), Omits),
        ("web-9", Some(Some(retaining)), Lists),
        ("web-9", Some(None), Unknown),
        ("web-9", None, Gone),
        // It gives no pod such a name.
        ("web-09", Some(Some(set(0, 1))), Unknown),
        ("web-x", Some(Some(set(0, 1))), Unknown),
        ("db-9", Some(Some(set(0, 1))), Unknown),
    ] {
        let said = ClaimSnapshot::of_slot(&slot(name), set.as_ref());
        assert_eq!(said, says, "{name} of {set:?}");
    }
}
