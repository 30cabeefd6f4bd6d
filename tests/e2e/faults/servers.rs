//! Two API servers on one etcd, of which one lags, is frozen, or is killed and comes back.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::api::{Api, PostParams};
use serde_json::json;
use testbed::proxy::{Do, On};
use testbed::{Attachment, Cluster, Outcome, Pod};
use tokio::task::JoinSet;

use super::{EXHAUSTED, NO_POOL, TRY_AGAIN_LATER};
use crate::env::{Isolation, TestEnv, in_time};

async fn two_servers() -> Result<Cluster> {
    Cluster::builder().api_servers(2).start().await
}

/// What a list of any age shows on a server whose watch cache has stopped.
fn lags(env: &TestEnv, resource: &str) {
    env.proxy()
        .freeze(On::list(resource).with_query("resourceVersion=0"));
}

#[tokio::test]
async fn a_server_that_lags_makes_no_pool_full_and_no_pool_missing() -> Result<()> {
    let env = Isolation::vrf("lagging")
        .cluster(two_servers().await?)
        .proxy_to(1)
        .start()
        .await?;
    for resource in ["ipleases", "ippools"] {
        lags(&env, resource);
    }
    let pod = env.pod("last").create().await?;
    let last = env.eth0_via("last", &pod)?;
    let outcome = last.add().await?;
    ensure!(outcome.error_code() == NO_POOL, "{outcome}");
    env.default_pool(8).await?;
    // By the other server, which knows at once.
    let mut others = Vec::new();
    for number in 0..8 {
        let pod = env.pod(&format!("other-{number}")).create().await?;
        let other = env.eth0(&pod)?;
        other.add().await?.success()?;
        others.push(other);
    }
    let outcome = last.add().await?;
    ensure!(outcome.error_code() == EXHAUSTED, "{outcome}");
    // One is free again, and not one that is tried without a list.
    let log = env.proxy().log();
    let creates = On::create("ipleases");
    let tried: Vec<_> = log
        .of(&creates)
        .filter_map(|create| create.call.name.as_deref())
        .collect();
    for other in others {
        let lease = format!("lagging.{}", other.ips()?[0]);
        if !tried.contains(&lease.as_str()) {
            other.del().await?.success()?;
            break;
        }
    }
    last.add().await?.success().map(drop)
}

/// A namespace chooses pools, and a server that has not heard of it yet knows of no choice.
#[tokio::test]
async fn a_server_that_has_not_heard_of_a_namespace_yet_does_not_choose_for_it() -> Result<()> {
    let env = Isolation::vrf("unheard-of").proxy().start().await?;
    for (pool, subnet) in [
        ("unheard-of-a", "10.1.0.0/24"),
        ("unheard-of-z", "10.2.0.0/24"),
    ] {
        env.pool_of(pool, subnet, json!({"default": true})).await?;
    }
    let chosen = json!({"ipam.leasehold.io/default-ipv4-ippool": "[\"unheard-of-z\"]"});
    env.namespace("unheard-of", chosen).await?;
    let pod = env.pod("pod").create().await?;
    let unknown = json!({"kind": "Status", "code": 404, "details": {"name": "unheard-of", "kind": "namespaces"}});
    let cached = On::get("namespaces").with_query("resourceVersion=0");
    env.proxy()
        .rule(cached, Do::answer(404).plain(&unknown.to_string()));
    let outcome = env.eth0_via("caller", &pod)?.add().await?;
    ensure!(env.pools_of(&outcome).await? == "unheard-of-z", "{outcome}");
    Ok(())
}

/// The authorizer of each server hears of pods by a watch of its own: until then a pod of this node
/// is denied as one that does not exist would be, to a read and to the policy that admits leases.
#[tokio::test]
async fn a_server_that_has_not_heard_of_a_pod_yet_does_not_make_it_gone() -> Result<()> {
    let env = Isolation::vrf("unheard")
        .cluster(two_servers().await?)
        .proxy_to(1)
        .start()
        .await?;
    env.default_pool(20).await?;
    let pod = env.pod("pod").create().await?;
    env.proxy()
        .rule(On::get("pods").caller("early").first(1), Do::answer(403));
    env.proxy().rule(
        On::create("ipleases").caller("early").first(2),
        Do::answer(403),
    );
    let eth0 = env.eth0_via("early", &pod)?;
    eth0.add().await?.success()?;
    eth0.del().await?.success()?;
    // The same for real: the server is frozen while the pod is made, and is asked as soon as it
    // goes on.
    for number in 0..5 {
        let cluster = &env.cluster;
        cluster.freeze_api_server(1, true)?;
        let pod = made_elsewhere(&env, &format!("real-{number}")).await?;
        let eth0 = env
            .eth0_via("real", &pod)?
            .ipam("timeoutSeconds", json!(10));
        let add = eth0.call("ADD")?.spawn()?;
        cluster.freeze_api_server(1, false)?;
        add.wait().await?.success()?;
        eth0.del().await?.success()?;
    }
    env.holds_nothing().await
}

/// A pod of the environment's node, made at the first server without a thought of the second.
async fn made_elsewhere(env: &TestEnv, name: &str) -> Result<Pod> {
    let (cluster, node) = (&env.cluster, &env.node);
    let object: PodObject = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"nodeName": node.name(), "containers": [{"name": "main", "image": "local.test/none"}]},
    }))?;
    let pods: Api<PodObject> = Api::namespaced(cluster.admin_of(0).await?, "unheard");
    let made = pods.create(&PostParams::default(), &object).await?;
    Ok(cluster
        .pod("unheard", name)
        .made(made.metadata.uid.context("a uid")?))
}

#[tokio::test]
async fn two_servers_give_no_address_twice_whatever_becomes_of_one_of_them() -> Result<()> {
    let cluster = two_servers().await?;
    let env = Isolation::vrf("two")
        .cluster(cluster.clone())
        .proxy_to(1)
        .start()
        .await?;
    env.default_pool(30).await?;
    let crowd = Crowd::gather(&env, 40, 2).await?;
    let adds = crowd.add();
    env.until_held(5).await?;
    cluster.freeze_api_server(1, true)?;
    // The other one serves its half meanwhile.
    env.until_held(20).await?;
    cluster.kill_api_server(1);
    cluster.restart_api_server(1).await?;
    let outcomes = adds.join_all().await;
    crowd.agrees(&env, outcomes, 30).await?;
    crowd.clear(&env).await
}

#[tokio::test]
async fn fifty_adds_outlive_a_restart_of_the_api_server() -> Result<()> {
    let cluster = Cluster::start().await?;
    let env = Isolation::vrf("restart")
        .cluster(cluster.clone())
        .proxy_to(0)
        .start()
        .await?;
    env.default_pool(60).await?;
    let crowd = Crowd::gather(&env, 50, 1).await?;
    let adds = crowd.add();
    env.until_held(10).await?;
    cluster.kill_api_server(0);
    cluster.restart_api_server(0).await?;
    let outcomes = adds.join_all().await;
    crowd.agrees(&env, outcomes, 60).await?;
    crowd.clear(&env).await
}

/// How long each of a crowd has: the start of a server takes some three seconds of an idle machine,
/// and many of a busy one.
const SECONDS: u64 = 120;

/// Many pods, one after the other on each of the servers.
struct Crowd(Vec<Arc<Attachment>>);

impl Crowd {
    async fn gather(env: &TestEnv, pods: usize, servers: usize) -> Result<Self> {
        let node = &env.node;
        let kubeconfigs = (0..servers)
            .map(|server| {
                node.write_kubeconfig(&format!("server-{server}"), &node.identity_at(server))
            })
            .collect::<Result<Vec<_>>>()?;
        let mut crowd = Vec::new();
        for (number, kubeconfig) in (0..pods).zip(kubeconfigs.iter().cycle()) {
            let pod = env.pod(&format!("pod-{number}")).create().await?;
            let eth0 = env.eth0(&pod)?;
            let eth0 = eth0
                .ipam("kubeconfig", json!(kubeconfig))
                .ipam("timeoutSeconds", json!(SECONDS));
            crowd.push(Arc::new(eth0));
        }
        Ok(Self(crowd))
    }

    fn add(&self) -> JoinSet<Result<(Arc<Attachment>, Outcome)>> {
        let mut adds = JoinSet::new();
        for eth0 in &self.0 {
            let eth0 = Arc::clone(eth0);
            adds.spawn(async move {
                let outcome = eth0.add().await?;
                Ok((eth0, outcome))
            });
        }
        adds
    }

    /// Every answer has a lease of its own, and a call without one reports why, in time and truly.
    async fn agrees(
        &self,
        env: &TestEnv,
        outcomes: Vec<Result<(Arc<Attachment>, Outcome)>>,
        addresses: usize,
    ) -> Result<()> {
        let held = env.held().await?;
        let (mut answered, mut late) = (0, 0);
        for outcome in outcomes {
            let (eth0, outcome) = outcome?;
            in_time(&outcome, SECONDS)?;
            if !outcome.succeeded() {
                let full = outcome.error_code() == EXHAUSTED && held.len() == addresses;
                ensure!(
                    full || outcome.error_code() == TRY_AGAIN_LATER,
                    "{} held, and {outcome}",
                    held.len()
                );
                late += usize::from(!full);
                continue;
            }
            answered += 1;
            let address = eth0.ips()?[0].to_string();
            let lease = held.iter().find(|lease| lease.spec.address == address);
            let holder = lease.and_then(|lease| lease.spec.holder.as_ref());
            ensure!(
                holder.is_some_and(|holder| holder.container == eth0.container_id()),
                "{address}: {holder:?}"
            );
        }
        // Who has run out of time may have a lease without knowing it.
        ensure!(
            answered <= held.len() && held.len() <= answered + late,
            "{answered} answered, {late} late, {} held",
            held.len()
        );
        ensure!(answered * 2 > self.0.len(), "only {answered} answered");
        Ok(())
    }

    async fn clear(&self, env: &TestEnv) -> Result<()> {
        for eth0 in &self.0 {
            let outcome = eth0.del().await?.success()?;
            ensure!(outcome.stderr.is_empty(), "{outcome}");
        }
        env.holds_nothing().await
    }
}
