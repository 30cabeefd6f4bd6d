//! The sets of many applications at once: `cargo bench --bench add -- sets`.
//!
//! A hundred Deployments of ten pods, whose sets take up exactly one Subnet, twenty ADDs at a time:
//! pods of all Deployments in turn, then Deployment by Deployment. Before and after each as many
//! plain pods, on the same configuration. Then, alone, what a pod costs in [requests](super::kept)
//! whose address is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DeleteParams, ListParams};
use leasehold::api::{IPClaim, IPLease, State};
use serde_json::json;
use testbed::{Attachment, Pod};

use super::environment::Bench;
use super::figures::{each, head, milli, per_second, row};
use super::full::{Ended, address, at_a_time, scattered};
use super::storms::give_back;

pub const NAMESPACE: &str = "bench";
const SUBNET: &str = "sets";
/// Of the plain pods, with room for all. It has no cooldown, so that the leases of one row are not
/// among those that the next one lists.
pub const PLAIN: &str = "plain";
/// Pods of a Deployment.
const REPLICAS: usize = 10;
const AT_A_TIME: usize = 20;

impl Bench {
    /// So many pods in applications, beside as many without.
    pub async fn sets(&self, pods: usize) -> Result<()> {
        let applications = pods / REPLICAS;
        let last = address(0, pods - 1);
        let subnet = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "Subnet", "metadata": {"name": SUBNET},
            "spec": {"subnet": "10.100.0.0/15", "ips": [format!("{}-{last}", address(0, 0))]}});
        self.cluster.apply_yaml(&subnet.to_string()).await?;
        let plain = json!({"subnet": "10.84.0.0/14", "cooldownSeconds": 0});
        self.apply_pool(PLAIN, &plain).await?;
        for number in 0..applications {
            let replicas = u32::try_from(REPLICAS)?;
            let name = application(number);
            self.cluster.deployment(NAMESPACE, &name, replicas).await?;
        }
        head([
            "a second",
            "p50",
            "p99",
            "requests",
            "plugin CPU",
            "server CPU",
        ]);
        let mut before = self.plain(pods).await?;
        let mut ratios = Vec::new();
        for (order, number_of) in [
            ("in turn", scattered as fn(usize, usize) -> usize),
            ("one by one", |number, _| number),
        ] {
            let mut waiting = Vec::with_capacity(pods);
            for number in 0..pods {
                let pod = self.of_application(number_of(number, pods)).await?;
                waiting.push(self.ours(&pod, PLAIN)?);
            }
            let name = format!("{applications} Deployments × {REPLICAS}, {order}");
            let ended = self.measure(&name, waiting).await?;
            self.ensure_exact(&ended.added, applications).await?;
            give_back(&ended.added).await?;
            self.end_sets().await?;
            let after = self.plain(pods).await?;
            let ratio = 2.0 * ended.elapsed.as_secs_f64() / (before + after);
            ratios.push(format!("{ratio:.2} × {order}"));
            before = after;
        }
        println!(
            "the sets took so many times the time of plain pods: {}",
            ratios.join(", ")
        );
        Ok(())
    }

    /// Takes back all sets, and the pods that were in them.
    async fn end_sets(&self) -> Result<()> {
        let admin = self.cluster.admin().await?;
        let (all, now) = (
            ListParams::default(),
            DeleteParams::default().grace_period(0),
        );
        let claims: Api<IPClaim> = Api::namespaced(admin.clone(), NAMESPACE);
        claims.delete_collection(&now, &all).await?;
        let leases: Api<IPLease> = Api::all(admin.clone());
        leases.delete_collection(&now, &of_subnet()).await?;
        let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(admin, NAMESPACE);
        let of_applications = all.labels("pod-template-hash");
        pods.delete_collection(&now, &of_applications).await?;
        Ok(())
    }

    /// In how many seconds so many plain pods are served.
    async fn plain(&self, pods: usize) -> Result<f64> {
        let waiting = self.attachments_on(PLAIN, pods).await?;
        let ended = self.measure(&format!("{pods} plain pods"), waiting).await?;
        give_back(&ended.added).await?;
        Ok(ended.elapsed.as_secs_f64())
    }

    /// Prints how these fare, none of which may fail.
    async fn measure(&self, name: &str, waiting: Vec<Attachment>) -> Result<Ended> {
        let pods = waiting.len();
        let (ended, spent) = self.spending(at_a_time(AT_A_TIME, waiting)).await?;
        let [p50, p99] = ended.percentiles().map(milli);
        let rate = per_second(pods, ended.elapsed);
        row(
            name,
            [
                format!("{rate:.0}"),
                p50,
                p99,
                spent.requests_each(pods),
                each(spent.plugin, pods),
                each(spent.server, pods),
            ],
        );
        ensure!(ended.refused.is_empty(), "{} failed", ended.refused.len());
        Ok(ended)
    }

    /// The pod of this number among all of the applications'.
    async fn of_application(&self, number: usize) -> Result<Pod> {
        let name = application(number / REPLICAS);
        self.member(&name, number % REPLICAS, SUBNET).await
    }

    /// The pod of this number of an application, which wants an address of a set as large as that.
    pub async fn member(&self, application: &str, number: usize, subnet: &str) -> Result<Pod> {
        let subnet = json!({"interface": "eth0", "ipv4": [subnet]}).to_string();
        let pod = format!("{application}-7d9f8-{number}");
        let pod = (self.cluster.pod(NAMESPACE, &pod))
            .of_deployment(application)
            .annotation("ipam.leasehold.io/subnet", &subnet)
            .annotation("ipam.leasehold.io/ippool-ip-number", "+0");
        pod.on(&self.node).create().await
    }

    /// Every application has a set of its size, and the sets have no address in common; each pod
    /// has another address of its own application's set.
    async fn ensure_exact(&self, added: &[Attachment], applications: usize) -> Result<()> {
        let admin = self.cluster.admin().await?;
        let claims: Api<IPClaim> = Api::namespaced(admin.clone(), NAMESPACE);
        let mut listed = BTreeMap::new();
        for claim in claims.list(&ListParams::default()).await? {
            let owner = claim.spec.owner.context("an owner")?.name;
            let addresses = claim.status.context("a status")?.addresses;
            ensure!(addresses.len() == REPLICAS, "{owner} has {addresses:?}");
            for address in addresses {
                let other = listed.insert(address.parse::<IpAddr>()?, owner.clone());
                ensure!(
                    other.is_none(),
                    "{address} is in two sets: {owner}, {other:?}"
                );
            }
        }
        ensure!(
            listed.len() == applications * REPLICAS,
            "{} listed",
            listed.len()
        );
        let leases: Api<IPLease> = Api::all(admin);
        let mut held = BTreeSet::new();
        for lease in leases.list(&of_subnet()).await? {
            let address = lease.spec.address.parse()?;
            let pod = lease.spec.holder.context("a holder")?.pod;
            let owner = listed.get(&address).context("a set")?;
            ensure!(
                lease.spec.state == State::Held && pod.starts_with(&format!("{owner}-")),
                "{address} of {owner} is {:?} of {pod}",
                lease.spec.state
            );
            held.insert(address);
        }
        let answered: Result<Vec<_>> = added.iter().map(Attachment::ips).collect();
        let answered: BTreeSet<IpAddr> = answered?.into_iter().flatten().collect();
        ensure!(
            held == answered,
            "{} held, {} answered",
            held.len(),
            answered.len()
        );
        ensure!(held.len() == listed.len(), "{} held", held.len());
        Ok(())
    }
}

fn of_subnet() -> ListParams {
    ListParams::default().fields(&format!("spec.pool=subnet/{SUBNET}"))
}

fn application(number: usize) -> String {
    format!("app-{number:03}")
}
