//! The cluster, the node whose calls are measured, and its pods.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;
use testbed::{Attachment, Call, Cluster, Mark, Node, Pod, Request, Sandbox};

use super::figures::real;
use super::process::children_cpu;

/// A pool with room for all.
pub const POOL: &str = "bench";

/// Pods that are created at once.
const AT_ONCE: usize = 10;

static PODS: AtomicUsize = AtomicUsize::new(1);

pub fn plugin() -> PathBuf {
    let named = env::var_os("LEASEHOLD_BENCH_PLUGIN");
    named.map_or_else(|| env!("CARGO_BIN_EXE_leasehold").into(), PathBuf::from)
}

/// What calls have cost.
pub struct Spent {
    /// The processor time of the plugins.
    pub plugin: Duration,
    /// That of the API server and etcd.
    pub server: Duration,
    /// The plugins' requests.
    pub requests: Vec<Request>,
}

impl Spent {
    /// How many requests each of so many calls has made.
    pub fn requests_each(&self, calls: usize) -> String {
        format!("{:.1}", real(self.requests.len()) / real(calls))
    }
}

pub struct Bench {
    pub cluster: Cluster,
    pub node: Node,
}

impl Bench {
    pub async fn start() -> Result<Self> {
        let cluster = Cluster::start().await?;
        let pool = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": POOL},
            "spec": {"subnet": "10.80.0.0/14", "gateway": "10.80.0.1", "default": true}});
        cluster.apply_yaml(&pool.to_string()).await?;
        let bench = Self {
            node: cluster.node("n1").create().await?,
            cluster,
        };
        // The API server fills its caches at the first list of each kind.
        for eth0 in bench.attachments_on(POOL, 3).await? {
            eth0.add().await?.success()?;
            eth0.check().await?.success()?;
            eth0.del().await?.success()?;
        }
        Ok(bench)
    }

    /// So many pods' interfaces, which ask this pool.
    pub async fn attachments_on(&self, pool: &str, count: usize) -> Result<Vec<Attachment>> {
        let pods = self.pods(count).await?;
        pods.iter().map(|pod| self.ours(pod, pool)).collect()
    }

    pub async fn attachment_on(&self, pool: &str) -> Result<Attachment> {
        self.ours(&self.pod(&self.node).await?, pool)
    }

    /// A pod's interface, in a sandbox of its own.
    pub fn ours(&self, pod: &Pod, pool: &str) -> Result<Attachment> {
        let eth0 = self.attachment(&plugin(), pod)?;
        Ok(eth0.ipam("ipv4Pools", json!([pool])))
    }

    /// The same for any IPAM plugin.
    pub fn attachment(&self, plugin: &Path, pod: &Pod) -> Result<Attachment> {
        Attachment::new(plugin, &self.node, pod, &Arc::new(Sandbox::new()?))
    }

    pub async fn pods(&self, count: usize) -> Result<Vec<Pod>> {
        self.pods_on(&self.node, count).await
    }

    pub async fn pods_on(&self, node: &Node, count: usize) -> Result<Vec<Pod>> {
        let pods = stream::iter(0..count).map(|_| self.pod(node));
        pods.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn pod(&self, node: &Node) -> Result<Pod> {
        let number = PODS.fetch_add(1, Ordering::Relaxed);
        let pod = self.cluster.pod("bench", &format!("pod-{number}"));
        pod.on(node).create().await
    }

    /// A GET of the pool on a new connection.
    pub fn curl(&self) -> Result<Call> {
        let ca = self.cluster.dir().join("curl-ca.pem");
        std::fs::write(&ca, self.cluster.ca_pem())?;
        let server = self.cluster.url(0);
        Ok(Call::new(Path::new("/usr/bin/curl"))
            .arg("--silent")
            .arg("--show-error")
            .arg("--fail")
            .arg("--cacert")
            .arg(ca)
            .arg("--header")
            .arg(format!("Authorization: Bearer {}", self.node.token()))
            .arg(format!(
                "{server}/apis/leasehold.io/v1alpha1/ippools/{POOL}"
            )))
    }

    /// Does the work, and says what plugins and server have spent on it.
    pub async fn spending<T>(&self, work: impl Future<Output = Result<T>>) -> Result<(T, Spent)> {
        let mark = self.cluster.mark().await?;
        let (plugin, server) = (children_cpu()?, self.cluster.server_cpu()?);
        let done = work.await?;
        let spent = Spent {
            plugin: children_cpu()?.saturating_sub(plugin),
            server: self.cluster.server_cpu()?.saturating_sub(server),
            requests: self.requests(&mark).await?,
        };
        Ok((done, spent))
    }

    /// The requests of plugins, as the API server wrote them down.
    async fn requests(&self, since: &Mark) -> Result<Vec<Request>> {
        let mut all = self.cluster.requests_since(since).await?;
        let of_plugin = |request: &Request| {
            request.user().starts_with("system:node:")
                || request.user_agent.starts_with("whereabouts/")
        };
        all.retain(of_plugin);
        Ok(all)
    }
}
