//! For which pods a node uses a claim.

use anyhow::Result;

use super::change::{hold, taken};
use super::{Allowed, Failures, TwoNodes, cells, dry_run, judge, refused};

/// Holds a table against the policy: what the node makes, where no lease is.
async fn hold_made(nodes: &TwoNodes, table: &str, refusal: impl Fn(&str) -> String) -> Result<()> {
    let leases = nodes.leases().await?;
    let mut failures = Failures::default();
    for row in cells(table) {
        let [says, lease, verdict] = row?;
        let lease = nodes.lease("192.0.2.1", lease)?;
        let verdict = match verdict {
            "allowed" => Allowed,
            word => refused(&refusal(word)),
        };
        let answer = leases.create(&dry_run(), &lease).await;
        failures.note(says, judge(answer, &verdict));
    }
    failures.none()
}

fn words(namespace: &'static str) -> impl Fn(&str) -> String {
    move |word| {
        match word {
            "namespace" => "a claim is for pods of its own namespace: spec.claim.namespace must be spec.holder.namespace".to_owned(),
            "slot" => format!("this address is kept for pod {namespace}/other, and spec.holder.pod is mine"),
            "owner" => "this set is for the pods of StatefulSet web, and spec.holder.pod is mine".to_owned(),
            "derived" => "the claim has the name of a derived one: spec.claim.owner must say whose".to_owned(),
            "claim" => "a node changes no spec.claim: it drops one only with the address".to_owned(),
            "had" => "what a node makes for a claim is for an IPClaim, and no pod has had it: spec.heldSince must be missing".to_owned(),
            "pod" => format!("no pod {namespace}/theirs is bound to node HERE"),
            state => taken(state),
        }
    }
}

#[tokio::test]
async fn a_node_makes_leases_for_claims_of_its_own_pods() -> Result<()> {
    let nodes = TwoNodes::new("claims").await?;
    let table = "
        a slot of the pod                   | Held me pod:mine               | allowed
        a slot of another pod               | Held me pod:other              | slot
        a slot in another namespace         | Held me far-pod:mine           | namespace
        of a claim that a person made       | Held me set:a                  | allowed
        of a claim in another namespace     | Held me far-set:a              | namespace
        of a set of the pod's application   | Held me set:a:mi               | allowed
        of a set of another application     | Held me set:a:web              | owner
        a member in advance                 | Retained me set:a              | allowed
        a member for its application        | Retained me set:a:mi           | allowed
        a member for another application    | Retained me set:a:web          | owner
        a member for another namespace      | Retained me far-set:a          | namespace
        a member that a pod is said to have had | Retained me set:a since    | had
        of a derived set, without its owner | Held me set:a-0123456789abcdef0123456789abcdef | derived
        of a derived set, with its owner    | Held me set:a-0123456789abcdef0123456789abcdef:mi | allowed
    ";
    hold_made(&nodes, table, words("claims")).await
}

#[tokio::test]
async fn a_node_takes_what_is_kept_for_its_pod_whatever_node_had_it() -> Result<()> {
    let nodes = TwoNodes::new("keeps").await?;
    let table = "
        a slot that it had                  | Retained me pod:mine since     | Held me pod:mine since  | allowed
        a slot that another had             | Retained them pod:mine since   | Held me pod:mine since  | allowed
        a slot, for another owner           | Retained them pod:mine:x since | Held me pod:mine:y since | allowed
        a slot of another pod               | Retained me pod:other          | Held me pod:other       | slot
        a slot under another name           | Retained me pod:other          | Held me pod:mine        | Retained
        a slot of another namespace         | Retained me far-pod:mine       | Held me far-pod:mine    | namespace
        a slot that another holds           | Held them pod:mine             | Held me pod:mine        | Held
        a slot as it cools                  | Cooling them                   | Held me pod:mine        | allowed
        another's slot as it cools          | Cooling me                     | Held me pod:other       | slot
        a member of a named claim           | Retained them set:a since      | Held me set:a           | allowed
        a member for its application        | Retained them set:a:mi         | Held me set:a:mi        | allowed
        a member for another application    | Retained them set:a:web        | Held me set:a:web       | owner
        a member, and whose it is           | Retained them set:a:web        | Held me set:a:mi        | Retained
        its own, for its slot               | Held me                        | Held me pod:mine        | allowed
        its own slot, for another owner     | Held me pod:mine:x             | Held me pod:mine:y      | allowed
        its own, with a claim that it could not write | Held me far-set:a:web | Held me-again far-set:a:web | allowed
        its own, out of its claim           | Held me pod:mine               | Held me                 | claim
        its own, from claim to claim        | Held me set:a                  | Held me set:b           | claim
    ";
    hold(&nodes, table, words("keeps")).await
}

#[tokio::test]
async fn a_node_makes_members_of_what_no_pod_has() -> Result<()> {
    let nodes = TwoNodes::new("members").await?;
    let here = nodes.here.name();
    let table = "
        what cools                    | Cooling them               | Retained me set:a    | allowed
        what a pod that died made     | Retained them set:a        | Retained me set:a    | allowed
        what cools, for a pod's name  | Cooling them               | Retained me pod:mine | had
        what cools, in another's name | Cooling them               | Retained them-here set:a | pod
        what a pod of its application made | Retained them set:a:mi | Retained me set:a:mi | allowed
        what another application's pod made | Retained them set:a:web | Retained me set:a:web | owner
        what another pod had          | Retained them set:a since  | Retained me set:a    | Retained
        what is in another set        | Retained them set:b        | Retained me set:a    | Retained
        what is kept by hand          | Retained them              | Retained me set:a    | Retained
        what is in quarantine         | Quarantined them           | Retained me set:a    | Quarantined
    ";
    hold(&nodes, table, |word| match word {
        "had" | "pod" | "owner" => words("members")(word).replace("HERE", here),
        state => format!(
            "this address is {state}: a node makes a member of an IPClaim of what is absent, cooling, or such a member that no pod has had"
        ),
    })
    .await
}

/// What makes a pod's name cuts its owner's where the whole would be too long.
#[tokio::test]
async fn the_name_of_a_pod_begins_with_the_first_40_characters_of_its_owners() -> Result<()> {
    let nodes = TwoNodes::new("long-names").await?;
    let leases = nodes.leases().await?;
    let start = "a".repeat(40);
    let pod = nodes.cluster.pod("long-names", &format!("{start}-0"));
    pod.on(&nodes.here).create().await?;
    let mut failures = Failures::default();
    for (says, owner, verdict) in [
        ("as long", start.clone(), Allowed),
        ("longer", format!("{start}bcd"), Allowed),
        (
            "another within 40",
            format!("{}bb", &start[1..]),
            refused(&format!("and spec.holder.pod is {start}-0")),
        ),
    ] {
        let mut lease = nodes.lease("192.0.2.1", &format!("Held me set:a:{owner}"))?;
        if let Some(holder) = &mut lease.spec.holder {
            holder.pod = format!("{start}-0");
        }
        let answer = leases.create(&dry_run(), &lease).await;
        failures.note(says, judge(answer, &verdict));
    }
    failures.none()
}

#[tokio::test]
async fn a_node_gives_back_the_slot_of_a_pod_that_is_gone() -> Result<()> {
    let nodes = TwoNodes::new("slot-afterwards").await?;
    nodes.mine.force_delete().await?;
    let table = "
        a slot                     | Held me pod:mine since  | Retained me pod:mine since | allowed
        a member                   | Held me set:a           | Retained me set:a          | allowed
        one that it made for a set | Retained me set:a       | Cooling me                 | allowed
    ";
    hold(&nodes, table, words("slot-afterwards")).await
}
