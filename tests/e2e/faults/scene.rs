//! A place whose plugins reach the API server through a proxy, each under a name by which the proxy knows it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use kube::api::{Api, GetParams, Patch, PatchParams, PostParams};
use leasehold::api::{IPLease, IPLeaseSpec, IPPool, State};
use serde_json::json;
use testbed::proxy::{Log, On, Proxy};
use testbed::{Attachment, Cluster, Pod, Sandbox};

use crate::choose::place::Place;

/// Codes of leasehold's errors.
pub const TRY_AGAIN_LATER: Option<u64> = Some(11);
pub const EXHAUSTED: Option<u64> = Some(100);
pub const DENIED: Option<u64> = Some(106);
pub const INVALID_CONFIG: Option<u64> = Some(7);
pub const NO_POOL: Option<u64> = Some(101);
pub const SANDBOX_GONE: Option<u64> = Some(104);

pub struct Scene {
    pub place: Place,
    pub proxy: Proxy,
}

/// An API server waits for two seconds before it creates the first object of a kind that is younger than that, for
/// other servers to hear of the kind (k8s.io/apiextensions-apiserver, `customresource_handler.go`).
async fn until_creates_are_quick(cluster: &Cluster) -> Result<()> {
    let spec = IPLeaseSpec {
        address: "192.0.2.1".to_owned(),
        state: State::Retained,
        ..IPLeaseSpec::default()
    };
    let leases: Api<IPLease> = Api::all(cluster.admin().await?);
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    leases
        .create(&dry_run, &IPLease::new("192.0.2.1", spec))
        .await?;
    Ok(())
}

impl Scene {
    /// On the control plane that all tests share.
    pub async fn named(name: &'static str) -> Result<Self> {
        Self::of(Place::named(name).await?, 0).await
    }

    /// In front of one of the API servers of a place.
    pub async fn of(place: Place, server: usize) -> Result<Self> {
        until_creates_are_quick(&place.cluster).await?;
        let proxy = Proxy::start(&place.cluster.url(server), &place.cluster.ca_pem())?;
        Ok(Self { place, proxy })
    }

    /// A default pool of so many addresses, which are free as soon as they are released.
    pub async fn pool(&self, name: &str, addresses: u32) -> Result<()> {
        let ips = format!("10.0.0.1-10.0.{}.{}", addresses / 256, addresses % 256);
        let spec = json!({"ips": [ips], "default": true, "cooldownSeconds": 0});
        self.place.pool(name, "10.0.0.0/16", spec).await
    }

    /// Has ADD begin with a list of this pool's leases, as where the collector found nothing free.
    pub async fn counted_full(&self, pool: &str) -> Result<()> {
        let status = json!({"status": {"free": 0, "observedAt": "2026-01-01T00:00:00.000000Z"}});
        let pools: Api<IPPool> = Api::all(self.place.cluster.admin().await?);
        let patch = Patch::Merge(status);
        pools
            .patch_status(pool, &PatchParams::default(), &patch)
            .await?;
        let cached = GetParams::at("0");
        while pools.get_with(pool, &cached).await?.status.is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// The node's kubeconfig, through the proxy and under this name.
    pub fn kubeconfig(&self, caller: &str) -> Result<PathBuf> {
        let node = &self.place.node;
        let identity = node.identity().server(&self.proxy.url_for(caller));
        node.write_kubeconfig(caller, &identity.ca(self.proxy.ca_pem()))
    }

    /// The first interface of a pod in a sandbox of its own.
    pub fn eth0(&self, caller: &str, pod: &Pod) -> Result<Attachment> {
        self.eth0_in(caller, &Arc::new(Sandbox::new()?), pod)
    }

    /// The first interface of a pod in this sandbox. Its plugin has five seconds, and waits one for an answer.
    pub fn eth0_in(&self, caller: &str, sandbox: &Arc<Sandbox>, pod: &Pod) -> Result<Attachment> {
        let eth0 = self.place.eth0_in(sandbox, pod)?;
        Ok(eth0
            .ipam("kubeconfig", json!(self.kubeconfig(caller)?))
            .ipam("timeoutSeconds", json!(5)))
    }

    /// The leases of this scene that are held.
    pub async fn held(&self) -> Result<Vec<IPLease>> {
        let mut leases = self.place.leases().await?;
        leases.retain(|lease| lease.spec.state == State::Held);
        Ok(leases)
    }

    /// Waits until so many leases are held.
    pub async fn until_held(&self, leases: usize) -> Result<()> {
        while self.held().await?.len() < leases {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// That of all leases of this scene exactly the last answer of this attachment is held, by its container.
    pub async fn holds_its_answer_only(&self, eth0: &Attachment, container: &str) -> Result<()> {
        let held = self.held().await?;
        let addresses: Vec<_> = held
            .iter()
            .map(|lease| lease.spec.address.as_str())
            .collect();
        let answered: Vec<_> = eth0.ips()?.iter().map(ToString::to_string).collect();
        ensure!(
            addresses == answered,
            "answered {answered:?}, and held {addresses:?}\n{}",
            self.proxy.log()
        );
        let holder = held.first().and_then(|lease| lease.spec.holder.as_ref());
        ensure!(
            holder.is_some_and(|holder| holder.container == container),
            "it is held by {holder:?}\n{}",
            self.proxy.log()
        );
        Ok(())
    }

    /// That nobody holds anything here.
    pub async fn holds_nothing(&self) -> Result<()> {
        let held = self.held().await?;
        ensure!(
            held.is_empty(),
            "still held: {held:?}\n{}",
            self.proxy.log()
        );
        Ok(())
    }

    /// Waits until the proxy has nothing in hand of this caller any more.
    pub async fn until_all_has_arrived(&self, caller: &str) -> Result<Log> {
        let of_caller = On::any().caller(caller);
        let quiet = |log: &Log| log.of(&of_caller).all(|record| record.ended.is_some());
        Ok(self.proxy.wait_for("the last request", quiet).await?)
    }
}
