//! Pods on several networks, attached by the [stand-in for Multus](testbed::Tool::Multus).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};
use leasehold::api::{IPLease, State};
use serde_json::{Value, json};
use testbed::{Worker, repository};
use tokio::sync::OnceCell;

use crate::env::{Nodes, TestEnv, network, pod_on};

/// What the cluster attaches every pod of the second worker to.
const DEFAULT_NETWORK: &str = "default/fabric";

static THIN: OnceCell<Worker> = OnceCell::const_new();
static THICK: OnceCell<Worker> = OnceCell::const_new();

/// A worker where the plugin itself attaches pods, to what they ask for alone.
async fn thin(env: &TestEnv) -> Result<Worker> {
    env.unwatch();
    let start = async || start(&env.nodes, false).await;
    THIN.get_or_try_init(start).await.cloned()
}

/// A worker where a daemon does, also to a network that is the cluster's.
async fn thick(env: &TestEnv) -> Result<Worker> {
    env.unwatch();
    let start = async || {
        let pool = json!({
            "apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool",
            "metadata": {"name": "fabric"},
            // This says that the name is a network's: the interface's does not.
            "spec": {"subnet": "10.81.0.0/24", "cooldownSeconds": 1, "multusName": [DEFAULT_NETWORK]},
        });
        env.apply(&pool).await?;
        let worker = start(&env.nodes, true).await?;
        let ipam = json!({"type": "leasehold", "ipv4Pools": ["fabric"]});
        env.apply(&definition("default", "fabric", &json!({"ipam": ipam})))
            .await?;
        Ok(worker)
    };
    THICK.get_or_try_init(start).await.cloned()
}

async fn start(nodes: &Nodes, thick: bool) -> Result<Worker> {
    let kind = repository().join("tests/e2e/examples/network-attachment-definitions.yaml");
    nodes.cluster.apply(&kind).await?;
    let name = if thick { "multus-thick" } else { "multus-thin" };
    let worker = nodes.cluster.worker(name, &nodes.segment).reserved();
    let worker = worker.image(&nodes.image).network(network("underlay"));
    let worker = if thick {
        worker.thick_multus(&[DEFAULT_NETWORK])
    } else {
        worker.multus(&[])
    };
    let worker = worker.start().await?;
    worker.until_ready("True").await?;
    Ok(worker)
}

/// A network beside the first: macvlan, with more keys.
fn definition(namespace: &str, name: &str, more: &Value) -> Value {
    let mut config = json!({
        "cniVersion": "1.0.0", "type": "macvlan", "master": "eth0", "mode": "bridge",
        "ipam": {"type": "leasehold"},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    json!({
        "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"config": config.to_string()},
    })
}

/// An interface of a pod.
#[derive(Debug, PartialEq)]
struct Interface {
    pool: String,
    address: Ipv4Addr,
}

impl TestEnv {
    /// A definition in the case's namespace, and a pool of the same name for it.
    async fn network(&self, name: &str, first: u8, count: u8, more: &Value) -> Result<()> {
        self.apply(&definition(&self.name, name, more)).await?;
        self.pool_of(&self.pool_for(name), first, count, 1).await
    }

    fn pool_for(&self, network: &str) -> String {
        format!("{}-{network}", self.name)
    }

    /// Creates a pod with annotations.
    async fn attached(&self, name: &str, worker: &Worker, annotations: &Value) -> Result<()> {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": self.name, "annotations": annotations},
            "spec": pod_on(worker),
        });
        self.apply(&pod).await
    }

    /// The interfaces of a pod by its leases.
    async fn leased(&self, pod: &str) -> Result<BTreeMap<String, Interface>> {
        let leases: Api<IPLease> = Api::all(self.nodes.cluster.admin().await?);
        let leases = leases.list(&ListParams::default()).await?.items.into_iter();
        let mut interfaces = BTreeMap::new();
        let mut containers = BTreeSet::new();
        for spec in leases.map(|lease| lease.spec) {
            let holder = spec.holder.clone().unwrap_or_default();
            let held = spec.state == State::Held;
            if !held || holder.namespace != self.name || holder.pod != pod {
                continue;
            }
            containers.insert(holder.container);
            let interface = Interface {
                pool: spec.pool,
                address: spec.address.parse()?,
            };
            let before = interfaces.insert(holder.interface, interface);
            ensure!(before.is_none(), "two leases of an interface: {before:?}");
        }
        ensure!(containers.len() <= 1, "several containers: {containers:?}");
        Ok(interfaces)
    }

    /// Waits until a pod runs and has exactly these interfaces, each with an address of this pool:
    /// by its leases, in its network namespace, and in the annotation that Multus writes.
    async fn until_attached(
        &self,
        worker: &Worker,
        pod: &str,
        wanted: &[(&str, String)],
    ) -> Result<BTreeMap<String, Ipv4Addr>> {
        self.until(async || {
            let leased = self.leased(pod).await?;
            let pools: Vec<(&str, String)> = leased
                .iter()
                .map(|(name, interface)| (name.as_str(), interface.pool.clone()))
                .collect();
            let sorted: BTreeMap<_, _> = wanted.iter().cloned().collect();
            ensure!(
                sorted.into_iter().eq(pools.iter().cloned()),
                "leases: {leased:?}"
            );
            let addresses: BTreeMap<String, Ipv4Addr> = leased
                .into_iter()
                .map(|(name, interface)| (name, interface.address))
                .collect();
            let stored = self.all::<Pod>().await?.get(pod).await?;
            let reported = reported(&stored)?;
            ensure!(
                addresses == reported,
                "{addresses:?}, reported {reported:?}"
            );
            let present = present(worker, &stored, addresses.keys())?;
            ensure!(addresses == present, "{addresses:?}, present {present:?}");
            Ok(addresses)
        })
        .await
    }

    /// Waits until no pod of the case holds anything.
    async fn until_nothing_is_held(&self, pods: &[&str]) -> Result<()> {
        self.until(async || {
            for pod in pods {
                let leased = self.leased(pod).await?;
                ensure!(leased.is_empty(), "{pod}: {leased:?}");
            }
            Ok(())
        })
        .await
    }
}

/// The items of the annotation `network-status`.
fn status(pod: &Pod) -> Result<Vec<Value>> {
    let annotations = pod.metadata.annotations.as_ref();
    let status = annotations.and_then(|all| all.get("k8s.v1.cni.cncf.io/network-status"));
    serde_json::from_str(status.context("no network-status yet")?).context("read network-status")
}

fn reported(pod: &Pod) -> Result<BTreeMap<String, Ipv4Addr>> {
    let status = status(pod)?;
    let address = |item: &Value| item["ips"][0].as_str()?.parse().ok();
    let of = |item: &Value| Some((item["interface"].as_str()?.to_owned(), address(item)?));
    Ok(status.iter().filter_map(of).collect())
}

/// What the pod's network namespace has.
fn present<'a>(
    worker: &Worker,
    pod: &Pod,
    interfaces: impl Iterator<Item = &'a String>,
) -> Result<BTreeMap<String, Ipv4Addr>> {
    let sandboxes = worker.sandboxes()?;
    let mut own = sandboxes
        .iter()
        .filter(|sandbox| Some(&sandbox.pod_uid) == pod.metadata.uid.as_ref());
    let sandbox = own.next().context("no sandbox")?;
    let mut present = BTreeMap::new();
    for interface in interfaces {
        for address in sandbox.addresses(interface)? {
            let address = address.addr().to_string().parse()?;
            present.insert(interface.clone(), address);
        }
    }
    Ok(present)
}

/// The pools of a pod that is attached to `storage`, and to `video` as `cam0`.
fn pools(env: &TestEnv) -> [(&'static str, String); 3] {
    [
        ("eth0", env.name.clone()),
        ("net1", env.pool_for("storage")),
        ("cam0", env.pool_for("video")),
    ]
}

#[tokio::test]
async fn each_interface_of_a_pod_has_an_address_of_its_own_pool() -> Result<()> {
    let env = TestEnv::with_pool(2).await?;
    let worker = thin(&env).await?;
    env.network("storage", 100, 2, &json!({})).await?;
    env.network("video", 110, 2, &json!({})).await?;
    let pools = pools(&env);
    let annotations = json!({
        "k8s.v1.cni.cncf.io/networks": format!("storage, {}/video@cam0", env.name),
        "ipam.leasehold.io/ippools": json!([
            {"interface": "eth0", "ipv4": [pools[0].1]},
            {"interface": "net1", "ipv4": [pools[1].1]},
            {"interface": "cam0", "ipv4": [pools[2].1]},
        ]).to_string(),
    });
    env.attached("web", &worker, &annotations).await?;
    let addresses = env.until_attached(&worker, "web", &pools).await?;

    let mark = env.nodes.cluster.mark().await?;
    env.delete_pod("web", &DeleteParams::default()).await?;
    env.until_nothing_is_held(&["web"]).await?;
    let requests = env.nodes.cluster.requests_since(&mark).await?;
    let released: Vec<&str> = requests
        .iter()
        .filter(|request| request.verb == "update" && request.resource() == "ipleases")
        .map(testbed::Request::name)
        .filter(|name| {
            addresses
                .values()
                .any(|address| address.to_string() == *name)
        })
        .collect();
    let last_first: Vec<String> = ["cam0", "net1", "eth0"]
        .map(|name| addresses[name].to_string())
        .into();
    ensure!(released == last_first, "released in the order {released:?}");
    Ok(())
}

#[tokio::test]
async fn a_pod_has_the_addresses_and_the_mac_that_its_annotation_asks_for() -> Result<()> {
    let env = TestEnv::with_pool(2).await?;
    let worker = thin(&env).await?;
    let capable = json!({"capabilities": {"ips": true, "mac": true}});
    env.network("storage", 100, 8, &capable).await?;
    // Without the capability, what is asked for comes in CNI_ARGS alone.
    env.network("video", 110, 8, &json!({})).await?;
    let mac = format!("02:00:00:00:{:02x}:07", env.address(0).octets()[2]);
    let pools = pools(&env);
    let annotations = json!({
        "k8s.v1.cni.cncf.io/networks": json!([
            {"name": "storage", "ips": [format!("{}/24", env.address(107))], "mac": mac},
            {"name": "video", "namespace": env.name, "interface": "cam0", "ips": [env.address(115)]},
        ]).to_string(),
        "ipam.leasehold.io/ippools": json!([
            {"ipv4": [pools[0].1]}, {"ipv4": [pools[1].1]}, {"ipv4": [pools[2].1]},
        ]).to_string(),
    });
    env.attached("web", &worker, &annotations).await?;
    let addresses = env.until_attached(&worker, "web", &pools).await?;
    ensure!(
        addresses["net1"] == env.address(107) && addresses["cam0"] == env.address(115),
        "{addresses:?}"
    );
    let web = env.all::<Pod>().await?.get("web").await?;
    ensure!(status(&web)?[1]["mac"] == json!(mac), "{:?}", status(&web)?);
    env.delete_pod("web", &DeleteParams::default()).await?;
    env.until_nothing_is_held(&["web"]).await
}

#[tokio::test]
async fn a_pod_whose_second_network_is_full_holds_nothing_and_starts_once_there_is_room()
-> Result<()> {
    let env = TestEnv::with_pool(2).await?;
    let worker = thin(&env).await?;
    env.network("storage", 100, 1, &json!({})).await?;
    let storage = env.pool_for("storage");
    let annotations = json!({
        "k8s.v1.cni.cncf.io/networks": "storage",
        "ipam.leasehold.io/ippools":
            json!([{"ipv4": [env.name]}, {"ipv4": [storage]}]).to_string(),
    });
    let wanted = [("eth0", env.name.clone()), ("net1", storage.clone())];
    env.attached("first", &worker, &annotations).await?;
    env.until_attached(&worker, "first", &wanted).await?;
    env.attached("second", &worker, &annotations).await?;
    let refusal = env.event("second", "FailedCreatePodSandBox").await?;
    ensure!(
        refusal.contains(&storage) && refusal.contains("1 held"),
        "{refusal}"
    );
    env.until_nothing_is_held(&["second"]).await?;
    env.pool_of(&storage, 100, 2, 1).await?;
    env.until_attached(&worker, "second", &wanted).await?;
    for pod in ["first", "second"] {
        env.delete_pod(pod, &DeleteParams::default()).await?;
    }
    env.until_nothing_is_held(&["first", "second"]).await
}

#[tokio::test]
async fn all_addresses_come_back_without_what_multus_has_kept() -> Result<()> {
    let env = TestEnv::with_pool(2).await?;
    let worker = thin(&env).await?;
    env.network("storage", 100, 2, &json!({})).await?;
    let storage = env.pool_for("storage");
    let annotations = json!({
        "k8s.v1.cni.cncf.io/networks": "storage",
        "ipam.leasehold.io/ippools":
            json!([{"ipv4": [env.name]}, {"ipv4": [storage]}]).to_string(),
    });
    let wanted = [("eth0", env.name.clone()), ("net1", storage)];
    let pods = ["without-results", "without-list"];
    for pod in pods {
        env.attached(pod, &worker, &annotations).await?;
        env.until_attached(&worker, pod, &wanted).await?;
    }
    for (pod, lost) in pods.into_iter().zip(["/results/*", "/*"]) {
        let uid = env.all::<Pod>().await?.get(pod).await?.metadata.uid;
        let sandboxes = worker.sandboxes()?.into_iter();
        let mut own = sandboxes.filter(|sandbox| Some(&sandbox.pod_uid) == uid.as_ref());
        let id = own.next().context("no sandbox")?.id;
        let remove = format!("rm /var/lib/cni/multus{lost}{id}*");
        worker.run(&["sh", "-c", &remove])?;
        env.delete_pod(pod, &DeleteParams::default()).await?;
        env.until_nothing_is_held(&[pod]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn pods_keep_to_their_pools_where_the_cluster_attaches_a_network_before_theirs() -> Result<()>
{
    let env = TestEnv::with_pool(6).await?;
    let worker = thick(&env).await?;
    // The namespace's default would be for the cluster's network too.
    let none = "ipam.leasehold.io/default-ipv4-ippool-";
    let kubectl = ["annotate", "namespace", &env.name, none];
    env.nodes.cluster.kubectl(&kubectl).await?;
    env.network("storage", 100, 6, &json!({})).await?;
    let storage = env.pool_for("storage");
    let annotations = json!({
        "k8s.v1.cni.cncf.io/networks": "storage",
        // The pod's own networks: it need not know of the cluster's.
        "ipam.leasehold.io/ippools":
            json!([{"ipv4": [env.name]}, {"ipv4": [storage]}]).to_string(),
    });
    // At once: the daemon has a tenth of a CPU for all of them.
    let pods = ["one", "two", "three", "four", "five", "six"];
    for pod in pods {
        env.attached(pod, &worker, &annotations).await?;
    }
    let wanted = [
        ("eth0", env.name.clone()),
        ("net1", "fabric".to_owned()),
        ("net2", storage),
    ];
    for pod in pods {
        env.until_attached(&worker, pod, &wanted).await?;
    }
    ensure!(worker.multus_oom_kills()? == 0, "not within 50 Mi");
    for pod in pods {
        env.delete_pod(pod, &DeleteParams::default()).await?;
    }
    env.until_nothing_is_held(&pods).await
}
