//! Runs of the collector with its own identity, and pods that have addresses.

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, DeleteParams, PostParams};
use leasehold::api::{IPPool, ReservedIP};
use serde_json::{Value, json};
use testbed::{Attachment, Call, Cluster, Node, Outcome, Pod};

use crate::env::{Isolation, TestEnv, with};

pub const COLLECTOR: &str = env!("CARGO_BIN_EXE_leasehold-gc");

/// Its namespace, as it is shipped.
pub const SYSTEM: &str = "leasehold-system";

/// A pod with an address.
pub struct Attached {
    pub pod: Pod,
    pub eth0: Attachment,
    pub address: IpAddr,
}

/// An environment with a pool of this name and CIDR, whose addresses are free as soon as they are
/// released.
pub async fn env(name: &'static str, subnet: &str) -> Result<TestEnv> {
    let env = Isolation::turn(name).start().await?;
    env.pool_of(name, subnet, json!({"cooldownSeconds": 0}))
        .await?;
    Ok(env)
}

impl TestEnv {
    /// What is reserved because nodes have it.
    pub async fn reserved_for_nodes(&self) -> Result<Vec<String>> {
        let reserved: Api<ReservedIP> = self.api().await?;
        Ok(reserved.get("leasehold-nodes").await?.spec.ips)
    }

    /// A pod on this node, with an address of the environment's pool.
    pub async fn attach(&self, node: &Node, name: &str) -> Result<Attached> {
        let pod = self
            .cluster
            .pod(self.name(), name)
            .on(node)
            .create()
            .await?;
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
        self.on(node.clone()).eth0_on(pod, self.name())
    }

    /// The collector with these arguments, as its service account, by way of `server` if there is
    /// something between.
    pub async fn collector(&self, args: &[&str], server: Option<(&str, &str)>) -> Result<Call> {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        let identity = self.cluster.admin_kubeconfig_of(0);
        let identity = identity.token(&token(&self.cluster, SYSTEM).await?);
        let identity = match server {
            None => identity,
            Some((url, ca)) => identity.server(url).ca(ca),
        };
        // Several may run at a time, and none may read what another has half written.
        let name = format!(
            "collector-{}.kubeconfig",
            RUNS.fetch_add(1, Ordering::Relaxed)
        );
        let kubeconfig = identity.write(&self.cluster.dir().join(name))?;
        let call = Call::new(Path::new(COLLECTOR))
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .arg("--output")
            .arg("json");
        Ok(args.iter().fold(call, |call, arg| call.arg(*arg)))
    }

    /// Runs it, and expects it to do its work.
    pub async fn collect(&self, args: &[&str]) -> Result<Report> {
        let outcome = self.collector(args, None).await?.run().await?;
        Report::of(&outcome.success()?)
    }

    /// Runs it again and again until that is so: what one run sees for the first time, a later one
    /// releases, once nodes have renewed their heartbeats. Returns what the last run reported.
    pub async fn collect_until(
        &self,
        args: &[&str],
        what: &str,
        is_so: impl AsyncFn(&Report) -> Result<bool>,
    ) -> Result<Report> {
        const LIMIT: Duration = Duration::from_mins(2);
        let begun = Instant::now();
        loop {
            let report = self.collect(args).await?;
            if is_so(&report).await? {
                return Ok(report);
            }
            if begun.elapsed() > LIMIT {
                bail!("no run did this: {what}: {report:#?}");
            }
        }
    }

    /// Runs it until nothing of the environment is held.
    pub async fn collect_all(&self, args: &[&str]) -> Result<Report> {
        let is_empty = async |_: &Report| Ok(self.held().await?.is_empty());
        self.collect_until(args, "release everything", is_empty)
            .await
    }

    /// Deletes the environment's pool: without it no address of it is reserved, for other tests to
    /// look at.
    pub async fn forget(&self) -> Result<()> {
        let pools: Api<IPPool> = self.api().await?;
        pools.delete(self.name(), &DeleteParams::default()).await?;
        self.collect(&[]).await?;
        Ok(())
    }

    /// A pool as it is now.
    pub async fn read_pool(&self, name: &str) -> Result<IPPool> {
        Ok(self.api::<IPPool>().await?.get(name).await?)
    }

    /// A lease as a person writes it.
    pub async fn write_lease(&self, address: &str, spec: Value) -> Result<()> {
        let base = json!({"address": address, "pool": self.name(), "cooldownSeconds": 0});
        let lease = json!({
            "apiVersion": "leasehold.io/v1alpha1", "kind": "IPLease",
            "metadata": {"name": address}, "spec": with(base, &spec),
        });
        self.cluster.create_yaml(&lease.to_string()).await?;
        Ok(())
    }
}

/// A token of the collector's service account, as its pod has one.
pub async fn token(cluster: &Cluster, namespace: &str) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.admin().await?, namespace);
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

/// What a run of the collector reported.
#[derive(Debug)]
pub struct Report {
    events: Vec<Value>,
    pub summary: Value,
}

impl Report {
    pub fn of(outcome: &Outcome) -> Result<Self> {
        let lines = outcome.stdout.lines().map(serde_json::from_str);
        let mut events: Vec<Value> = lines
            .collect::<Result<_, _>>()
            .with_context(|| outcome.to_string())?;
        let summary = events.pop().context("it reported nothing")?;
        ensure!(summary["event"] == "summary", "{outcome}");
        Ok(Self { events, summary })
    }

    /// The events of this sort.
    pub fn events(&self, sort: &str) -> Vec<&Value> {
        let events = self.events.iter();
        events.filter(|event| event["event"] == sort).collect()
    }

    /// The reason by which this lease was released or kept, in one word.
    pub fn reason(&self, lease: &str) -> Option<&str> {
        let event = self.events.iter().find(|event| event["lease"] == lease)?;
        event["reason"].as_str()
    }

    /// What it reported of this lease: the event, and the reason if there is one.
    pub fn about(&self, lease: &str) -> Option<(String, String)> {
        let event = self.events.iter().find(|event| event["lease"] == lease)?;
        let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        Some((word("event"), word("message")))
    }
}
