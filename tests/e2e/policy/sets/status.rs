//! What a node writes into the status of a claim.

use anyhow::Result;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::super::{Allowed, TwoNodes, dry_run, judge, refused};
use super::{Failures, call, claims, merged, set};

/// What a node tries, from what status, and what becomes of it.
type Row = (&'static str, Value, Value, &'static str);

/// Holds rows against the policy. A row says what the node tries, the status before, what the node
/// changes of it, and the end of the refusal, or nothing.
async fn hold(nodes: &TwoNodes, rows: Vec<Row>) -> Result<()> {
    let (claims, all) = claims(nodes).await?;
    let made = set(nodes, "mine").claim("mine");
    let mut claim = all.create(&PostParams::default(), &made).await?;
    let name = claim.metadata.name.clone().unwrap_or_default();
    let mut failures = Failures::default();
    for (says, before, patch, refusal) in rows {
        claim.status = serde_json::from_value(before)?;
        claim = all
            .replace_status(&name, &PostParams::default(), &claim)
            .await?;
        let changed = merged(&claim, &json!({"status": patch}))?;
        let answer = claims.replace_status(&name, &dry_run(), &changed).await;
        let verdict = match refusal {
            "" => Allowed,
            words => refused(words),
        };
        failures.note(says, judge(answer, &verdict));
    }
    failures.none()
}

#[tokio::test]
async fn a_node_writes_for_its_own_pods_only() -> Result<()> {
    let nodes = TwoNodes::new("writes-for").await?;
    let (here, there) = (nodes.here.name(), nodes.there.name());
    let (me, them) = (call("mine", here), call("theirs", there));
    let late = json!({"pod": "mine", "node": here, "container": "c1", "renewals": 3});
    let unnamed = "a node names the pod that it writes an IPClaim for, in status.writer";
    let maker = "a node makes no other call the maker of a set: status.maker must be status.writer, missing, or unchanged";
    hold(
        &nodes,
        vec![
            ("itself", json!({}), json!({"writer": me, "maker": me}), ""),
            (
                "itself once more",
                json!({"maker": me}),
                json!({"writer": me, "maker": late}),
                "",
            ),
            (
                "after another",
                json!({"writer": them, "maker": them}),
                json!({"writer": me, "maker": me}),
                "",
            ),
            (
                "while another makes",
                json!({"maker": them}),
                json!({"writer": me}),
                "",
            ),
            (
                "having made",
                json!({"writer": me, "maker": me}),
                json!({"writer": me, "maker": null}),
                "",
            ),
            ("for no pod", json!({}), json!({"maker": me}), unnamed),
            (
                "as another node",
                json!({}),
                json!({"writer": call("mine", there)}),
                "and status.writer.node is THERE",
            ),
            (
                "for another's pod",
                json!({}),
                json!({"writer": call("theirs", here)}),
                "no pod writes-for/theirs is bound to node HERE",
            ),
            (
                "left by another",
                json!({"writer": them}),
                json!({"used": 0}),
                "no pod writes-for/theirs is bound to node HERE",
            ),
            (
                "another as the maker",
                json!({}),
                json!({"writer": me, "maker": them}),
                maker,
            ),
        ]
        .into_iter()
        .map(|(says, before, patch, refusal)| {
            let refusal = refusal.replace("THERE", there).replace("HERE", here);
            (says, before, patch, &*refusal.leak())
        })
        .collect(),
    )
    .await
}

/// A status that a call for this pod writes.
fn written_by(writer: &Value, mut status: Value) -> Value {
    status["writer"] = writer.clone();
    status
}

#[tokio::test]
async fn a_node_adds_to_a_set_and_leaves_the_rest_to_the_collector() -> Result<()> {
    let nodes = TwoNodes::new("adds-to-sets").await?;
    let me = call("mine", nodes.here.name());
    let by_me = |status| written_by(&me, status);
    let two = json!({"addresses": ["10.6.0.1", "10.6.0.2"], "size": 2, "confirmed": ["10.6.0.1"], "used": 1});
    let drops = "a node adds to status.addresses: only the collector takes an address off it";
    let sizes = "status.size must be the number of status.addresses";
    let others = "status.confirmed, leaving, used and observedGeneration are the collector's";
    let leaving = json!({"leaving": ["10.6.0.2"]});
    let rows = [
        (
            "the first",
            json!({}),
            json!({"addresses": ["10.6.0.1"], "size": 1}),
            "",
        ),
        (
            "one more",
            two.clone(),
            json!({"addresses": ["10.6.0.2", "10.6.0.3", "10.6.0.1"], "size": 3}),
            "",
        ),
        (
            "one less",
            two.clone(),
            json!({"addresses": ["10.6.0.1"], "size": 1}),
            drops,
        ),
        (
            "one for another",
            two.clone(),
            json!({"addresses": ["10.6.0.2", "10.6.0.11"], "size": 2}),
            drops,
        ),
        (
            "none",
            two.clone(),
            json!({"addresses": null, "size": 0}),
            drops,
        ),
        (
            "more than are listed",
            two.clone(),
            json!({"size": 3}),
            sizes,
        ),
        (
            "confirms",
            two.clone(),
            json!({"confirmed": ["10.6.0.1", "10.6.0.2"]}),
            others,
        ),
        (
            "takes back",
            two.clone(),
            json!({"confirmed": null}),
            others,
        ),
        ("lets go", two.clone(), leaving.clone(), others),
        ("keeps", leaving, json!({"leaving": null}), others),
        ("counts", two.clone(), json!({"used": 2}), others),
        (
            "has seen the spec",
            two,
            json!({"observedGeneration": 1}),
            others,
        ),
    ];
    let rows = rows.map(|(says, before, patch, refusal)| (says, before, by_me(patch), refusal));
    hold(&nodes, rows.into()).await
}

#[tokio::test]
async fn a_node_says_that_an_owner_is_there_and_never_that_it_is_gone() -> Result<()> {
    let nodes = TwoNodes::new("sees-owners").await?;
    let me = call("mine", nodes.here.name());
    let condition = |kind: &str, status: &str, second: u8| {
        json!({
            "type": kind, "status": status, "reason": "R", "message": "",
            "lastTransitionTime": format!("2026-01-31T12:00:0{second}Z"),
        })
    };
    let gone = condition("OwnerGone", "True", 0);
    let gone_later = condition("OwnerGone", "True", 1);
    let back = condition("OwnerGone", "False", 1);
    let ready = condition("Ready", "True", 0);
    let unused = condition("Unused", "True", 0);
    let refusal = "of status.conditions a node clears OwnerGone and Unused, and changes no other";
    let rows = [
        ("it is asked for", vec![&ready, &unused], vec![&ready], ""),
        ("it is unused", vec![&ready], vec![&ready, &unused], refusal),
        ("it is there", vec![&ready, &gone], vec![&ready], ""),
        ("it is back", vec![&ready, &gone], vec![&ready, &back], ""),
        ("nothing", vec![&ready, &gone], vec![&ready, &gone], ""),
        ("it is gone", vec![], vec![&gone], refusal),
        ("it went later", vec![&gone], vec![&gone_later], refusal),
        (
            "the set is not ready",
            vec![&ready, &gone],
            vec![&gone],
            refusal,
        ),
        ("the set is ready", vec![], vec![&ready], refusal),
    ];
    let rows = rows.map(|(says, before, after, refusal)| {
        let after = written_by(&me, json!({"conditions": after}));
        (says, json!({"conditions": before}), after, refusal)
    });
    hold(&nodes, rows.into()).await
}

/// The list of a full set is as long as the API server lets a node compare it.
#[tokio::test]
async fn a_node_adds_to_a_set_of_any_size() -> Result<()> {
    let nodes = TwoNodes::new("adds-to-full").await?;
    let me = call("mine", nodes.here.name());
    let long = |count: usize| -> Vec<String> {
        (0..count)
            .map(|n| format!("fd00:6::ffff:ffff:ffff:{n:x}"))
            .collect()
    };
    hold(
        &nodes,
        vec![
            (
                "the last",
                json!({"addresses": long(1023), "size": 1023}),
                json!({"writer": me, "addresses": long(1024), "size": 1024}),
                "",
            ),
            (
                "one less",
                json!({"addresses": long(1024), "size": 1024}),
                json!({"writer": me, "addresses": long(1023), "size": 1023}),
                "only the collector takes an address off it",
            ),
        ],
    )
    .await
}
