//! The cluster that all cases share, and a part of it for each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, DeleteParams, ListParams};
use leasehold::api::{Holder, IPLease, State};
use serde_json::{Value, json};
use testbed::{Cluster, Segment, Worker, WorkerBuilder, repository};
use tokio::sync::OnceCell;

use crate::watch::Watch;
use crate::{COLLECTOR, PLUGIN};

/// What is waited for takes seconds on an idle machine; this is for a busy one.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// The cluster and its two workers.
pub struct Nodes {
    pub cluster: Cluster,
    /// The archive of our image.
    pub image: PathBuf,
    pub segment: Segment,
    pub workers: [Worker; 2],
    pub watch: Watch,
}

static NODES: OnceCell<Arc<Nodes>> = OnceCell::const_new();

impl Nodes {
    /// As the README says: kinds, `deploy/`, and the installer, which places the plugin on every
    /// node.
    async fn start() -> Result<Arc<Self>> {
        let cluster = Cluster::builder().bare().workloads().start().await?;
        for folder in ["crds", "deploy", "deploy/installer"] {
            let folder = repository().join(folder).display().to_string();
            cluster.kubectl(&["apply", "-k", &folder]).await?;
        }
        let image = image(&cluster)?;
        let segment = Segment::new()?;
        let start = |name: &'static str| {
            let worker = cluster.worker(name, &segment).image(&image);
            worker.network(network("underlay")).start()
        };
        let (one, two) = tokio::try_join!(start("worker-1"), start("worker-2"))?;
        tokio::try_join!(one.until_ready("True"), two.until_ready("True"))?;
        let installed = [
            "rollout",
            "status",
            "daemonset/leasehold-installer",
            "--timeout=180s",
        ];
        cluster
            .kubectl(&[&["-n", "leasehold-system"], &installed[..]].concat())
            .await?;
        let workers = [one, two];
        Ok(Arc::new(Self {
            watch: Watch::start(&segment)?,
            cluster,
            image,
            segment,
            workers,
        }))
    }
}

/// Our image, of the programs under test.
pub fn image(cluster: &Cluster) -> Result<PathBuf> {
    let archive = cluster.dir().join("leasehold.tar");
    let binaries = Path::new(PLUGIN)
        .parent()
        .context("the folder of the plugin")?;
    let out = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "run",
            "--quiet",
            "--package=xtask",
            "--",
            "image",
            "--uncompressed",
        ])
        .arg("--binaries")
        .arg(binaries)
        .arg("--output")
        .arg(&archive)
        .current_dir(repository())
        .output()
        .context("run cargo xtask image")?;
    let errors = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.success(), "cargo xtask image: {errors}");
    Ok(archive)
}

/// A network whose pods have an interface on the node's own.
pub fn network(name: &str) -> Value {
    json!({"cniVersion": "1.1.0", "name": name, "plugins": [
        {"type": "macvlan", "master": "eth0", "mode": "bridge", "ipam": {"type": "leasehold"}},
    ]})
}

/// The specification of a pod that only has to be there.
pub fn pod_spec() -> Value {
    json!({
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": false,
        "containers": [{"name": "main", "image": "local.test/pause:1", "imagePullPolicy": "Never"}],
    })
}

/// The same on this worker.
pub fn pod_on(worker: &Worker) -> Value {
    let mut spec = pod_spec();
    spec["nodeName"] = json!(worker.name());
    spec
}

/// A case's part of the cluster: a namespace, whose pods take addresses from a pool that no other
/// case uses.
pub struct TestEnv {
    pub nodes: Arc<Nodes>,
    pub name: String,
    number: u8,
}

impl TestEnv {
    /// A namespace with a pool of so many addresses.
    pub async fn with_pool(addresses: u8) -> Result<Self> {
        let nodes = NODES.get_or_try_init(Nodes::start).await?.clone();
        Self::of(nodes, addresses).await
    }

    /// The same in a cluster that no other case uses, for faults that all would notice.
    pub async fn in_a_cluster_of_its_own(addresses: u8) -> Result<Self> {
        Self::of(Nodes::start().await?, addresses).await
    }

    async fn of(nodes: Arc<Nodes>, addresses: u8) -> Result<Self> {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let env = Self {
            nodes,
            name: format!("case{number}"),
            number,
        };
        env.segment_of_pods()?;
        env.pool(addresses, 1).await?;
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": env.name, "annotations": {
                "ipam.leasehold.io/default-ipv4-ippool": json!([env.name]).to_string(),
            }},
        });
        env.apply(&namespace).await?;
        Ok(env)
    }

    /// The pool of the case: so many addresses, which no other case gets for so long after their
    /// release.
    pub async fn pool(&self, addresses: u8, cooldown: u32) -> Result<()> {
        self.nodes
            .watch
            .add((10..10 + addresses).map(|host| self.address(host)));
        self.pool_of(&self.name, 10, addresses, cooldown).await
    }

    /// A pool of so many of the case's addresses, from the first one on, which no one watches.
    pub async fn pool_of(&self, name: &str, first: u8, count: u8, cooldown: u32) -> Result<()> {
        let last = self.address(first + count - 1);
        let pool = json!({
            "apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool",
            "metadata": {"name": name},
            "spec": {
                "subnet": format!("{}/24", self.address(0)),
                "ips": [format!("{}-{last}", self.address(first))],
                "gateway": self.address(1),
                "cooldownSeconds": cooldown,
            },
        });
        self.apply(&pool).await
    }

    /// One of the case's addresses.
    pub fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 80, self.number, host)
    }

    /// The gateway of the pool answers on the segment.
    fn segment_of_pods(&self) -> Result<()> {
        let gateway = format!("{}/24", self.address(1));
        self.nodes.segment.add_neighbor(&gateway)
    }

    /// Several interfaces of a pod may have the addresses of the case. On one segment, each of them
    /// answers for all.
    pub fn unwatch(&self) {
        let subnet = self.address(0).octets();
        let watch = &self.nodes.watch;
        watch.remove(|address| address.octets()[..3] == subnet[..3]);
    }

    /// A worker of the case's own with this network, on which nothing runs but the installer and
    /// the pods that name it.
    pub async fn worker(&self, network: Value) -> Result<Worker> {
        self.worker_with(network, "").await
    }

    /// The same with this script as the plugin `chained`.
    pub async fn worker_with(&self, network: Value, chained: &str) -> Result<Worker> {
        let worker = self.machine("node").network(network).start().await?;
        worker.write("/opt/cni/bin/chained", chained)?;
        worker.run(&["chmod", "755", "/opt/cni/bin/chained"])?;
        worker.run(&["mkdir", "-p", "/var/lib/metrics"])?;
        Ok(worker)
    }

    /// A worker of the case's own, to be started.
    pub fn machine(&self, name: &str) -> WorkerBuilder {
        let nodes = &self.nodes;
        let name = format!("{}-{name}", self.name);
        let worker = nodes.cluster.worker(&name, &nodes.segment);
        worker.image(&nodes.image).reserved()
    }

    /// Removes a worker of the case's own, and its Node object.
    pub async fn retire(&self, worker: Worker) -> Result<()> {
        let name = worker.name().to_owned();
        drop(worker);
        self.nodes
            .cluster
            .kubectl(&["delete", "node", &name, "--ignore-not-found"])
            .await?;
        Ok(())
    }

    /// Waits for an event of this pod with this reason, and returns its message.
    pub async fn event(&self, pod: &str, reason: &str) -> Result<String> {
        let fields = format!("involvedObject.name={pod},reason={reason}");
        let fields = ListParams::default().fields(&fields);
        self.until(async || {
            let events = self.all::<Event>().await?.list(&fields).await?.items;
            let message = events.into_iter().find_map(|event| event.message);
            message.with_context(|| format!("no event {reason} of {pod}"))
        })
        .await
    }

    /// Applies an object.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        self.nodes.cluster.apply_yaml(&object.to_string()).await
    }

    /// Creates a pod.
    pub async fn pod(&self, name: &str, spec: &Value) -> Result<()> {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": self.name},
            "spec": spec,
        });
        self.apply(&pod).await
    }

    /// Deletes a pod.
    pub async fn delete_pod(&self, name: &str, how: &DeleteParams) -> Result<()> {
        self.all::<Pod>().await?.delete(name, how).await?;
        Ok(())
    }

    /// A run of the collector, whose marks are the case's.
    pub async fn collect(&self, flags: &[&str]) -> Result<()> {
        let mut command = tokio::process::Command::new(COLLECTOR);
        command
            .args(["--namespace", &self.name])
            .arg("--kubeconfig")
            .arg(self.nodes.cluster.kubeconfig())
            .args(flags);
        let out = command.stdin(Stdio::null()).output().await?;
        // 1: partly done, which is the business of other cases.
        let read = matches!(out.status.code(), Some(0 | 1));
        ensure!(read, "{}", String::from_utf8_lossy(&out.stderr));
        Ok(())
    }

    /// The case's objects of a kind.
    pub async fn all<K>(&self) -> Result<Api<K>>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Ok(Api::namespaced(
            self.nodes.cluster.admin().await?,
            &self.name,
        ))
    }

    /// The case's pods.
    pub async fn pods(&self) -> Result<Vec<Pod>> {
        Ok(self
            .all::<Pod>()
            .await?
            .list(&ListParams::default())
            .await?
            .items)
    }

    /// The addresses of the case that are held, each with its pod.
    pub async fn held(&self) -> Result<BTreeMap<String, String>> {
        self.held_by(|holder| holder.pod).await
    }

    /// The addresses of the case that are held, each with what tells its holder.
    pub async fn held_by(
        &self,
        who: impl Fn(Holder) -> String,
    ) -> Result<BTreeMap<String, String>> {
        let leases: Api<IPLease> = Api::all(self.nodes.cluster.admin().await?);
        let pools = [self.name.clone(), format!("subnet/{}", self.name)];
        let leases = leases.list(&ListParams::default()).await?.items;
        Ok(leases
            .into_iter()
            .filter(|lease| lease.spec.state == State::Held && pools.contains(&lease.spec.pool))
            .filter_map(|lease| Some((lease.spec.address, who(lease.spec.holder?))))
            .collect())
    }

    /// Waits until exactly so many pods are there, all running and none ending, and each of them
    /// holds exactly the address that its status and its network namespace show; nothing else is
    /// held. Pods that are finished do not count.
    pub async fn settle(&self, pods: usize) -> Result<BTreeMap<String, String>> {
        self.settle_on(&self.nodes.workers, pods).await
    }

    /// The same where the pods may be on these workers.
    pub async fn settle_on(
        &self,
        workers: &[Worker],
        pods: usize,
    ) -> Result<BTreeMap<String, String>> {
        self.until(async || self.settled(workers, pods).await).await
    }

    /// Whether it is so now.
    pub async fn settled(
        &self,
        workers: &[Worker],
        expected: usize,
    ) -> Result<BTreeMap<String, String>> {
        self.nodes.watch.ensure_unique()?;
        let mut pods = self.pods().await?;
        pods.retain(|pod| !is_finished(pod));
        ensure!(
            pods.len() == expected,
            "{} pods, not {expected}",
            pods.len()
        );
        let mut shown = BTreeMap::new();
        for pod in &pods {
            let name = pod.metadata.name.clone().unwrap_or_default();
            shown.insert(address(workers, pod).with_context(|| name.clone())?, name);
        }
        let held = self.held().await?;
        ensure!(held == shown, "held are {held:?}, shown are {shown:?}");
        Ok(held)
    }

    /// Repeats a look until it succeeds; the error is the last one's.
    pub async fn until<T>(&self, look: impl AsyncFn() -> Result<T>) -> Result<T> {
        match until(look).await {
            Ok(found) => Ok(found),
            Err(error) => {
                let events = self.events().await.unwrap_or_default();
                bail!("{error:#}\n{events}")
            }
        }
    }

    /// What happened in the case's namespace, for messages.
    pub async fn events(&self) -> Result<String> {
        let kubectl = ["get", "events,pods", "-n", &self.name, "-o", "wide"];
        self.nodes.cluster.kubectl(&kubectl).await
    }
}

/// Repeats a look until it succeeds; the error is the last one's.
pub async fn until<T>(look: impl AsyncFn() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return Ok(found),
            Err(error) if begun.elapsed() > PATIENCE => {
                return Err(error.context(anyhow!("after {PATIENCE:?}")));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        self.unwatch();
    }
}

fn is_finished(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The address that a running pod's status and its network namespace show.
fn address(workers: &[Worker], pod: &Pod) -> Result<String> {
    ensure!(pod.metadata.deletion_timestamp.is_none(), "is ending");
    let status = pod.status.as_ref().context("no status")?;
    let phase = status.phase.as_deref().unwrap_or_default();
    ensure!(phase == "Running", "{phase}");
    let reported = status.pod_ip.clone().context("no address in its status")?;
    let uid = pod.metadata.uid.as_deref().context("no uid")?;
    let sandboxes = workers.iter().map(Worker::sandboxes);
    let sandboxes: Vec<_> = sandboxes.collect::<Result<Vec<_>>>()?.concat();
    let mut of_pod = sandboxes.iter().filter(|sandbox| sandbox.pod_uid == uid);
    let sandbox = of_pod.next().context("no sandbox")?;
    ensure!(of_pod.next().is_none(), "two sandboxes");
    let present = sandbox.addresses("eth0")?;
    let present: BTreeSet<String> = present.iter().map(|net| net.addr().to_string()).collect();
    ensure!(
        present == BTreeSet::from([reported.clone()]),
        "reports {reported}, has {present:?}"
    );
    Ok(reported)
}
