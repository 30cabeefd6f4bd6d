//! A test's own part of the shared cluster: a node, a namespace, and subnets whose addresses no other test has.
//!
//! What is said of addresses is the same for each stage once it is [told](Stage::told): the subnet reads `10.0.0.0/22`.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result};
use kube::api::{Api, ListParams, Patch, PatchParams, VersionMatch};
use leasehold::api::{IPLease, IPPool, ReservedIP, State};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testbed::{Attachment, Cluster, Node, Outcome, Pod, Sandbox};

use crate::PLUGIN;

/// A test's part of the cluster.
#[derive(Clone)]
pub struct Stage {
    pub cluster: Cluster,
    pub node: Node,
    number: u16,
}

impl Stage {
    pub async fn new() -> Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let cluster = testbed::shared().await?;
        let node = cluster.fresh_node().create().await?;
        Ok(Self {
            cluster,
            node,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// On this node instead of one without a network namespace.
    pub fn on(mut self, node: Node) -> Self {
        self.node = node;
        self
    }

    /// Its namespace, which begins the names of its pools.
    pub fn name(&self) -> String {
        format!("stage{}", self.number)
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

    /// What a pool of these addresses says; more is added by [`with`].
    pub fn v4(&self, numbers: RangeInclusive<u32>) -> Value {
        let range = format!("{}-{}", self.at(*numbers.start()), self.at(*numbers.end()));
        json!({"subnet": self.subnet(), "ips": [range]})
    }

    /// The same of IPv6.
    pub fn v6(&self, numbers: RangeInclusive<u16>) -> Value {
        let range = format!(
            "{}-{}",
            self.at6(*numbers.start()),
            self.at6(*numbers.end())
        );
        json!({"subnet": self.subnet6(), "ips": [range]})
    }

    /// Creates a pool, or replaces what it says; returns its name once every read shows that.
    pub async fn pool(&self, name: &str, spec: Value) -> Result<String> {
        let name = format!("{}-{name}", self.name());
        self.apply::<IPPool>("IPPool", &name, spec).await?;
        Ok(name)
    }

    /// Creates a ReservedIP; returns its name once every read shows it.
    pub async fn reserved(&self, name: &str, spec: Value) -> Result<String> {
        let name = format!("{}-{name}", self.name());
        self.apply::<ReservedIP>("ReservedIP", &name, spec).await?;
        Ok(name)
    }

    async fn apply<K>(&self, kind: &str, name: &str, spec: Value) -> Result<()>
    where
        K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let objects: Api<K> = self.all().await?;
        let object = json!({
            "apiVersion": K::api_version(&()), "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        let params = PatchParams::apply("stage").force();
        let applied = objects
            .patch(name, &params, &Patch::Apply(object))
            .await
            .with_context(|| format!("apply {kind} {name}"))?;
        // The plugin reads pools from the watch cache; this read waits until the cache is there.
        let version = applied.meta().resource_version.clone().unwrap_or_default();
        let not_older = ListParams::default()
            .at(&version)
            .matching(VersionMatch::NotOlderThan);
        objects.list_metadata(&not_older).await?;
        Ok(())
    }

    /// All objects of a kind, for the admin.
    pub async fn all<K>(&self) -> Result<Api<K>>
    where
        K: kube::Resource<DynamicType = ()>,
    {
        Ok(Api::all(self.cluster.admin().await?))
    }

    /// A pod of the stage's namespace and node.
    pub async fn pod(&self, name: &str) -> Result<Pod> {
        let pod = self.cluster.pod(&self.name(), name).on(&self.node);
        pod.create().await
    }

    /// The first interface of this pod, in a sandbox of its own, on this pool.
    pub fn attach(&self, pod: &Pod, pool: &str) -> Result<Attachment> {
        self.attach_in(pod, pool, &Arc::new(Sandbox::new()?))
    }

    /// The first interface of this pod in this sandbox, on this pool.
    pub fn attach_in(&self, pod: &Pod, pool: &str, sandbox: &Arc<Sandbox>) -> Result<Attachment> {
        let eth0 = Attachment::new(Path::new(PLUGIN), &self.node, pod, sandbox)?;
        Ok(eth0.ipam("ipv4Pools", json!([pool])))
    }

    /// A pod and its first interface on this pool.
    pub async fn attached(&self, pod: &str, pool: &str) -> Result<(Pod, Attachment)> {
        let pod = self.pod(pod).await?;
        let attachment = self.attach(&pod, pool)?;
        Ok((pod, attachment))
    }

    /// The leases whose holder is, or was, a pod of the stage.
    pub async fn leases(&self) -> Result<Vec<IPLease>> {
        let ours = ListParams::default().fields(&format!("spec.holder.namespace={}", self.name()));
        Ok(self.all().await?.list(&ours).await?.items)
    }

    /// The leases of the stage in a line each, in the order of their names.
    pub async fn standing(&self) -> Result<String> {
        let mut lines: Vec<String> = self
            .leases()
            .await?
            .iter()
            .map(|lease| {
                let spec = &lease.spec;
                let holder = spec.holder.as_ref();
                let (pod, interface) = holder.map_or(("", ""), |h| (&h.pod, &h.interface));
                self.told(&format!(
                    "{} {:?} {pod} {interface}",
                    spec.address, spec.state
                ))
            })
            .collect();
        lines.sort();
        Ok(lines.join("\n"))
    }

    /// The leases of the stage that are held.
    pub async fn held(&self) -> Result<Vec<IPLease>> {
        let mut leases = self.leases().await?;
        leases.retain(|lease| lease.spec.state == State::Held);
        Ok(leases)
    }

    /// What a call came to, in a line that is the same for each stage.
    pub fn tells(&self, outcome: &Outcome) -> String {
        let Ok(json) = outcome.json() else {
            return self.told(&outcome.to_string());
        };
        let text = |key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let line = match outcome.code {
            Some(0) => json.to_string(),
            Some(1) => format!("{}: {}; {}", json["code"], text("msg"), text("details")),
            _ => outcome.to_string(),
        };
        self.told(line.trim_end_matches("; "))
    }

    /// A text in which names of this stage are those of any stage.
    pub fn told(&self, text: &str) -> String {
        let mut told = text.replace(&self.name(), "stage");
        for third in 0..4_u8 {
            let octets = self.at(u32::from(third) * 256).octets();
            let prefix = |o: [u8; 4]| format!("{}.{}.{}.", o[0], o[1], o[2]);
            told = told.replace(&prefix(octets), &prefix([10, 0, third, 0]));
        }
        let prefix6 = |address: Ipv6Addr| address.to_string();
        told.replace(&prefix6(self.at6(0)), "fd00::")
            .replace(self.node.name(), "node")
            .replace(self.cluster.url(0).trim_start_matches("https://"), "server")
            .replace(&self.cluster.dir().display().to_string(), "/cluster")
    }
}

/// `base` with the fields of `more` added, or put in the place of its own.
pub fn with(mut base: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        base[key] = value.clone();
    }
    base
}
