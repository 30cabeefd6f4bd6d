//! Many pods at once where the API server rejects some of their requests: none fails, and none
//! comes back earlier than it was asked to.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::header::HeaderValue;
use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use kube::Client;
use kube::api::Api;
use kube::client::Body;
use serde_json::json;
use testbed::Cluster;
use testbed::proxy::{Do, Log, On};

use super::concurrent_pods::ConcurrentPods;
use crate::env::{Isolation, TestEnv};

/// What both the API server and the proxy say in `Retry-After`.
const ASKED: Duration = Duration::from_secs(1);

/// API Priority and Fairness has room for three requests of the node, and for four that wait.
#[tokio::test]
async fn every_pod_has_an_address_although_flow_control_rejects_most_of_what_comes_at_once()
-> Result<()> {
    let cluster = Cluster::start().await?;
    let env = Isolation::subnets().cluster(cluster).proxy();
    let env = env.start().await?;
    narrow(&env).await?;
    let pool = env.pool("pool", env.v4(256..=295)).await?;
    let pods = ConcurrentPods::gather(&env, &pool, 40).await?;
    // It reads nothing until all of them have asked.
    env.cluster.freeze_api_server(0, true)?;
    let go_on = async {
        let asked = env.proxy().wait_for("a request of each", have_asked(40));
        asked.await?;
        env.cluster.freeze_api_server(0, false)
    };
    let (outcomes, gone_on) = tokio::join!(pods.add_all_at_once(), go_on);
    gone_on?;
    let held = pods.agrees_with_the_leases(&outcomes?).await?;
    ensure!(held.len() == 40, "{} have an address", held.len());
    let rejected = come_back_as_asked(&env.proxy().log())?;
    ensure!(rejected >= 40, "only {rejected} were rejected: no load");
    Ok(())
}

/// There are exactly enough addresses: those that are rejected come last, and find what is left.
#[tokio::test]
async fn pods_that_are_rejected_have_an_address_as_those_that_are_not() -> Result<()> {
    let env = Isolation::subnets().proxy().start().await?;
    let pool = env.pool("pool", env.v4(256..=285)).await?;
    let pods = ConcurrentPods::gather(&env, &pool, 30).await?;
    let mut rules = Vec::new();
    for number in (0..30).step_by(3) {
        let caller = format!("{pool}-{number}");
        for on in [On::any(), On::create("ipleases")] {
            let rejection = Do::answer(429).retry_after(1);
            rules.push(env.proxy().rule(on.caller(&caller).first(2), rejection));
        }
    }
    let outcomes = pods.add_all_at_once().await?;
    let held = pods.agrees_with_the_leases(&outcomes).await?;
    ensure!(held.len() == 30, "{} have an address", held.len());
    let rejected = come_back_as_asked(&env.proxy().log())?;
    let acted: usize = rules.iter().map(testbed::proxy::Rule::acted).sum();
    ensure!(
        rejected == acted && acted == 4 * 10,
        "{rejected} came back, {acted} were rejected"
    );
    Ok(())
}

fn have_asked(pods: usize) -> impl FnMut(&Log) -> bool {
    move |log| {
        let callers = log.records().iter().map(|record| &record.call.caller);
        callers.collect::<BTreeSet<_>>().len() == pods
    }
}

/// Each request that was answered with 429 was sent again by its caller, and not before it was
/// asked to. Returns how many were.
fn come_back_as_asked(log: &Log) -> Result<usize> {
    let mut rejected = 0;
    for record in log.records() {
        if record.answered.is_none_or(|status| status != 429) {
            continue;
        }
        rejected += 1;
        let call = &record.call;
        let mut later = log.records().iter().filter(|later| {
            let again = &later.call;
            later.seq > record.seq
                && (&again.caller, again.verb, &again.path, &again.name)
                    == (&call.caller, call.verb, &call.path, &call.name)
        });
        let again = later
            .next()
            .with_context(|| format!("given up: {record}"))?;
        ensure!(
            again.at >= record.at + ASKED,
            "too early:\n{record}\n{again}"
        );
    }
    Ok(rejected)
}

/// Puts the node's requests into a level of their own, in force when this returns.
async fn narrow(env: &TestEnv) -> Result<()> {
    let api = "flowcontrol.apiserver.k8s.io/v1";
    let level = json!({
        "apiVersion": api, "kind": "PriorityLevelConfiguration", "metadata": {"name": "narrow"},
        "spec": {"type": "Limited", "limited": {
            "nominalConcurrencyShares": 1, "lendablePercent": 0, "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 4}},
        }},
    });
    let resources = json!([{
        "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": true,
    }]);
    let schema = json!({
        "apiVersion": api, "kind": "FlowSchema", "metadata": {"name": "narrow"},
        "spec": {
            "matchingPrecedence": 100,
            "priorityLevelConfiguration": {"name": "narrow"},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": env.node.user()}}],
                "resourceRules": resources,
            }],
        },
    });
    for object in [level, schema] {
        env.cluster.apply_yaml(&object.to_string()).await?;
    }
    let schemas: Api<FlowSchema> = Api::all(env.cluster.admin().await?);
    let uid = schemas.get("narrow").await?.metadata.uid.context("a uid")?;
    let client = env.node.client().await?;
    while schema_of(&client).await? != Some(HeaderValue::from_str(&uid)?) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The uid of the `FlowSchema` that this client's requests fall under.
async fn schema_of(client: &Client) -> Result<Option<HeaderValue>> {
    let request = http::Request::get("/apis/leasehold.io/v1alpha1/ippools?limit=1");
    let answer = client.send(request.body(Body::empty())?).await?;
    let uid = answer.headers().get("X-Kubernetes-PF-FlowSchema-UID");
    Ok(uid.cloned())
}
