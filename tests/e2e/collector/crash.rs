//! The plugin stopped at every API call that it makes, on both sides of it.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use leasehold::api::{IPLease, State};
use serde_json::json;
use testbed::proxy::{Came, Moment, On, Proxy};
use testbed::{Attachment, Call, Node, Pod};

use super::heartbeats::{alive, beat};
use super::run::Report;
use crate::env::TestEnv;

/// More calls than any command makes: a loop that does not end is a failure, not a hang.
const MANY: usize = 60;

/// Stops a process at its `k`-th call, with SIGKILL; `false`: it makes fewer, and has succeeded.
pub async fn stop(
    proxy: &Proxy,
    call: Call,
    caller: &str,
    (moment, k): (Moment, usize),
) -> Result<bool> {
    let gate = proxy.hold_at(moment, On::any().caller(caller).nth(k));
    let running = call.spawn()?;
    match gate.arrived_before(running.wait()).await {
        Came::Over(outcome) => {
            outcome?.success()?;
            Ok(false)
        }
        // The one who waited is gone, and with it the process.
        Came::Arrived(held) => {
            held.discard();
            Ok(true)
        }
    }
}

struct Crash<'a> {
    env: &'a TestEnv,
    node: Node,
    proxy: Proxy,
    /// Pods that live on what they were given.
    living: Vec<(Pod, Attachment)>,
    /// Pods whose setup or teardown was cut short.
    others: Vec<Pod>,
}

impl Crash<'_> {
    async fn pod(&self, name: &str) -> Result<Pod> {
        let pod = self.env.cluster.pod(self.env.name(), name);
        pod.on(&self.node).create().await
    }

    /// With both families, so that there are more calls to stop at.
    fn attachment(&self, pod: &Pod) -> Result<Attachment> {
        let eth0 = self.env.attachment(&self.node, pod)?;
        Ok(eth0.ipam("ipv6Pools", json!(["crash6"])))
    }

    fn through_proxy(&self, eth0: Attachment, caller: &str) -> Result<Attachment> {
        let url = self.proxy.url_for(caller);
        let between = self.node.identity().server(&url).ca(self.proxy.ca_pem());
        let kubeconfig = self.node.write_kubeconfig(caller, &between)?;
        Ok(eth0.ipam("kubeconfig", json!(kubeconfig)))
    }

    /// Every second pod gets a new sandbox after the crash and lives on; the others stay as they
    /// were left.
    async fn at_each_call_of_add(&mut self, moment: Moment) -> Result<usize> {
        for k in 1..MANY {
            let name = format!("add-{moment:?}-{k}").to_lowercase();
            let pod = self.pod(&name).await?;
            let eth0 = self.through_proxy(self.attachment(&pod)?, &name)?;
            if !stop(&self.proxy, eth0.call("ADD")?, &name, (moment, k)).await? {
                self.others.push(pod);
                return Ok(k - 1);
            }
            if k % 2 == 0 {
                let again = self.attachment(&pod)?;
                again.add().await?.success()?;
                self.living.push((pod, again));
            } else {
                self.others.push(pod);
            }
        }
        anyhow::bail!("ADD makes more than {MANY} calls");
    }

    /// The runtime's cache is lost, so that DEL has to search.
    async fn at_each_call_of_del(&mut self, moment: Moment) -> Result<usize> {
        for k in 1..MANY {
            let name = format!("del-{moment:?}-{k}").to_lowercase();
            let pod = self.pod(&name).await?;
            let eth0 = self.through_proxy(self.attachment(&pod)?, &name)?;
            eth0.add().await?.success()?;
            if k % 2 == 0 {
                eth0.remember(None);
            }
            let stopped = stop(&self.proxy, eth0.call("DEL")?, &name, (moment, k)).await?;
            self.others.push(pod);
            if !stopped {
                return Ok(k - 1);
            }
        }
        anyhow::bail!("DEL makes more than {MANY} calls");
    }

    async fn the_living_have_what_they_were_given(&self) -> Result<()> {
        for (pod, eth0) in &self.living {
            let checked = eth0.check().await?.success();
            checked.with_context(|| format!("{} lost its addresses", pod.name()))?;
        }
        Ok(())
    }

    /// The addresses that are held.
    async fn held(&self) -> Result<Vec<IpAddr>> {
        let leases = self
            .env
            .api::<IPLease>()
            .await?
            .list(&kube::api::ListParams::default())
            .await?;
        let ours = leases.items.into_iter().filter(|lease| {
            [self.env.name(), "crash6"].contains(&lease.spec.pool.as_str())
                && lease.spec.state == State::Held
        });
        ours.map(|lease| Ok(lease.spec.address.parse()?)).collect()
    }
}

#[tokio::test]
async fn wherever_the_plugin_is_stopped_the_living_keep_and_the_dead_give_back() -> Result<()> {
    let env = super::run::env("crash", "10.68.0.0/24").await?;
    env.pool_of("crash6", "fd00:68::/64", json!({})).await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let proxy = Proxy::start(&env.cluster.url(0), &env.cluster.ca_pem())?;
    let mut crash = Crash {
        env: &env,
        node,
        proxy,
        living: Vec::new(),
        others: Vec::new(),
    };
    for moment in Moment::BOTH {
        let add = crash.at_each_call_of_add(moment).await?;
        let del = crash.at_each_call_of_del(moment).await?;
        ensure!(
            add >= 6 && del >= 2,
            "stopped at {add} calls of ADD and {del} of DEL only"
        );
    }
    ensure!(
        crash.held().await?.len() > 2 * crash.living.len(),
        "nothing was left behind"
    );

    crash.the_living_have_what_they_were_given().await?;
    for pod in crash.others.drain(..) {
        pod.force_delete().await?;
    }
    let args = ["--margin", "0"];
    let of_the_living = async |_: &Report| Ok(crash.held().await?.len() <= 2 * crash.living.len());
    env.collect_until(&args, "release what the dead hold", of_the_living)
        .await?;
    crash.the_living_have_what_they_were_given().await?;
    ensure!(
        crash.held().await?.len() == 2 * crash.living.len(),
        "the living have lost something"
    );

    for (pod, _) in &crash.living {
        pod.force_delete().await?;
    }
    let of_none = async |_: &Report| Ok(crash.held().await?.is_empty());
    env.collect_until(&args, "release everything", of_none)
        .await?;
    Ok(())
}

/// A run that is stopped at its `k`-th call, with SIGKILL; `false`: it makes fewer.
async fn stop_collector(crash: &Crash<'_>, at: (Moment, usize)) -> Result<bool> {
    let (moment, k) = at;
    let caller = format!("gc-{moment:?}-{k}").to_lowercase();
    let server = (crash.proxy.url_for(&caller), crash.proxy.ca_pem());
    let args = ["--margin", "0"];
    let call = crash.env.collector(&args, Some((&server.0, server.1)));
    stop(&crash.proxy, call.await?, &caller, at).await
}

/// What a run has not finished it has not decided: neither is a lease released that no whole run
/// has marked, nor is one kept for ever.
#[tokio::test]
async fn wherever_the_collector_is_stopped_the_living_keep_and_the_dead_give_back() -> Result<()> {
    let env = super::run::env("gc-crash", "10.98.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let living = env.attach(&node, "living").await?;
    let crash = Crash {
        proxy: Proxy::start(&env.cluster.url(0), &env.cluster.ca_pem())?,
        env: &env,
        node,
        living: Vec::new(),
        others: Vec::new(),
    };
    for moment in Moment::BOTH {
        let mut k = 1;
        loop {
            let marked = env.attach(&crash.node, &format!("marked-{k}")).await?;
            marked.pod.force_delete().await?;
            env.collect(&["--margin", "0"]).await?;
            beat(&env.cluster, crash.node.name()).await?;
            // The run that is stopped would release the one, and sees the other for the first time.
            let fresh = env.attach(&crash.node, &format!("fresh-{k}")).await?;
            fresh.pod.force_delete().await?;
            let stopped = stop_collector(&crash, (moment, k)).await?;
            let at = format!("stopped {moment:?} call {k}");
            ensure!(env.is_held(fresh.address).await?, "{at}: no mark");
            living.eth0.check().await?.success().context(at)?;
            let only_the_living = async |_: &Report| Ok(env.held().await?.len() == 1);
            env.collect_until(&["--margin", "0"], "release the dead", only_the_living)
                .await?;
            if !stopped {
                break;
            }
            k += 1;
        }
        ensure!(k > 13, "it made {} requests only", k - 1);
    }
    living.eth0.check().await?.success()?;
    Ok(())
}
