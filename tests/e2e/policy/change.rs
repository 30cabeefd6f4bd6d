//! What a node makes of a lease that exists.

use anyhow::Result;

use super::{Allowed, Failures, TwoNodes, cells, dry_run, judge, put, refused};

const ADDRESS: &str = "192.0.2.2";

/// Holds a table against the policy. A row says what the node tries, the lease before and after,
/// and the verdict: `allowed`, or a word for which `refusal` has the message.
pub(super) async fn hold(
    nodes: &TwoNodes,
    table: &str,
    refusal: impl Fn(&str) -> String,
) -> Result<()> {
    let (leases, all) = (nodes.leases().await?, nodes.leases_as_admin().await?);
    let mut failures = Failures::default();
    for row in cells(table) {
        let [says, before, after, verdict] = row?;
        let stored = put(&all, nodes.lease(ADDRESS, before)?).await?;
        let mut changed = nodes.lease(ADDRESS, after)?;
        changed.metadata = stored.metadata;
        let name = changed.metadata.name.clone().unwrap_or_default();
        let answer = leases.replace(&name, &dry_run(), &changed).await;
        let verdict = match verdict {
            "allowed" => Allowed,
            word => refused(&refusal(word)),
        };
        failures.note(says, judge(answer, &verdict));
    }
    failures.none()
}

#[tokio::test]
async fn a_node_takes_what_cools_and_what_is_its_own() -> Result<()> {
    let nodes = TwoNodes::new("takes").await?;
    let table = "
        its own, for a new sandbox      | Held me        | Held me-again | allowed
        what another's pod had          | Cooling them   | Held me       | allowed
        what another holds              | Held them      | Held me       | Held
        what is kept by hand            | Retained them  | Held me       | Retained
        what is kept for another claim  | Retained me set:a     | Held me set:b | Retained
        what is kept, out of its claim  | Retained me pod:mine  | Held me       | Retained
        what a newer version keeps      | Retained me pod:mine  | Held me set:mine | Retained
        what is in quarantine           | Quarantined me | Held me       | Quarantined
    ";
    hold(&nodes, table, taken).await
}

pub(super) fn taken(state: &str) -> String {
    format!(
        "this address is {state}: a node takes what is absent, cooling, its own, or kept for the pod that takes it, with its claim"
    )
}

#[tokio::test]
async fn a_node_takes_for_itself_and_its_own_pods() -> Result<()> {
    let nodes = TwoNodes::new("takes-for").await?;
    let (here, there) = (nodes.here.name(), nodes.there.name());
    let table = "
        what cools, for another node    | Cooling them | Held them        | node
        its own, for another node       | Held me      | Held them        | node
        what cools, for another's pod   | Cooling me   | Held them-here   | pod
        its own, for another's pod      | Held me      | Held them-here   | pod
    ";
    hold(&nodes, table, |wrong| match wrong {
        "node" => {
            format!("a node takes leases for itself only: the user is system:node:{here}, and spec.holder.node is {there}")
        }
        _ => format!("no pod takes-for/theirs is bound to node {here}"),
    })
    .await
}

#[tokio::test]
async fn a_node_releases_what_it_holds_itself() -> Result<()> {
    let nodes = TwoNodes::new("releases").await?;
    let table = "
        its own                     | Held me                | Cooling me            | allowed
        its own, to its claim       | Held me set:a          | Retained me set:a     | allowed
        its own, with its claim     | Held me set:a          | Cooling me            | allowed
        its own slot                | Held me pod:mine since | Retained me pod:mine since | allowed
        its own slot, given up      | Held me pod:mine since | Cooling me            | allowed
        its own, without a claim    | Held me                | Retained me           | refused
        its own, to a claim         | Held me                | Retained me pod:mine  | refused
        its own, to another claim   | Held me set:a          | Retained me set:b     | refused
        its own, for another owner  | Held me set:a:x        | Retained me set:a:y   | refused
        another's                   | Held them              | Cooling them          | refused
        another's slot              | Held them pod:theirs   | Retained them pod:theirs | refused
        its own, in another's name  | Held me                | Cooling them          | refused
        its own, into quarantine    | Held me                | Quarantined me        | refused
        its own once more           | Cooling me             | Cooling me            | refused
        what is kept for a pod      | Retained me pod:mine   | Cooling me            | refused
        what a set has, once held   | Retained me set:a since | Cooling me           | refused
        what a set has, another's   | Retained them set:a    | Cooling them          | refused
        what it made for a set      | Retained me set:a      | Cooling me            | allowed
    ";
    let message = "a node releases only what it holds itself or made for an IPClaim, with its holder unchanged: to Retained with its claim unchanged, or to Cooling without one";
    hold(&nodes, table, |_| message.to_owned()).await
}
