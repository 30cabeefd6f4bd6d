//! The environment of a test: a control plane, a node, and names and addresses that no other test
//! has.
//!
//! A case asks for the [`Isolation`] that it needs, and for no more: a control plane takes seconds
//! to start.

mod dual;
mod leases;
mod objects;
mod proxied;
mod redact;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::proxy::Proxy;
use testbed::{Attachment, Cluster, Node, Outcome, Pod, PodBuilder, Sandbox, Segment};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::PLUGIN;

pub use dual::DualStack;

/// What a test has for itself.
#[derive(Default)]
pub struct Isolation {
    vrf: Option<&'static str>,
    turn: Option<&'static str>,
    cluster: Option<Cluster>,
    server: Option<usize>,
    segment: bool,
}

impl Isolation {
    /// Subnets of the default vrf on the control plane that all tests share: default pools would
    /// serve every test's pods.
    pub fn subnets() -> Self {
        Self::default()
    }

    /// A vrf on the control plane that all tests share, so that its pools may be default ones and
    /// of any subnet.
    pub fn vrf(name: &'static str) -> Self {
        Self {
            vrf: Some(name),
            ..Self::default()
        }
    }

    /// A pool of this name, on a control plane whose tests take turns: the collector acts on a
    /// whole cluster.
    pub fn turn(pool: &'static str) -> Self {
        Self {
            turn: Some(pool),
            ..Self::default()
        }
    }

    /// A control plane that is not shared.
    pub fn cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// A proxy in front of the first API server.
    pub fn proxy(self) -> Self {
        self.proxy_to(0)
    }

    /// A proxy in front of this one of the API servers.
    pub fn proxy_to(mut self, server: usize) -> Self {
        self.server = Some(server);
        self
    }

    /// A node on a segment, for calls through a main plugin.
    pub fn segment(mut self) -> Self {
        self.segment = true;
        self
    }

    /// Makes all of it.
    pub async fn start(self) -> Result<TestEnv> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        static TURN: Mutex<()> = Mutex::const_new(());
        static IN_TURNS: OnceCell<Cluster> = OnceCell::const_new();
        let (mut turn, mut cluster) = (None, self.cluster);
        if self.turn.is_some() {
            turn = Some(Arc::new(TURN.lock().await));
            cluster = Some(IN_TURNS.get_or_try_init(Cluster::start).await?.clone());
        }
        let cluster = match cluster {
            Some(cluster) => cluster,
            None => testbed::shared().await?,
        };
        let segment = self.segment.then(Segment::new).transpose()?;
        let node = cluster.fresh_node();
        let node = match &segment {
            Some(segment) => node.on(segment),
            None => node,
        };
        let proxy = match self.server {
            Some(server) => Some(Arc::new(proxied::in_front_of(&cluster, server).await?)),
            None => None,
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = match self.vrf.or(self.turn) {
            Some(name) => name.to_owned(),
            None => format!("test{number}"),
        };
        let leases = match (self.vrf, self.turn) {
            (Some(vrf), _) => format!("spec.vrf={vrf}"),
            (None, Some(pool)) => format!("spec.pool={pool}"),
            (None, None) => format!("spec.holder.namespace={name}"),
        };
        Ok(TestEnv {
            node: node.create().await?,
            cluster,
            name,
            vrf: self.vrf,
            leases,
            number,
            proxy,
            segment,
            _turn: turn,
        })
    }
}

/// A test's part of a cluster. Clones are the same one.
#[derive(Clone)]
pub struct TestEnv {
    pub cluster: Cluster,
    pub node: Node,
    name: String,
    vrf: Option<&'static str>,
    /// The field selector of its leases.
    leases: String,
    number: u16,
    proxy: Option<Arc<Proxy>>,
    segment: Option<Segment>,
    _turn: Option<Arc<MutexGuard<'static, ()>>>,
}

impl TestEnv {
    /// The same environment, seen from another node.
    pub fn on(&self, node: Node) -> Self {
        Self {
            node,
            ..self.clone()
        }
    }

    /// The same, seen from a new node with this label.
    pub async fn on_labeled(&self, key: &str, value: &str) -> Result<Self> {
        let node = self.cluster.fresh_node().label(key, value);
        Ok(self.on(node.create().await?))
    }

    /// The namespace of its pods, which begins the names of what it makes; the vrf's name, where it
    /// has one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The segment that its node is on.
    pub fn segment(&self) -> Result<&Segment> {
        self.segment
            .as_ref()
            .context("this isolation has no segment")
    }

    /// The IPv4 address of this number in [`subnet`](Self::subnet).
    pub fn at(&self, number: u32) -> Ipv4Addr {
        assert!(number < 1024, "the subnet is a /22");
        let base = u32::from(Ipv4Addr::new(10, 64, 0, 0)) + u32::from(self.number) * 1024;
        Ipv4Addr::from(base + number)
    }

    /// The IPv6 address of this number in [`subnet6`](Self::subnet6).
    pub fn at6(&self, number: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfd64, self.number, 0, 0, 0, 0, 0, number)
    }

    pub fn subnet(&self) -> String {
        format!("{}/22", self.at(0))
    }

    pub fn subnet6(&self) -> String {
        format!("{}/64", self.at6(0))
    }

    /// The spec of a pool of these addresses of its subnet; [`with`] adds to it.
    pub fn v4(&self, numbers: RangeInclusive<u32>) -> Value {
        let range = format!("{}-{}", self.at(*numbers.start()), self.at(*numbers.end()));
        json!({"subnet": self.subnet(), "ips": [range]})
    }

    /// The same of IPv6.
    pub fn v6(&self, numbers: RangeInclusive<u16>) -> Value {
        let [first, last] = [numbers.start(), numbers.end()].map(|number| self.at6(*number));
        json!({"subnet": self.subnet6(), "ips": [format!("{first}-{last}")]})
    }

    /// A pod of its namespace and node.
    pub fn pod(&self, name: &str) -> PodBuilder {
        self.pod_in(&self.name, name)
    }

    /// A pod of another namespace on its node.
    pub fn pod_in(&self, namespace: &str, name: &str) -> PodBuilder {
        self.cluster.pod(namespace, name).on(&self.node)
    }

    /// The first interface of a pod, in a sandbox of its own.
    pub fn eth0(&self, pod: &Pod) -> Result<Attachment> {
        let sandbox = Arc::new(Sandbox::new()?);
        let eth0 = Attachment::new(Path::new(PLUGIN), &self.node, pod, &sandbox)?;
        Ok(eth0.ipam("vrf", json!(self.vrf)))
    }

    /// The same on this pool.
    pub fn eth0_on(&self, pod: &Pod, pool: &str) -> Result<Attachment> {
        Ok(self.eth0(pod)?.ipam("ipv4Pools", json!([pool])))
    }

    /// A new pod, and its first interface on this pool.
    pub async fn pod_on(&self, pod: &str, pool: &str) -> Result<(Pod, Attachment)> {
        let pod = self.pod(pod).create().await?;
        let eth0 = self.eth0_on(&pod, pool)?;
        Ok((pod, eth0))
    }
}

/// Checks that a call has ended in the time that it has; the rest is for a busy machine, and far
/// from what hangs.
pub fn in_time(outcome: &Outcome, seconds: u64) -> Result<()> {
    ensure!(
        outcome.elapsed < Duration::from_secs(seconds + 3),
        "too late: {outcome}"
    );
    Ok(())
}

/// The rows of a table, and their cells between `|`.
pub fn cells<const N: usize>(table: &str) -> impl Iterator<Item = Result<[&str; N]>> {
    let rows = table.lines().filter(|row| !row.trim().is_empty());
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let count = cells.len();
        let cells = cells.try_into().ok();
        cells.with_context(|| format!("{count} cells: {row}"))
    })
}

/// `base` with the fields of `more` added, or replaced.
pub fn with(mut base: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        base[key] = value.clone();
    }
    base
}
