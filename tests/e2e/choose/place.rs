//! A place of a test's own on the control plane that all tests share.
//!
//! Pools are seen by every pod of a cluster. Those of a place are of a vrf of its own, so that neither its pools nor
//! its addresses are met elsewhere, whatever subnets they are made of and whether they are default ones.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, GetParams, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, Resource};
use leasehold::api::{IPLease, IPPool, ReservedIP, Subnet, lease_name};
use serde_json::{Value, json};
use testbed::{Attachment, Cluster, Node, Outcome, Pod, PodBuilder, Sandbox, Segment};

use crate::PLUGIN;

/// A node, and names that nobody else uses.
pub struct Place {
    pub cluster: Cluster,
    pub node: Node,
    /// The vrf, and the namespace of the pods that name none.
    name: &'static str,
    /// It goes with the last who knows it.
    _segment: Option<Segment>,
}

impl Place {
    /// A place whose plugins are called by themselves.
    pub async fn named(name: &'static str) -> Result<Self> {
        Self::on(testbed::shared().await?, name).await
    }

    /// A place on a control plane of its own.
    pub async fn on(cluster: Cluster, name: &'static str) -> Result<Self> {
        let node = cluster.fresh_node().create().await?;
        Ok(Self {
            cluster,
            node,
            name,
            _segment: None,
        })
    }

    /// A place whose node is on a segment, for calls through a main plugin.
    pub async fn on_a_segment(name: &'static str) -> Result<Self> {
        let cluster = testbed::shared().await?;
        let segment = Segment::new()?;
        let node = cluster.fresh_node().on(&segment).create().await?;
        Ok(Self {
            cluster,
            node,
            name,
            _segment: Some(segment),
        })
    }

    /// The same place, seen from another node.
    pub fn at(&self, node: &Node) -> Self {
        Self {
            cluster: self.cluster.clone(),
            node: node.clone(),
            name: self.name,
            _segment: None,
        }
    }

    /// Makes or edits a pool of this place.
    pub async fn pool(&self, name: &str, subnet: &str, spec: Value) -> Result<()> {
        let spec = with(spec, &json!({"subnet": subnet, "vrf": self.name}));
        self.apply::<IPPool>(name, json!({"spec": spec})).await
    }

    /// Makes or edits a Subnet of this place.
    pub async fn subnet(&self, name: &str, subnet: &str, spec: Value) -> Result<()> {
        let spec = with(spec, &json!({"subnet": subnet, "vrf": self.name}));
        self.apply::<Subnet>(name, json!({"spec": spec})).await
    }

    /// Reserves addresses in this place.
    pub async fn reserve(&self, name: &str, ips: &[String]) -> Result<()> {
        let spec = json!({"ips": ips, "vrf": self.name});
        self.apply::<ReservedIP>(name, json!({"spec": spec})).await
    }

    /// Makes or edits a namespace, with these labels and annotations.
    pub async fn namespace(&self, name: &str, labels: Value, annotations: Value) -> Result<()> {
        let metadata = json!({"metadata": {"labels": labels, "annotations": annotations}});
        self.apply::<Namespace>(name, metadata).await
    }

    /// Applies an object of cluster scope, and waits until plugins see it: they read pools and namespaces from the
    /// watch cache.
    async fn apply<K: Resource<DynamicType = ()>>(
        &self,
        name: &str,
        mut body: Value,
    ) -> Result<()> {
        let objects: Api<DynamicObject> =
            Api::all_with(self.cluster.admin().await?, &ApiResource::erase::<K>(&()));
        body["apiVersion"] = json!(K::api_version(&()));
        body["kind"] = json!(K::kind(&()));
        body["metadata"]["name"] = json!(name);
        let params = PatchParams::apply("choose").force();
        let written = objects
            .patch(name, &params, &Patch::Apply(body))
            .await
            .with_context(|| format!("apply {name}"))?;
        while objects
            .get_with(name, &GetParams::at("0"))
            .await
            .ok()
            .is_none_or(|cached| {
                cached.metadata.resource_version != written.metadata.resource_version
            })
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// A pod of this place.
    pub fn pod(&self, name: &str) -> PodBuilder {
        self.pod_in(self.name, name)
    }

    /// A pod of another namespace on the same node.
    pub fn pod_in(&self, namespace: &str, name: &str) -> PodBuilder {
        self.cluster.pod(namespace, name).on(&self.node)
    }

    /// The first interface of a pod in a sandbox of its own.
    pub fn eth0(&self, pod: &Pod) -> Result<Attachment> {
        self.eth0_in(&Arc::new(Sandbox::new()?), pod)
    }

    /// The first interface of a pod in this sandbox.
    pub fn eth0_in(&self, sandbox: &Arc<Sandbox>, pod: &Pod) -> Result<Attachment> {
        let eth0 = Attachment::new(PLUGIN.as_ref(), &self.node, pod, sandbox)?;
        Ok(eth0.ipam("vrf", json!(self.name)))
    }

    /// Attaches this pod, and says which pools serve it: `a` or `a b`, or else the error's code and message.
    pub async fn served_by(&self, pod: PodBuilder) -> Result<String> {
        let pod = pod.create().await?;
        self.told(&self.eth0(&pod)?.add().await?).await
    }

    /// The pools that an answer's addresses are from, or the error's code and message.
    pub async fn told(&self, outcome: &Outcome) -> Result<String> {
        if !outcome.succeeded() {
            let error = outcome.json()?;
            let message = error["msg"].as_str().unwrap_or_default();
            return Ok(format!("{}: {message}", error["code"]));
        }
        let mut pools = Vec::new();
        for address in outcome.ips()? {
            let lease = self
                .lease(address)
                .await?
                .context("an address without a lease")?;
            pools.push(lease.spec.pool);
        }
        Ok(pools.join(" "))
    }

    /// The lease of an address in this place.
    pub async fn lease(&self, address: IpAddr) -> Result<Option<IPLease>> {
        let leases: Api<IPLease> = Api::all(self.cluster.admin().await?);
        let name = lease_name(&self.name.parse()?, address);
        Ok(leases.get_opt(&name).await?)
    }

    /// All leases of this place.
    pub async fn leases(&self) -> Result<Vec<IPLease>> {
        let leases: Api<IPLease> = Api::all(self.cluster.admin().await?);
        let ours = ListParams::default().fields(&format!("spec.vrf={}", self.name));
        Ok(leases.list(&ours).await?.items)
    }

    /// All leases of this place that a pod holds.
    pub async fn held_by(&self, pod: &Pod) -> Result<Vec<IPLease>> {
        let leases: Api<IPLease> = Api::all(self.cluster.admin().await?);
        let held = format!("spec.state=Held,spec.holder.uid={}", pod.uid());
        Ok(leases
            .list(&ListParams::default().fields(&held))
            .await?
            .items)
    }
}

/// `base` with some fields set.
fn with(mut base: Value, more: &Value) -> Value {
    for (field, value) in more.as_object().into_iter().flatten() {
        base[field] = value.clone();
    }
    base
}
