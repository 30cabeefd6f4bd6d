//! Sets that the plugin makes for an application: which members leave, and when all of it goes.
//!
//! The claims and leases are written as nodes write them.

mod crash;
mod ended;
mod lists;
mod shrunk;
mod unused;

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use leasehold::api::{Condition, IPClaim, IPClaimStatus, SetOwner};
use leasehold::claim::{DerivedSet, SetSize};
use leasehold::ip::Vrf;
use serde_json::{Value, json};
use testbed::{Pod, PodBuilder};

use super::run::Report;
use crate::env::{TestEnv, with};

/// An application with a set of a Subnet.
pub struct Application<'a> {
    env: &'a TestEnv,
    kind: GroupVersionKind,
    name: &'static str,
    /// The addresses begin with these three numbers.
    network: [u8; 3],
    pub set: DerivedSet,
}

/// What a lease of a member shows.
pub enum Member {
    /// No pod has had it.
    Fresh,
    /// The pod of this name has given it back so many hours ago.
    Released(&'static str, i64),
    /// This pod has it.
    Held(Pod),
}

impl<'a> Application<'a> {
    /// One of this kind with so many replicas, in the environment's namespace.
    pub async fn new(
        env: &'a TestEnv,
        (group, version, kind): (&str, &str, &str),
        name: &'static str,
        replicas: u32,
    ) -> Result<Self> {
        env.namespace(env.name(), json!({})).await?;
        let application = Self::absent(env, (group, version, kind), name);
        application.create(replicas).await?;
        Ok(application)
    }

    /// One that does not exist.
    pub fn absent(
        env: &'a TestEnv,
        (group, version, kind): (&str, &str, &str),
        name: &'static str,
    ) -> Self {
        let owner = SetOwner {
            group: group.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            interface: "eth0".to_owned(),
            network: "net".to_owned(),
            subnet: env.name().to_owned(),
        };
        let set = DerivedSet {
            namespace: env.name().to_owned(),
            owner,
            vrf: Vrf::default(),
            size: SetSize::default(),
            reclaim: true,
        };
        Self {
            env,
            kind: GroupVersionKind::gvk(group, version, kind),
            name,
            network: [10, 60, 0],
            set,
        }
    }

    /// With addresses that begin with these numbers.
    pub fn at(mut self, network: [u8; 3]) -> Self {
        self.network = network;
        self
    }

    pub async fn deployment(env: &'a TestEnv, name: &'static str, replicas: u32) -> Result<Self> {
        Self::new(env, ("apps", "v1", "Deployment"), name, replicas).await
    }

    pub fn address(&self, number: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, number)
    }

    /// The name of its claim.
    pub fn claim_name(&self) -> String {
        self.set.name().name
    }

    pub async fn objects(&self) -> Result<Api<DynamicObject>> {
        let resource = ApiResource::from_gvk(&self.kind);
        let client = self.env.cluster.admin().await?;
        Ok(Api::namespaced_with(client, self.env.name(), &resource))
    }

    /// Makes the object.
    pub async fn create(&self, replicas: u32) -> Result<()> {
        let labels = json!({"app": self.name});
        let container = json!({"name": "c", "image": "example.com/c"});
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
        let spec = json!({"selector": {"matchLabels": labels}, "template": template});
        let more = match &*self.kind.kind {
            "StatefulSet" => json!({"replicas": replicas, "serviceName": self.name}),
            "DaemonSet" => json!({}),
            _ => json!({"replicas": replicas}),
        };
        let object = json!({
            "apiVersion": self.kind.api_version(), "kind": self.kind.kind,
            "metadata": {"namespace": self.env.name(), "name": self.name},
            "spec": with(spec, &more),
        });
        self.env.cluster.create_yaml(&object.to_string()).await?;
        Ok(())
    }

    pub async fn delete(&self) -> Result<()> {
        let params = DeleteParams::background();
        self.objects().await?.delete(self.name, &params).await?;
        Ok(())
    }

    pub async fn scale(&self, replicas: u32) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let params = PatchParams::default();
        self.objects()
            .await?
            .patch(self.name, &params, &patch)
            .await?;
        Ok(())
    }

    /// One of its pods, which asks for a set of this size.
    pub fn pod(&self, name: &str, size: &str) -> PodBuilder {
        let subnet = json!({"ipv4": [self.env.name()]}).to_string();
        let pod = (self.owned(name)).annotation("ipam.leasehold.io/subnet", &subnet);
        match size {
            "" => pod,
            size => pod.annotation("ipam.spidernet.io/ippool-ip-number", size),
        }
    }

    /// One of its pods, which asks for no set.
    pub fn owned(&self, name: &str) -> PodBuilder {
        let (kind, of) = match &*self.kind.kind {
            "Deployment" => ("ReplicaSet", format!("{}-7d9f8", self.name)),
            kind => (kind, self.name.to_owned()),
        };
        let owner = json!({
            "apiVersion": self.kind.api_version(), "kind": kind, "name": of, "controller": true,
            "uid": "0b5cf4ce-9a1b-4f0e-9a57-6b1a3c5f9a11",
        });
        let pod = self.env.pod(name).owner(owner);
        pod.label("pod-template-hash", "7d9f8")
    }

    /// Its claim, with members of these addresses.
    pub async fn with(&self, members: &[(u8, Member)]) -> Result<()> {
        let addresses: Vec<u8> = members.iter().map(|(number, _)| *number).collect();
        self.claim(&addresses).await?;
        for (number, member) in members {
            self.member(*number, member).await?;
        }
        Ok(())
    }

    /// Its claim as its maker commits it, with this list.
    pub async fn claim(&self, addresses: &[u8]) -> Result<()> {
        let claims = self.env.claims().await?;
        let params = PostParams::default();
        let mut claim = claims.create(&params, &self.set.claim("maker")).await?;
        if addresses.is_empty() {
            return Ok(());
        }
        claim.status = Some(IPClaimStatus {
            addresses: addresses
                .iter()
                .map(|number| self.address(*number).to_string())
                .collect(),
            ..IPClaimStatus::default()
        });
        let name = self.claim_name();
        claims.replace_status(&name, &params, &claim).await?;
        Ok(())
    }

    /// The lease of a member.
    pub async fn member(&self, number: u8, member: &Member) -> Result<()> {
        let pool = format!("subnet/{}", self.env.name());
        let base = json!({"pool": pool, "claim": self.set.reference(), "state": "Retained"});
        let holder = |pod: &str, uid: &str| {
            json!({
                "namespace": self.env.name(), "pod": pod, "uid": uid, "node": self.env.node.name(),
                "container": "c", "interface": "eth0", "network": "net",
            })
        };
        let ago = |hours| {
            format!(
                "{:.0}",
                Timestamp::now() - SignedDuration::from_hours(hours)
            )
        };
        let more = match member {
            Member::Fresh => json!({"holder": holder("maker", "maker")}),
            Member::Released(pod, hours) => json!({
                "holder": holder(pod, "gone"), "heldSince": ago(100), "releasedAt": ago(*hours),
            }),
            Member::Held(pod) => json!({
                "holder": holder(pod.name(), pod.uid()), "heldSince": ago(100), "state": "Held",
            }),
        };
        let address = self.address(number).to_string();
        self.env.write_lease(&address, with(base, &more)).await
    }

    /// Its claim as it is; `None`: it is gone.
    pub async fn read(&self) -> Result<Option<IPClaim>> {
        Ok(self.env.claims().await?.get_opt(&self.claim_name()).await?)
    }

    async fn status(&self) -> Result<IPClaimStatus> {
        let claim = self.read().await?.context("the claim is gone")?;
        Ok(claim.status.unwrap_or_default())
    }

    /// The last numbers of its lists: `addresses / leaving`.
    pub async fn lists(&self) -> Result<String> {
        let status = self.status().await?;
        let numbers = |list: &[String]| -> String {
            let numbers = list.iter().filter_map(|text| text.rsplit('.').next());
            numbers.collect::<Vec<_>>().join(" ")
        };
        let lists = [&status.addresses, &status.leaving].map(|list| numbers(list));
        Ok(lists.join(" / ").trim().to_owned())
    }

    /// Its condition of this type.
    pub async fn condition(&self, type_: &str) -> Result<Option<Condition>> {
        let conditions = self.status().await?.conditions;
        Ok(conditions.into_iter().find(|it| it.type_ == type_))
    }

    /// The last numbers of the addresses whose leases name its claim.
    pub async fn leases(&self) -> Result<String> {
        let filter = format!("spec.claim.name={}", self.claim_name());
        let leases = self.env.leases_where(&filter).await?;
        let mut numbers: Vec<u8> = leases
            .iter()
            .filter_map(|lease| lease.spec.address.rsplit('.').next()?.parse().ok())
            .collect();
        numbers.sort_unstable();
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        Ok(numbers.join(" "))
    }

    /// Runs the collector until so much of the set is left, without a wait.
    pub async fn collect_until(&self, lists: &str) -> Result<Report> {
        let is_left = async |_: &Report| Ok(self.lists().await? == lists);
        let what = format!("make the set {lists}");
        self.env.collect_until(AT_ONCE, &what, is_left).await
    }

    /// Ends everything, so that nothing of it is in the way of other tests.
    pub async fn end(self) -> Result<()> {
        let claims = self.env.claims().await?;
        let deleted = claims
            .delete(&self.claim_name(), &DeleteParams::default())
            .await;
        if let Err(error) = deleted
            && self.read().await?.is_some()
        {
            return Err(error.into());
        }
        let is_over = async |_: &Report| Ok(self.leases().await?.is_empty());
        let args = [AT_ONCE, &["--release-unreachable"]].concat();
        let over = self
            .env
            .collect_until(&args, "release the members", is_over);
        over.await.map(drop)
    }
}

/// Without waits: a run acts on what the one before it has seen.
pub const AT_ONCE: &[&str] = &["--add-timeout", "0", "--claim-grace", "0", "--margin", "0"];

/// An environment with a Subnet of this name.
pub async fn env(name: &'static str, subnet: &str) -> Result<TestEnv> {
    let env = crate::env::Isolation::turn(name).start().await?;
    env.subnet_of(name, subnet, Value::Object(serde_json::Map::default()))
        .await?;
    Ok(env)
}
