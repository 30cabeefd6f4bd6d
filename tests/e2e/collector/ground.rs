//! A cluster for the collector, its identity, and pods that have addresses.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, ListParams, PostParams};
use leasehold::api::{IPLease, IPPool, State};
use serde_json::{Value, json};
use testbed::{Attachment, Call, Cluster, Kubeconfig, Node, Outcome, Pod, Sandbox};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::PLUGIN;

pub const COLLECTOR: &str = env!("CARGO_BIN_EXE_leasehold-gc");

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static TURN: Mutex<()> = Mutex::const_new(());

/// One test's turn, and its pool.
pub struct Ground {
    pub cluster: Cluster,
    /// The pool's name, and the namespace of the pods.
    pub name: &'static str,
    identity: Kubeconfig,
    kubeconfig: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// A pod with an address.
pub struct Attached {
    pub pod: Pod,
    pub eth0: Attachment,
    pub address: IpAddr,
}

impl Ground {
    /// With a pool of this name and CIDR, whose addresses are free at once when they are given back.
    pub async fn new(name: &'static str, subnet: &str) -> Result<Self> {
        let turn = TURN.lock().await;
        let cluster = CLUSTER.get_or_try_init(Cluster::start).await?.clone();
        let ground = Self::on(cluster, name, turn).await?;
        ground
            .pool(name, subnet, json!({"cooldownSeconds": 0}))
            .await?;
        Ok(ground)
    }

    async fn on(
        cluster: Cluster,
        name: &'static str,
        turn: MutexGuard<'static, ()>,
    ) -> Result<Self> {
        let identity = cluster
            .admin_kubeconfig_of(0)
            .token(&token(&cluster).await?);
        let kubeconfig = identity.write(&cluster.dir().join("collector.kubeconfig"))?;
        Ok(Self {
            cluster,
            name,
            identity,
            kubeconfig,
            _turn: turn,
        })
    }

    /// A pool with more in its spec.
    pub async fn pool(&self, name: &str, subnet: &str, more: Value) -> Result<()> {
        let mut spec = json!({"subnet": subnet});
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        let pool = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": name}, "spec": spec});
        self.cluster.apply_yaml(&pool.to_string()).await
    }

    /// A pod of this test on this node, with an address of its pool.
    pub async fn attach(&self, node: &Node, name: &str) -> Result<Attached> {
        let pod = self.cluster.pod(self.name, name).on(node).create().await?;
        self.attach_pod(node, pod).await
    }

    /// The same for a pod that there is already.
    pub async fn attach_pod(&self, node: &Node, pod: Pod) -> Result<Attached> {
        let eth0 = self.attachment(node, &pod)?;
        let added = eth0.add().await?.success()?;
        let address = *added.ips()?.first().context("no address")?;
        Ok(Attached { pod, eth0, address })
    }

    pub fn attachment(&self, node: &Node, pod: &Pod) -> Result<Attachment> {
        let sandbox = Arc::new(Sandbox::new()?);
        let eth0 = Attachment::new(Path::new(PLUGIN), node, pod, &sandbox)?;
        Ok(eth0.ipam("ipv4Pools", json!([self.name])))
    }

    /// The collector with these arguments, as its service account, by way of `server` if there is something between.
    pub fn collector(&self, args: &[&str], server: Option<(&str, &str)>) -> Result<Call> {
        let kubeconfig = match server {
            None => self.kubeconfig.clone(),
            Some((url, ca)) => {
                let identity = self.identity.clone().server(url).ca(ca);
                identity.write(&self.cluster.dir().join("between.kubeconfig"))?
            }
        };
        let call = Call::new(Path::new(COLLECTOR))
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--output")
            .arg("json");
        Ok(args.iter().fold(call, |call, arg| call.arg(*arg)))
    }

    /// Runs it, and expects it to do its work.
    pub async fn collect(&self, args: &[&str]) -> Result<Told> {
        let outcome = self.collector(args, None)?.run().await?;
        Told::of(&outcome.success()?)
    }

    pub async fn leases(&self) -> Result<Api<IPLease>> {
        Ok(Api::all(self.cluster.admin().await?))
    }

    /// The lease of an address.
    pub async fn lease(&self, address: IpAddr) -> Result<Option<IPLease>> {
        Ok(self.leases().await?.get_opt(&address.to_string()).await?)
    }

    /// Whether somebody holds the address.
    pub async fn is_held(&self, address: IpAddr) -> Result<bool> {
        let lease = self.lease(address).await?;
        Ok(lease.is_some_and(|lease| lease.spec.state == State::Held))
    }

    /// The leases out of this test's pool.
    pub async fn of_pool(&self) -> Result<Vec<IPLease>> {
        let mine = ListParams::default().fields(&format!("spec.pool={}", self.name));
        Ok(self.leases().await?.list(&mine).await?.items)
    }

    /// A pool as it is now.
    pub async fn read_pool(&self, name: &str) -> Result<IPPool> {
        let pools: Api<IPPool> = Api::all(self.cluster.admin().await?);
        Ok(pools.get(name).await?)
    }

    /// A lease as a person writes it.
    pub async fn write_lease(&self, address: &str, spec: Value) -> Result<()> {
        let mut all = json!({"address": address, "pool": self.name, "cooldownSeconds": 0});
        for (key, value) in spec.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        let lease = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "IPLease", "metadata": {"name": address}, "spec": all});
        self.cluster.create_yaml(&lease.to_string()).await?;
        Ok(())
    }
}

/// A token of the collector's service account, as its pod has one.
async fn token(cluster: &Cluster) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.admin().await?, "leasehold-system");
    let request = accounts
        .create_token_request(
            "leasehold-gc",
            &PostParams::default(),
            &TokenRequest::default(),
        )
        .await
        .context("ask for a token")?;
    Ok(request.status.context("no token")?.token)
}

/// What the collector told.
#[derive(Debug)]
pub struct Told {
    events: Vec<Value>,
    pub summary: Value,
}

impl Told {
    pub fn of(outcome: &Outcome) -> Result<Self> {
        let lines = outcome.stdout.lines().map(serde_json::from_str);
        let mut events: Vec<Value> = lines
            .collect::<Result<_, _>>()
            .with_context(|| outcome.to_string())?;
        let summary = events.pop().context("it told nothing")?;
        ensure!(summary["event"] == "summary", "{outcome}");
        Ok(Self { events, summary })
    }

    /// What it told of this lease: the event, and the reason if there is one.
    pub fn about(&self, lease: &str) -> Option<(String, String)> {
        let event = self.events.iter().find(|event| event["lease"] == lease)?;
        let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        Some((word("event"), word("message")))
    }
}
