//! A StatefulSet's pods have the same addresses however they are replaced and wherever they run.
//!
//! As long as the former pod of a name may be running, the next one waits, and its event says for
//! what. The pools have addresses to spare: a pod that did not wait would have another one, or one
//! that two interfaces answer for.

use std::collections::BTreeMap;
use std::slice::from_ref;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::{FutureExt, try_join_all};
use k8s_openapi::api::core::v1::{Event, Node};
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::{Value, json};
use testbed::Worker;

use crate::at_once::at_once;
use crate::env::{TestEnv, network, pod_spec};
use crate::faults::by_force;

/// The collector's `--margin`. It can be this short because no kubelet here has to find out that
/// its runtime is dead.
const MARGIN: Duration = Duration::from_secs(5);

/// How long an ADD waits before its pod has an event; by default it is ten times as long.
const ADD_TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn each_pod_of_a_stateful_set_has_its_address_again_however_it_is_replaced() -> Result<()> {
    let env = TestEnv::with_pool(8).await?;
    env.workload("StatefulSet", "db", &five()).await?;
    let first = env.settle(5).await?;
    let are_the_same = async |what: &str| {
        let now = env.settle(5).await?;
        ensure!(now == first, "{what}: {first:?}, then {now:?}");
        Ok(())
    };
    let rolled = ["rollout", "status", "statefulset/db", "--timeout=180s"];

    env.kubectl(&["rollout", "restart", "statefulset/db"])
        .await?;
    env.kubectl(&rolled).await?;
    are_the_same("rolled").await?;

    for worker in &env.nodes.workers {
        let labels = json!({"kubernetes.io/hostname": worker.name()});
        let patch = json!({"spec": {"template": {"spec": {"nodeSelector": labels}}}}).to_string();
        env.kubectl(&["patch", "statefulset/db", "-p", &patch])
            .await?;
        env.kubectl(&rolled).await?;
        are_the_same("moved").await?;
    }

    for replicas in [2, 5] {
        let to = format!("--replicas={replicas}");
        env.kubectl(&["scale", "statefulset/db", &to]).await?;
        env.settle(replicas).await?;
    }
    are_the_same("scaled").await?;

    for how in [DeleteParams::default(), by_force()] {
        for pod in first.values() {
            env.replace(pod, &how).await?;
        }
        are_the_same("deleted").await?;
    }
    Ok(())
}

#[tokio::test]
async fn each_pod_of_a_stateful_set_has_its_address_again_after_a_drain() -> Result<()> {
    let set = StatefulSet::begin().await?;
    for (from, to) in [(&set.home, &set.spare), (&set.spare, &set.home)] {
        set.administer(&["uncordon", to.name()]).await?;
        set.administer(&["drain", from.name(), "--ignore-daemonsets"])
            .await?;
        set.is_served_on(to).await?;
    }
    set.end().await
}

#[tokio::test]
async fn each_pod_of_a_stateful_set_has_its_address_again_once_the_former_pod_is_known_to_be_gone()
-> Result<()> {
    at_once([
        (
            "a node that was cut off is back",
            cut_off_and_back().boxed_local(),
        ),
        (
            "a node whose kubelet was dead loses its power, and its Node is deleted",
            silent_and_deleted().boxed_local(),
        ),
        (
            "a node loses its power, and is tainted out-of-service",
            out_of_service().boxed_local(),
        ),
    ])
    .await
}

async fn cut_off_and_back() -> Result<()> {
    let set = StatefulSet::begin().await?;
    set.home.disconnect()?;
    set.wait_for_the_former_pods().await?;
    set.home.reconnect()?;
    set.is_served_on(&set.spare).await?;
    set.end().await
}

async fn silent_and_deleted() -> Result<()> {
    let set = StatefulSet::begin().await?;
    set.home.kill_kubelet().await?;
    set.wait_for_the_former_pods().await?;
    set.power_off().await?;
    set.administer(&["delete", "node", set.home.name()]).await?;
    set.is_served_in_the_end().await?;
    set.end().await
}

/// The taint alone is no proof: the node may be alive. Kubernetes then deletes the pods by force.
async fn out_of_service() -> Result<()> {
    let set = StatefulSet::begin().await?;
    let before = set.holders().await?;
    set.administer(&["uncordon", set.spare.name()]).await?;
    set.power_off().await?;
    let taint = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute";
    set.administer(&["taint", "node", set.home.name(), taint])
        .await?;
    loop {
        set.collect().await?;
        let now = set.holders().await?;
        // Read last: what was Ready after that was Ready before.
        if !set.home_is_ready().await? {
            break;
        }
        ensure!(now == before, "held by {before:?}, then by {now:?}");
        // Between two looks at what must not change.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    set.is_served_in_the_end().await?;
    set.end().await
}

/// A StatefulSet of five pods, all of which run on one worker, and another worker.
struct StatefulSet {
    env: TestEnv,
    home: Worker,
    /// Cordoned.
    spare: Worker,
    first: BTreeMap<String, String>,
}

impl StatefulSet {
    async fn begin() -> Result<Self> {
        let env = TestEnv::with_pool(8).await?;
        let (home, spare) = tokio::try_join!(worker(&env, "home"), worker(&env, "spare"))?;
        env.nodes.cluster.kubectl(&["cordon", spare.name()]).await?;
        let mut spec = pod_spec();
        spec["nodeSelector"] = json!({LABEL: env.name});
        spec["tolerations"] = json!([{"key": "testbed.local/reserved", "operator": "Exists"}]);
        let mut set = five();
        set["template"] = json!({"metadata": {"labels": {"app": "db"}}, "spec": spec});
        env.workload("StatefulSet", "db", &set).await?;
        let first = env.settle_on(from_ref(&home), 5).await?;
        Ok(Self {
            env,
            home,
            spare,
            first,
        })
    }

    async fn administer(&self, args: &[&str]) -> Result<()> {
        self.env.nodes.cluster.kubectl(args).await.map(drop)
    }

    /// Its node is silent, and its pods are deleted by force: their successors wait on the other
    /// worker, while the old interfaces answer.
    async fn wait_for_the_former_pods(&self) -> Result<()> {
        let before = self.holders().await?;
        self.administer(&["cordon", self.home.name()]).await?;
        self.administer(&["uncordon", self.spare.name()]).await?;
        for pod in self.first.values() {
            self.env.replace(pod, &by_force()).await?;
        }
        let begun = Instant::now();
        while begun.elapsed() < 3 * MARGIN {
            self.collect().await?;
            let now = self.holders().await?;
            ensure!(now == before, "held by {before:?}, then by {now:?}");
            let answering = self.answering().await?;
            ensure!(
                answering.iter().eq(self.first.keys()),
                "only {answering:?} answer"
            );
            self.env.nodes.watch.ensure_unique()?;
            // Between two looks at what must not change.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        for (address, pod) in &self.first {
            self.says_what_it_waits_for(pod, address).await?;
        }
        Ok(())
    }

    async fn says_what_it_waits_for(&self, pod: &str, address: &str) -> Result<()> {
        let (namespace, home) = (&self.env.name, self.home.name());
        let expected = [
            format!("{address} is kept for pod {namespace}/{pod}"),
            format!("an earlier pod of that name has it on node {home}"),
            format!("comes free when node {home} has torn that pod down"),
            "delete its Node object".to_owned(),
            "node.kubernetes.io/out-of-service".to_owned(),
        ];
        let fields = format!("involvedObject.name={pod},reason=FailedCreatePodSandBox");
        let fields = ListParams::default().fields(&fields);
        self.env
            .until(async || {
                let events = self.env.all::<Event>().await?.list(&fields).await?;
                let messages = events.into_iter().filter_map(|event| event.message);
                let messages: Vec<String> = messages.collect();
                let says_all = |message: &&String| expected.iter().all(|it| message.contains(it));
                let found = messages.iter().find(says_all);
                ensure!(found.is_some(), "{messages:?}, not {expected:?}");
                Ok(())
            })
            .await
    }

    /// All pods run on this worker, with the addresses that they had at first.
    async fn is_served_on(&self, worker: &Worker) -> Result<()> {
        let now = self.env.settle_on(from_ref(worker), 5).await?;
        ensure!(now == self.first, "{:?}, then {now:?}", self.first);
        Ok(())
    }

    /// The same on the other worker, once the collector has done its part.
    async fn is_served_in_the_end(&self) -> Result<()> {
        self.env
            .until(async || {
                self.collect().await?;
                self.env.settled(from_ref(&self.spare), 5).await
            })
            .await?;
        self.is_served_on(&self.spare).await
    }

    async fn power_off(&self) -> Result<()> {
        self.home.power_off()?;
        let answering = self.answering().await?;
        ensure!(
            answering.is_empty(),
            "{answering:?} answer without their machine"
        );
        Ok(())
    }

    async fn collect(&self) -> Result<()> {
        let margin = format!("{}s", MARGIN.as_secs());
        self.env.collect(&["--margin", &margin]).await
    }

    /// The addresses that an interface answers for.
    async fn answering(&self) -> Result<Vec<String>> {
        let watch = &self.env.nodes.watch;
        let answers = self.first.keys().map(async |address| {
            let answers = watch.answers(address.parse()?).await;
            anyhow::Ok(answers.then(|| address.clone()))
        });
        Ok(try_join_all(answers).await?.into_iter().flatten().collect())
    }

    /// The addresses that are held, each with the uid of its pod.
    async fn holders(&self) -> Result<BTreeMap<String, String>> {
        self.env.held_by(|holder| holder.uid).await
    }

    async fn home_is_ready(&self) -> Result<bool> {
        let nodes: Api<Node> = Api::all(self.env.nodes.cluster.admin().await?);
        let status = nodes.get(self.home.name()).await?.status;
        let conditions = status.and_then(|status| status.conditions);
        Ok(conditions
            .into_iter()
            .flatten()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True"))
    }

    async fn end(self) -> Result<()> {
        let Self {
            env, home, spare, ..
        } = self;
        env.kubectl(&["delete", "statefulset", "db"]).await?;
        env.settle_on(&[home.clone(), spare.clone()], 0).await?;
        env.retire(home).await?;
        env.retire(spare).await
    }
}

/// Which case's pods a worker is for.
const LABEL: &str = "testbed.local/case";

async fn worker(env: &TestEnv, name: &str) -> Result<Worker> {
    let mut network = network("underlay");
    network["plugins"][0]["ipam"]["timeoutSeconds"] = json!(ADD_TIMEOUT.as_secs());
    let machine = env.machine(name).label(LABEL, &env.name);
    let worker = machine.network(network).start().await?;
    worker.until_ready("True").await?;
    Ok(worker)
}

fn five() -> Value {
    json!({"replicas": 5, "serviceName": "db", "podManagementPolicy": "Parallel"})
}
