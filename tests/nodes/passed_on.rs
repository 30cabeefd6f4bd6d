//! An address is passed on to the next pod when nothing answers for it any more, and not before.
//!
//! Each case: a pod has the only address of a pool, is taken away in a way that leaves its
//! interface where it is, and another pod waits for the address, while the collector runs every
//! second. The cases wait for each other's waits, so they are rows of one test. With
//! `LEASEHOLD_NODES=default-waits` nothing is shortened.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::FutureExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use testbed::Worker;

use crate::at_once::at_once;
use crate::env::{PATIENCE, TestEnv, network, pod_on, pod_spec};
use crate::faults::{CHAINED, by_force};

/// What the cases wait for.
#[derive(Clone, Copy)]
struct Waits {
    /// The collector's `--margin`.
    margin: Duration,
    /// The time that a pod has to end which does not end by itself.
    grace: Duration,
}

/// A kubelet says after 38 s that its runtime is dead. In less than that nothing could be told from
/// the collector's patience.
const SHORT: Waits = Waits {
    margin: Duration::from_secs(45),
    grace: Duration::from_secs(80),
};

const DEFAULT: Waits = Waits {
    margin: Duration::from_secs(100),
    grace: Duration::from_secs(150),
};

impl Waits {
    fn of_this_run() -> Self {
        match std::env::var("LEASEHOLD_NODES").as_deref() {
            Ok("default-waits") => DEFAULT,
            _ => SHORT,
        }
    }

    /// Longer than a collector would wait that has seen no reason to wait longer: a heartbeat takes
    /// ten seconds.
    fn enough(self) -> Duration {
        self.margin + Duration::from_secs(20)
    }
}

#[tokio::test]
async fn no_address_is_given_while_an_interface_answers_for_it_and_each_is_once_none_does()
-> Result<()> {
    let waits = Waits::of_this_run();
    at_once([
        (
            "a pod is deleted by force while its node is cut off",
            cut_off(waits).boxed_local(),
        ),
        (
            "containerd is killed just before a pod is deleted by force",
            without_a_runtime(waits).boxed_local(),
        ),
        (
            "the namespace of a static pod's mirror is deleted",
            without_its_mirror(waits).boxed_local(),
        ),
        (
            "a pod that takes its time to end is deleted by force",
            takes_its_time(waits).boxed_local(),
        ),
        (
            "the Node of a pod that runs is deleted",
            without_its_node(waits).boxed_local(),
        ),
        (
            "a chained plugin's DEL fails for a pod that is deleted by force",
            not_torn_down(waits).boxed_local(),
        ),
        (
            "a machine is gone for good",
            machine_gone(waits).boxed_local(),
        ),
    ])
    .await
}

/// A pod that has the only address, and who waits for it.
struct Succession {
    env: TestEnv,
    worker: Worker,
    address: Ipv4Addr,
    waits: Waits,
}

impl Succession {
    /// The pod `web` runs on a worker of its own.
    async fn begin(waits: Waits, chain: Option<&str>, more: &Value) -> Result<Self> {
        let succession = Self::prepare(waits, chain).await?;
        let mut spec = pod_on(&succession.worker);
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        succession.env.pod("web", &spec).await?;
        let workers = std::slice::from_ref(&succession.worker);
        succession.env.settle_on(workers, 1).await?;
        Ok(succession)
    }

    async fn prepare(waits: Waits, chain: Option<&str>) -> Result<Self> {
        let env = TestEnv::with_pool(1).await?;
        let mut list = network("underlay");
        if let Some(plugins) = list["plugins"].as_array_mut().filter(|_| chain.is_some()) {
            plugins.push(json!({"type": "chained"}));
        }
        let worker = env.worker_with(list, chain.unwrap_or_default()).await?;
        worker.until_ready("True").await?;
        Ok(Self {
            address: env.address(10),
            env,
            worker,
            waits,
        })
    }

    async fn delete_by_force(&self) -> Result<()> {
        self.env.delete_pod("web", &by_force()).await
    }

    /// Another pod waits for the address.
    async fn next(&self) -> Result<()> {
        self.env.pod("next", &pod_spec()).await
    }

    async fn collect(&self) -> Result<()> {
        let margin = format!("{}s", self.waits.margin.as_secs());
        self.env.collect(&["--margin", &margin]).await
    }

    /// For so long, and while that holds, the collector runs and the address stays where it
    /// answers.
    async fn stays(&self, time: Duration, holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < time && holds().await? {
            self.collect().await?;
            let held = self.env.held().await?;
            let holder = held.get(&self.address.to_string()).map(String::as_str);
            ensure!(
                holder.is_some_and(|pod| pod != "next"),
                "held by {holder:?} after {:?}",
                begun.elapsed()
            );
            let answers = self.env.nodes.watch.answers(self.address).await;
            ensure!(answers, "no answer after {:?}", begun.elapsed());
            self.env.nodes.watch.ensure_unique()?;
            // Between two looks at what must not change; nothing is awaited here.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// The next pod gets the address.
    async fn end(self) -> Result<()> {
        self.env
            .until(async || {
                self.collect().await?;
                self.env.settled(&self.env.nodes.workers, 1).await
            })
            .await?;
        self.env.retire(self.worker.clone()).await
    }
}

async fn cut_off(waits: Waits) -> Result<()> {
    let web = Succession::begin(waits, None, &json!({})).await?;
    web.worker.disconnect()?;
    web.delete_by_force().await?;
    web.next().await?;
    web.stays(waits.enough(), async || Ok(true)).await?;
    web.worker.reconnect()?;
    web.end().await
}

async fn without_a_runtime(waits: Waits) -> Result<()> {
    let web = Succession::begin(waits, None, &json!({})).await?;
    web.worker.kill_containerd().await?;
    web.delete_by_force().await?;
    web.next().await?;
    web.stays(waits.enough(), async || Ok(true)).await?;
    web.worker.start_containerd().await?;
    web.end().await
}

async fn without_its_mirror(waits: Waits) -> Result<()> {
    let web = Succession::prepare(waits, None).await?;
    let namespace = format!("{}-static", web.env.name);
    let pools = json!([web.env.name]).to_string();
    web.env
        .apply(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": namespace, "annotations": {
                "ipam.leasehold.io/default-ipv4-ippool": pools,
            }},
        }))
        .await?;
    let manifest = "/etc/kubernetes/manifests/web.yaml";
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": pod_spec(),
    });
    web.worker.write(manifest, &pod.to_string())?;
    web.env
        .until(async || {
            ensure!(!web.env.held().await?.is_empty(), "nothing is held");
            ensure!(web.env.nodes.watch.answers(web.address).await, "no answer");
            Ok(())
        })
        .await?;
    // By force: by itself, the kubelet takes a minute to let the mirror go.
    let in_it = ["-n", &namespace, "--timeout=180s"];
    for words in [
        "delete namespace {} --wait=false",
        "delete pods --all --force --grace-period=0",
        "wait namespace/{} --for=delete",
    ] {
        let words = words.replace("{}", &namespace);
        let words = words.split(' ').chain(in_it).collect::<Vec<_>>();
        web.env.nodes.cluster.kubectl(&words).await?;
    }
    web.next().await?;
    web.stays(waits.enough(), async || Ok(true)).await?;
    std::fs::remove_file(web.worker.file(manifest))?;
    web.end().await
}

async fn takes_its_time(waits: Waits) -> Result<()> {
    let mut spec = pod_spec();
    spec["containers"][0]["args"] = json!(["stubborn"]);
    let more = json!({
        "terminationGracePeriodSeconds": waits.grace.as_secs(),
        "containers": spec["containers"],
    });
    let web = Succession::begin(waits, None, &more).await?;
    // By force alone, a kubelet gives it no more than two seconds. So: it hangs, and someone loses
    // patience.
    web.env.delete_pod("web", &DeleteParams::default()).await?;
    web.env.event("web", "Killing").await?;
    web.delete_by_force().await?;
    web.next().await?;
    // It is killed when its time is over; until a moment before it is there.
    let most = waits.grace.saturating_sub(Duration::from_secs(5));
    web.stays(most, async || Ok(true)).await?;
    web.end().await
}

async fn without_its_node(waits: Waits) -> Result<()> {
    let web = Succession::begin(waits, None, &json!({})).await?;
    let kubectl = ["delete", "node", web.worker.name()];
    web.env.nodes.cluster.kubectl(&kubectl).await?;
    web.next().await?;
    // The pod garbage collector deletes it, after a while of its own.
    let pods = web.env.all::<Pod>().await?;
    let there = async || Ok(pods.get_opt("web").await?.is_some());
    web.stays(PATIENCE, there).await?;
    web.end().await
}

async fn not_torn_down(waits: Waits) -> Result<()> {
    let web = Succession::begin(waits, Some(CHAINED), &json!({})).await?;
    web.worker.write("/run/chained-fails", "")?;
    web.delete_by_force().await?;
    web.next().await?;
    web.stays(waits.enough(), async || Ok(true)).await?;
    let failed = web.worker.file("/run/chained-failed").exists();
    ensure!(failed, "the DEL has not come");
    std::fs::remove_file(web.worker.file("/run/chained-fails"))?;
    web.end().await
}

async fn machine_gone(waits: Waits) -> Result<()> {
    let web = Succession::begin(waits, None, &json!({})).await?;
    web.worker.power_off()?;
    let silent = !web.env.nodes.watch.answers(web.address).await;
    ensure!(silent, "it answers without its machine");
    web.delete_by_force().await?;
    let kubectl = ["delete", "node", web.worker.name()];
    web.env.nodes.cluster.kubectl(&kubectl).await?;
    web.next().await?;
    web.end().await
}
