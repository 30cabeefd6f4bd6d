//! What a node makes of the claims of applications.

mod status;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use leasehold::api::{IPClaim, IPClaimSpec, SetOwner};
use leasehold::claim::{DerivedSet, SetSize};
use leasehold::ip::Vrf;
use serde_json::{Value, json};

use super::{Allowed, Failures, TwoNodes, dry_run, judge, refused};

/// The set of the application `owner` in the namespace of the nodes' pods.
fn set(nodes: &TwoNodes, owner: &str) -> DerivedSet {
    DerivedSet {
        namespace: nodes.vrf.to_owned(),
        owner: SetOwner {
            group: "apps".to_owned(),
            kind: "Deployment".to_owned(),
            name: owner.to_owned(),
            interface: "eth0".to_owned(),
            network: "net".to_owned(),
            subnet: "s".to_owned(),
        },
        vrf: Vrf::default(),
        size: SetSize::default(),
        reclaim: true,
    }
}

/// The claims of the nodes' namespace as the first node's credentials reach them, and as an
/// administrator does.
async fn claims(nodes: &TwoNodes) -> Result<(Api<IPClaim>, Api<IPClaim>)> {
    let (node, admin) = (nodes.here.client().await?, nodes.cluster.admin().await?);
    let all = |client| Api::namespaced(client, nodes.vrf);
    Ok((all(node), all(admin)))
}

/// Sets and removes fields as RFC 7396 has it.
fn merged(claim: &IPClaim, patch: &Value) -> Result<IPClaim> {
    fn merge(target: &mut Value, patch: &Value) {
        let Value::Object(fields) = patch else {
            *target = patch.clone();
            return;
        };
        for (key, value) in fields {
            match target.as_object_mut() {
                Some(object) if value.is_null() => drop(object.remove(key)),
                _ => merge(&mut target[key.as_str()], value),
            }
        }
    }
    let mut object = serde_json::to_value(claim)?;
    merge(&mut object, patch);
    Ok(serde_json::from_value(object)?)
}

#[tokio::test]
async fn a_node_makes_claims_for_applications_of_its_own_pods() -> Result<()> {
    let nodes = TwoNodes::new("makes-claims").await?;
    let (claims, _) = claims(&nodes).await?;
    let no_pod = |pod: &str| {
        let here = nodes.here.name();
        refused(&format!(
            "no pod makes-claims/{pod} is bound to node {here}"
        ))
    };
    let bare = "a node makes an IPClaim without labels, ownerReferences, finalizers, and annotations other than \
                ipam.leasehold.io/maker";
    let node = json!([{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]);
    let mut failures = Failures::default();
    for (says, owner, pod, patch, verdict) in [
        ("its own", "mine", "mine", json!({}), Allowed),
        (
            "one that stays",
            "mine",
            "mine",
            json!({"spec": {"reclaim": false}}),
            Allowed,
        ),
        (
            "for another node's pod",
            "theirs",
            "theirs",
            json!({}),
            no_pod("theirs"),
        ),
        (
            "for a pod that does not exist",
            "mine",
            "mine-2",
            json!({}),
            no_pod("mine-2"),
        ),
        (
            "for no pod",
            "mine",
            "mine",
            json!({"metadata": {"annotations": null}}),
            refused(
                "a node names the pod that it writes an IPClaim for, in the annotation ipam.leasehold.io/maker",
            ),
        ),
        (
            "of another application",
            "web",
            "mine",
            json!({}),
            refused("this set is for the pods of Deployment web, and the pod is mine"),
        ),
        (
            "with labels",
            "mine",
            "mine",
            json!({"metadata": {"labels": {"a": "b"}}}),
            refused(bare),
        ),
        (
            "with annotations",
            "mine",
            "mine",
            json!({"metadata": {"annotations": {"a": "b"}}}),
            refused(bare),
        ),
        (
            "with an owner",
            "mine",
            "mine",
            json!({"metadata": {"ownerReferences": node}}),
            refused(bare),
        ),
        (
            "kept from deletion",
            "mine",
            "mine",
            json!({"metadata": {"finalizers": ["x.io/a"]}}),
            refused(bare),
        ),
    ] {
        let claim = merged(&set(&nodes, owner).claim(pod), &patch)?;
        let answer = claims.create(&dry_run(), &claim).await;
        failures.note(says, judge(answer, &verdict));
    }
    failures.none()
}

#[tokio::test]
async fn a_node_makes_claims_only_where_it_has_a_pod() -> Result<()> {
    let nodes = TwoNodes::new("makes-near").await?;
    let far = nodes.cluster.pod("makes-far", "mine");
    far.on(&nodes.there).create().await?;
    let claims: Api<IPClaim> = Api::namespaced(nodes.here.client().await?, "makes-far");
    let mut claim = set(&nodes, "mine").claim("mine");
    claim.metadata.namespace = Some("makes-far".to_owned());
    let answer = claims.create(&dry_run(), &claim).await;
    let here = nodes.here.name();
    judge(
        answer,
        &refused(&format!("no pod makes-far/mine is bound to node {here}")),
    )
}

/// A call for this pod on this node.
fn call(pod: &str, node: &str) -> Value {
    json!({"pod": pod, "node": node, "container": "c1"})
}

/// RBAC grants a node neither; were it to, the policy would still refuse.
#[tokio::test]
async fn a_node_touches_nothing_else_of_a_claim() -> Result<()> {
    let nodes = TwoNodes::new("touches").await?;
    let (claims, all) = claims(&nodes).await?;
    let stored = all
        .create(&PostParams::default(), &set(&nodes, "mine").claim("mine"))
        .await?;
    let name = stored.metadata.name.clone().unwrap_or_default();
    let spec = merged(&stored, &json!({"spec": {"reclaim": false}}))?;
    let listed = IPClaimSpec {
        addresses: vec!["10.6.0.9".to_owned()],
        ..IPClaimSpec::default()
    };
    let mut person = all
        .create(&PostParams::default(), &IPClaim::new("by-hand", listed))
        .await?;
    person.status = serde_json::from_value(json!({"writer": call("mine", nodes.here.name())}))?;
    let mut failures = Failures::default();
    let cannot = |verb: &str| {
        refused(&format!(
            "cannot {verb} resource \"ipclaims\" in API group \"leasehold.io\" in the namespace \"touches\""
        ))
    };
    let answer = claims.replace(&name, &dry_run(), &spec).await;
    failures.note("its spec", judge(answer, &cannot("update")));
    let answer = claims
        .delete(&name, &DeleteParams::default().dry_run())
        .await;
    failures.note("the whole", judge(answer, &cannot("delete")));
    let answer = claims.replace_status("by-hand", &dry_run(), &person).await;
    let words = "a node writes no IPClaim of a person: spec.owner is missing";
    failures.note("a person's", judge(answer, &refused(words)));
    person.status = None;
    person.metadata = kube::api::ObjectMeta {
        name: Some("another".to_owned()),
        ..Default::default()
    };
    let answer = claims.create(&dry_run(), &person).await;
    failures.note("one as a person's", judge(answer, &refused(words)));
    failures.none()
}

/// The size of a set goes by it. What an application runs is not a node's business.
#[tokio::test]
async fn a_node_reads_how_many_replicas_an_application_has_and_no_more() -> Result<()> {
    let nodes = TwoNodes::new("reads-scales").await?;
    let app = json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "main", "image": "pause"}]},
            },
        },
    });
    let admin: Api<Deployment> = Api::namespaced(nodes.cluster.admin().await?, "reads-scales");
    let app: Deployment = serde_json::from_value(app)?;
    admin.create(&PostParams::default(), &app).await?;
    let mine: Api<Deployment> = Api::namespaced(nodes.here.client().await?, "reads-scales");
    let scale = mine.get_scale("web").await?;
    assert_eq!(scale.spec.and_then(|spec| spec.replicas), Some(3));
    let cannot = "in API group \"apps\" in the namespace \"reads-scales\"";
    let whole = mine.get("web").await;
    judge(
        whole,
        &refused(&format!("cannot get resource \"deployments\" {cannot}")),
    )?;
    let more = json!({"spec": {"replicas": 4}});
    let scaled = mine
        .patch_scale("web", &PatchParams::default(), &Patch::Merge(more))
        .await;
    judge(
        scaled,
        &refused(&format!(
            "cannot patch resource \"deployments/scale\" {cannot}"
        )),
    )
}
