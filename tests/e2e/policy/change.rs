//! What a node makes of a lease that stands there.

use anyhow::Result;
use leasehold::api::{Holder, State};

use super::{Allowed, Failures, TwoNodes, Verdict, dry_run, holder, judge, put, refused};
use State::{Cooling, Held, Quarantined, Retained};

const ADDRESS: &str = "192.0.2.2";

/// A lease in this state, with this holder, kept for the claim of this name.
type Lease<'a> = (State, &'a Holder, Option<&'a str>);

/// Puts `before` there, and judges the node's attempts to put `after` in its place.
async fn hold(nodes: &TwoNodes, rows: Vec<(&str, Lease<'_>, Lease<'_>, Verdict)>) -> Result<()> {
    let (leases, all) = (nodes.leases().await?, nodes.leases_as_admin().await?);
    let lease = |(state, holder, claim): Lease<'_>| {
        let mut lease = nodes.lease(ADDRESS, state, holder);
        lease.spec.claim = claim.map(|name| nodes.claim(name));
        lease
    };
    let mut failures = Failures::default();
    for (says, before, after, verdict) in rows {
        let stored = put(&all, lease(before)).await?;
        let mut changed = lease(after);
        changed.metadata = stored.metadata;
        let name = changed.metadata.name.clone().unwrap_or_default();
        let answer = leases.replace(&name, &dry_run(), &changed).await;
        failures.note(says, judge(answer, &verdict));
    }
    failures.none()
}

#[tokio::test]
async fn a_node_takes_what_cools_what_is_its_own_and_what_is_kept_for_the_same_claim() -> Result<()>
{
    let nodes = TwoNodes::new("takes").await?;
    let (me, them) = (&nodes.me(), &nodes.them());
    let is = |state: &str| {
        refused(&format!(
            "this address is {state}: a node takes what is absent, cooling, its own, or kept for the same claim"
        ))
    };
    let moved = &Holder {
        container: "c2".to_owned(),
        ..me.clone()
    };
    let (a, b) = (Some("a"), Some("b"));
    hold(
        &nodes,
        vec![
            (
                "its own, for a new sandbox",
                (Held, me, None),
                (Held, moved, None),
                Allowed,
            ),
            (
                "what another's pod had",
                (Cooling, them, None),
                (Held, me, None),
                Allowed,
            ),
            (
                "what is kept for its claim",
                (Retained, them, a),
                (Held, me, a),
                Allowed,
            ),
            (
                "what another holds",
                (Held, them, None),
                (Held, me, None),
                is("Held"),
            ),
            (
                "what is kept by hand",
                (Retained, them, None),
                (Held, me, None),
                is("Retained"),
            ),
            (
                "what is kept for another claim",
                (Retained, me, a),
                (Held, me, b),
                is("Retained"),
            ),
            (
                "what is kept, out of its claim",
                (Retained, me, a),
                (Held, me, None),
                is("Retained"),
            ),
            (
                "what is in quarantine",
                (Quarantined, me, None),
                (Held, me, None),
                is("Quarantined"),
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn a_node_takes_for_itself_and_its_own_pods() -> Result<()> {
    let nodes = TwoNodes::new("takes-for").await?;
    let (me, them) = (&nodes.me(), &nodes.them());
    let here = nodes.here.name();
    let not_itself = || {
        refused(&format!(
            "a node takes leases for itself only: spec.holder.node must be {here}"
        ))
    };
    let not_bound = refused(&format!("no pod takes-for/theirs is bound to node {here}"));
    let theirs_here = &holder(&nodes.theirs, here);
    hold(
        &nodes,
        vec![
            (
                "what cools, for another node",
                (Cooling, them, None),
                (Held, them, None),
                not_itself(),
            ),
            (
                "its own, for another node",
                (Held, me, None),
                (Held, them, None),
                not_itself(),
            ),
            (
                "what cools, for another's pod",
                (Cooling, me, None),
                (Held, theirs_here, None),
                not_bound.clone(),
            ),
            (
                "its own, for another's pod",
                (Held, me, None),
                (Held, theirs_here, None),
                not_bound,
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn a_node_releases_what_it_holds_itself() -> Result<()> {
    let nodes = TwoNodes::new("releases").await?;
    let (me, them) = (&nodes.me(), &nodes.them());
    let no = || {
        refused(
            "a node releases only what it holds itself, to Cooling or Retained, with holder and claim unchanged",
        )
    };
    let a = Some("a");
    hold(
        &nodes,
        vec![
            ("its own", (Held, me, None), (Cooling, me, None), Allowed),
            (
                "its own, to its claim",
                (Held, me, a),
                (Retained, me, a),
                Allowed,
            ),
            ("another's", (Held, them, None), (Cooling, them, None), no()),
            (
                "its own, in another's name",
                (Held, me, None),
                (Cooling, them, None),
                no(),
            ),
            (
                "its own, and its claim",
                (Held, me, a),
                (Cooling, me, None),
                no(),
            ),
            (
                "its own, into quarantine",
                (Held, me, None),
                (Quarantined, me, None),
                no(),
            ),
            (
                "its own once more",
                (Cooling, me, None),
                (Cooling, me, None),
                no(),
            ),
            ("what is kept", (Retained, me, a), (Cooling, me, a), no()),
        ],
    )
    .await
}
