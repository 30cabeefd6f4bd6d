//! The sets of many applications at once: `cargo bench --bench add -- sets`.
//!
//! A hundred Deployments of ten pods, whose sets take up exactly one Subnet, twenty ADDs at a time;
//! before and after it as many plain pods.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use kube::api::{Api, ListParams};
use leasehold::api::{IPClaim, IPLease, State};
use serde_json::json;
use testbed::{Attachment, Pod};

use super::environment::{Bench, POOL, plugin};
use super::figures::{head, milli, per_second, real, row};
use super::full::{Ended, address, at_a_time, clear, scattered};

const NAMESPACE: &str = "bench";
const SUBNET: &str = "sets";
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
        for number in 0..applications {
            let replicas = u32::try_from(REPLICAS)?;
            let name = application(number);
            self.cluster.deployment(NAMESPACE, &name, replicas).await?;
        }
        head(["a second", "p50", "p99", "requests"]);
        let first = self.plain(pods).await?;
        let mut waiting = Vec::with_capacity(pods);
        for number in 0..pods {
            let pod = self.of_application(scattered(number, pods)).await?;
            waiting.push(self.attachment(&plugin(), &pod)?);
        }
        let name = format!("{applications} Deployments × {REPLICAS}, their sets");
        let ended = self.measure(&name, waiting).await?;
        self.ensure_exact(&ended.added, applications).await?;
        clear(ended.added).await?;
        let second = self.plain(pods).await?;
        println!(
            "the sets took {:.2} × the time of plain pods",
            2.0 * ended.elapsed.as_secs_f64() / (first + second)
        );
        Ok(())
    }

    /// In how many seconds so many plain pods are served.
    async fn plain(&self, pods: usize) -> Result<f64> {
        let waiting = self.attachments_on(POOL, pods).await?;
        let ended = self.measure(&format!("{pods} plain pods"), waiting).await?;
        clear(ended.added).await?;
        Ok(ended.elapsed.as_secs_f64())
    }

    /// Prints how these fare, none of which may fail.
    async fn measure(&self, name: &str, waiting: Vec<Attachment>) -> Result<Ended> {
        let pods = waiting.len();
        let mark = self.cluster.mark().await?;
        let ended = at_a_time(AT_A_TIME, waiting).await?;
        let requests = real(self.requests(&mark).await?) / real(pods);
        let [p50, p99] = ended.percentiles().map(milli);
        let rate = per_second(pods, ended.elapsed);
        row(
            name,
            [format!("{rate:.0}"), p50, p99, format!("{requests:.1}")],
        );
        ensure!(ended.refused.is_empty(), "{} failed", ended.refused.len());
        Ok(ended)
    }

    /// The pod of this number among all of the applications'.
    async fn of_application(&self, number: usize) -> Result<Pod> {
        let name = application(number / REPLICAS);
        let subnet = json!({"interface": "eth0", "ipv4": [SUBNET]}).to_string();
        let pod = format!("{name}-7d9f8-{}", number % REPLICAS);
        let pod = (self.cluster.pod(NAMESPACE, &pod))
            .of_deployment(&name)
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
        let of_subnet = ListParams::default().fields(&format!("spec.pool=subnet/{SUBNET}"));
        let mut held = BTreeSet::new();
        for lease in leases.list(&of_subnet).await? {
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

fn application(number: usize) -> String {
    format!("app-{number:03}")
}
