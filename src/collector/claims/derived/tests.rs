//! Which members a set keeps and loses, of what a lost list is made, and when no pod asks for it.

use serde_json::json;

use super::super::Member;
use super::*;
use crate::api::{IPClaim, Subnet};
use crate::claim::SetSize;
use crate::collector::index::SnapshotIndex;
use crate::collector::marks::{Mark, MarkTable};
use crate::collector::now::Now;
use crate::collector::tests::scene::{at, held, options, pod};
use crate::collector::{DerivedRequest, PodSnapshot};
use crate::ip::Vrf;
use crate::lease::LeaseName;

/// The set of Deployment `web` in `ns`, out of this Subnet.
fn claim((vrf, subnet): (&str, &str), addresses: &[&str]) -> Claim {
    let object = json!({
        "apiVersion": "leasehold.io/v1alpha1", "kind": "IPClaim",
        "metadata": {"namespace": "ns", "name": format!("web-{subnet}-{vrf}")},
        "spec": {"vrf": vrf, "owner": {
            "group": "apps", "kind": "Deployment", "name": "web", "interface": "eth0", "network": "net", "subnet": subnet,
        }},
        "status": {"addresses": addresses},
    });
    let object: IPClaim = serde_json::from_value(object).expect("a claim");
    Claim::try_from(object).expect("a sound one")
}

/// A member of a claim that no pod has had.
fn fresh(claim: &Claim, address: &str) -> LeaseSnapshot {
    LeaseSnapshot {
        name: LeaseName {
            vrf: claim.vrf.clone(),
            address: address.parse().expect("an address"),
        },
        uid: address.into(),
        state: State::Retained,
        claim: Some(claim.reference().into()),
        held_since: None,
        ..held(1, "u")
    }
}

/// One that a pod has.
fn in_use(claim: &Claim, address: &str) -> LeaseSnapshot {
    LeaseSnapshot {
        state: State::Held,
        held_since: Some(at(-100).into()),
        ..fresh(claim, address)
    }
}

/// A living pod of the application that asks for a set of this size of these Subnets.
fn asking(size: u32, subnets: &[&str]) -> PodSnapshot {
    let Source::Derived(owner) = claim(("", ""), &[]).source else {
        panic!("it is derived")
    };
    let subnets: Vec<PoolName> = subnets.iter().map(|it| PoolName::of_subnet(it)).collect();
    PodSnapshot {
        derived: Some(Box::new(DerivedRequest {
            application: Some(owner.object()),
            size: Some(SetSize::Fixed(size)),
            subnets: Some(subnets.into()),
        })),
        ..pod("asking")
    }
}

/// What becomes of a claim, where all leases have been marked for so many seconds.
fn plan(claim: &Claim, leases: &[LeaseSnapshot], pods: &[PodSnapshot], marked: i64) -> Plan {
    let mut marks = MarkTable::default();
    for lease in leases {
        marks.set(lease.name.clone(), Mark::new(lease, at(-marked)));
    }
    let snapshot = Snapshot {
        leases: leases.to_vec(),
        pods: pods.to_vec(),
        sets: [(claim.name.clone(), Some(claim.clone()))].into(),
        ..Snapshot::default()
    };
    let Source::Derived(owner) = &claim.source else {
        panic!("it is derived")
    };
    let exists = ApplicationSnapshot::Exists(Some(2));
    let applications = [(application_of(claim, owner), exists)].into();
    let index = SnapshotIndex::of(&snapshot);
    let now = Now {
        server: Some(at(0)),
        own: at(0),
    };
    let options = options();
    let case = Case::new(&index, &marks, now, &options);
    let subnets = [
        ("four", "10.0.0.0/24", ""),
        ("six", "fd00::/64", ""),
        ("blue", "10.0.0.0/24", "blue"),
    ]
    .map(|(name, subnet, vrf)| {
        let object = json!({
            "apiVersion": "leasehold.io/v1alpha1", "kind": "Subnet", "metadata": {"name": name},
            "spec": {"subnet": subnet, "vrf": vrf},
        });
        serde_json::from_value::<Subnet>(object).expect("a Subnet")
    });
    let pools = Pools::read_each(vec![], &subnets, &[]);
    let all = AllClaims::of(&index, &applications);
    all.plan(claim, &crate::select::Labels::new(), &pools, &case)
}

/// The lists of a claim after a run: `addresses / leaving`.
fn lists(claim: &Claim, leases: &[LeaseSnapshot], pods: &[PodSnapshot]) -> String {
    let status = plan(claim, leases, pods, 10_000).status(claim, at(0));
    let status = status.expect("it had no condition before");
    format!(
        "{} / {}",
        status.addresses.join(" "),
        status.leaving.join(" ")
    )
}

const SIX: [&str; 4] = ["fd00::9", "fd00::a", "fd00::10", "fd00::1:1"];

#[test]
fn sets_of_both_families_and_of_unequal_lengths_shrink_each_for_itself() {
    let pods = [asking(3, &["four", "six"])];
    let four = claim(("", "four"), &["10.0.0.7", "10.0.0.8", "10.0.0.9"]);
    let six = claim(("", "six"), &SIX);
    let mut leases: Vec<LeaseSnapshot> = SIX.map(|address| fresh(&six, address)).to_vec();
    leases.extend(["10.0.0.7", "10.0.0.8", "10.0.0.9"].map(|it| fresh(&four, it)));
    assert_eq!(
        lists(&four, &leases, &pods),
        "10.0.0.7 10.0.0.8 10.0.0.9 / "
    );
    // The first by its number, not by its text.
    assert_eq!(
        lists(&six, &leases, &pods),
        "fd00::9 fd00::a fd00::10 fd00::1:1 / fd00::9"
    );
    leases[0] = in_use(&six, "fd00::9");
    assert_eq!(
        lists(&six, &leases, &pods),
        "fd00::9 fd00::a fd00::10 fd00::1:1 / fd00::a"
    );
}

#[test]
fn a_lease_of_the_same_address_in_another_vrf_is_no_member() {
    let blue = claim(("blue", "blue"), &["10.0.0.7"]);
    let green = fresh(&claim(("", "four"), &[]), "10.0.0.7");
    let member = |leases: &[LeaseSnapshot]| {
        let plan = plan(&blue, leases, &[asking(2, &["blue"])], 10_000);
        let address: IpAddr = "10.0.0.7".parse().expect("an address");
        plan.members[&address].clone()
    };
    assert!(matches!(member(&[green]), Member::Missing(_)));
    assert!(matches!(
        member(&[fresh(&blue, "10.0.0.7")]),
        Member::Confirmed
    ));
}

#[test]
fn a_lost_list_is_made_of_the_leases_that_name_the_claim_in_its_vrf() {
    let blue = claim(("blue", "blue"), &[]);
    let mut elsewhere = fresh(&blue, "10.0.0.9");
    elsewhere.name.vrf = Vrf::default();
    let leases = [
        fresh(&blue, "10.0.0.7"),
        fresh(&blue, "10.0.0.8"),
        elsewhere,
    ];
    let pods = [asking(5, &["blue"])];
    assert_eq!(lists(&blue, &leases, &pods), "10.0.0.7 10.0.0.8 / ");
    // Its maker may be at work.
    let young = plan(&blue, &leases, &pods, 1);
    assert!(young.members.is_empty());
    // None is held before the list is written.
    let held = [in_use(&blue, "10.0.0.7"), fresh(&blue, "10.0.0.8")];
    assert_eq!(plan(&blue, &held, &pods, 1).members.len(), 2);
}

#[test]
fn a_set_is_unused_where_pods_of_its_application_live_and_none_names_its_subnet() {
    let made = claim(("", "four"), &["10.0.0.7"]);
    let empty = claim(("", "four"), &[]);
    let member = [fresh(&made, "10.0.0.7")];
    let mut unreadable = asking(2, &[]);
    if let Some(request) = &mut unreadable.derived {
        request.subnets = None;
    }
    let mut of_any = asking(2, &["six"]);
    if let Some(request) = &mut of_any.derived {
        request.application = None;
    }
    for (says, claim, leases, pods, expected) in [
        (
            "a pod names it",
            &made,
            &member[..],
            vec![asking(2, &["six", "four"])],
            Some(false),
        ),
        (
            "a pod of the rollout still names it",
            &made,
            &member,
            vec![asking(2, &["six"]), asking(2, &["four"])],
            Some(false),
        ),
        (
            "no pod names it",
            &made,
            &member,
            vec![asking(2, &["six"])],
            Some(true),
        ),
        ("no pod lives", &made, &member, vec![], None),
        (
            "what a pod names can't be read",
            &made,
            &member,
            vec![asking(2, &["six"]), unreadable],
            None,
        ),
        (
            "a pod may be of any application",
            &made,
            &member,
            vec![asking(2, &["six"]), of_any],
            None,
        ),
        ("it has no address", &empty, &[], vec![], Some(true)),
        (
            "it has none, and a pod names it",
            &empty,
            &[],
            vec![asking(2, &["four"])],
            Some(false),
        ),
        (
            "its maker may be at work",
            &empty,
            &member,
            vec![asking(2, &["six"])],
            None,
        ),
    ] {
        assert_eq!(plan(claim, leases, &pods, 1).unused, expected, "{says}");
    }
}
