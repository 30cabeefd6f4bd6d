//! What a node's credentials are good for outside the plugin, and what stops a person from freeing
//! an address in use.
//!
//! Every row is a request to the real API server as a dry run, which is admitted like any other and
//! leaves nothing.

mod change;
mod claims;
mod node;
mod person;
mod sets;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use leasehold::api::{
    ClaimKind, ClaimOwner, ClaimRef, Holder, IPLease, IPLeaseSpec, MicroTime, State,
};
use serde_json::json;
use testbed::{Cluster, Node, Pod, Refused};

use crate::env::cells;

const LONG_AGO: MicroTime = MicroTime(Timestamp::UNIX_EPOCH);

/// Two nodes with a pod each, and a vrf in which no other test has leases.
struct TwoNodes {
    cluster: Cluster,
    vrf: &'static str,
    here: Node,
    mine: Pod,
    there: Node,
    theirs: Pod,
}

impl TwoNodes {
    async fn new(vrf: &'static str) -> Result<Self> {
        let cluster = testbed::shared().await?;
        let here = cluster.fresh_node().create().await?;
        let there = cluster.fresh_node().create().await?;
        let mine = cluster.pod(vrf, "mine").on(&here).create().await?;
        let theirs = cluster.pod(vrf, "theirs").on(&there).create().await?;
        Ok(Self {
            cluster,
            vrf,
            here,
            mine,
            there,
            theirs,
        })
    }

    /// The leases as the first node's credentials reach them.
    async fn leases(&self) -> Result<Api<IPLease>> {
        Ok(Api::all(self.here.client().await?))
    }

    async fn leases_as_admin(&self) -> Result<Api<IPLease>> {
        Ok(Api::all(self.cluster.admin().await?))
    }

    /// A lease of this address, in words: its state, its holder (see [`holder`](Self::holder)),
    /// and, if it has them, its claim (see [`claim`](Self::claim)) and `since`, as one that a pod
    /// has had.
    fn lease(&self, address: &str, words: &str) -> Result<IPLease> {
        let mut words = words.split_whitespace();
        let state: State = serde_json::from_value(words.next().into())?;
        let holder = self.holder(words.next().context("a holder")?);
        let (since, claim) = words.partition::<Vec<_>, _>(|word| *word == "since");
        let spec = IPLeaseSpec {
            address: address.to_owned(),
            vrf: self.vrf.to_owned(),
            pool: "p".to_owned(),
            state,
            holder: Some(holder),
            claim: claim.first().map(|words| self.claim(words)),
            held_since: (!since.is_empty()).then_some(LONG_AGO),
            released_at: (state == State::Cooling).then_some(LONG_AGO),
            quarantined_until: (state == State::Quarantined).then_some(LONG_AGO),
            ..IPLeaseSpec::default()
        };
        Ok(IPLease::new(&format!("{}.{address}", self.vrf), spec))
    }

    /// `pod:mine` keeps the address for the pod of that name; `set:a` is the IPClaim `a`,
    /// `set:a:web` one that says that it is for the application `web`. With `far-` in front it is
    /// in another namespace.
    fn claim(&self, words: &str) -> ClaimRef {
        let near = words.strip_prefix("far-");
        let namespace = if near.is_some() { "far" } else { self.vrf };
        let mut words = near.unwrap_or(words).split(':');
        let kind = match words.next() {
            Some("pod") => ClaimKind::Pod,
            _ => ClaimKind::IPClaim,
        };
        ClaimRef {
            kind,
            namespace: namespace.to_owned(),
            name: words.next().unwrap_or_default().to_owned(),
            owner: words.next().map(|name| ClaimOwner {
                group: "apps".to_owned(),
                kind: "StatefulSet".to_owned(),
                name: name.to_owned(),
                ..ClaimOwner::default()
            }),
            ..ClaimRef::default()
        }
    }

    /// `me` is the first node's pod on the first node, `them` the second node's on the second;
    /// `me-there` and `them-here` are on the other node, `me-again` is in a new sandbox, and
    /// `missing` is no pod of the first node.
    fn holder(&self, who: &str) -> Holder {
        let pod = if who.starts_with("them") {
            &self.theirs
        } else {
            &self.mine
        };
        let here = !matches!(who, "them" | "me-there");
        let node = if here { &self.here } else { &self.there };
        let pod_name = if who == "missing" { who } else { pod.name() };
        let container = if who == "me-again" { "c2" } else { "c1" };
        Holder {
            namespace: pod.namespace().to_owned(),
            pod: pod_name.to_owned(),
            uid: pod.uid().to_owned(),
            node: node.name().to_owned(),
            container: container.to_owned(),
            interface: "eth0".to_owned(),
            network: "net".to_owned(),
            ..Holder::default()
        }
    }
}

/// Makes it the lease of its name, whatever is there now.
async fn put(leases: &Api<IPLease>, lease: IPLease) -> Result<IPLease> {
    let name = lease.metadata.name.clone().unwrap_or_default();
    if let Some(there) = leases.get_opt(&name).await? {
        let uid = there.spec.holder.map(|holder| holder.uid);
        let release = json!({"metadata": {"annotations": {"ipam.leasehold.io/release": uid}}});
        let release = Patch::Merge(release);
        leases
            .patch(&name, &PatchParams::default(), &release)
            .await?;
        leases.delete(&name, &DeleteParams::default()).await?;
    }
    Ok(leases.create(&PostParams::default(), &lease).await?)
}

fn dry_run() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

/// The deletion of exactly what was read, as the plugin does it.
fn deletion(stored: &IPLease) -> DeleteParams {
    DeleteParams {
        dry_run: true,
        preconditions: Some(Preconditions {
            uid: stored.metadata.uid.clone(),
            resource_version: stored.metadata.resource_version.clone(),
        }),
        ..DeleteParams::default()
    }
}

/// What is to become of a request.
#[derive(Clone, Debug)]
enum Verdict {
    Allowed,
    /// Refused by a policy, which ends with these words.
    Refused(String),
}
use Verdict::Allowed;

fn refused(words: &str) -> Verdict {
    Verdict::Refused(words.to_owned())
}

/// Compares the answer with the verdict.
fn judge<T>(answer: kube::Result<T>, verdict: &Verdict) -> Result<()> {
    match (answer, verdict) {
        (Ok(_), Allowed) => Ok(()),
        (Ok(_), Verdict::Refused(words)) => {
            ensure!(false, "it was allowed, and should be refused: {words}");
            Ok(())
        }
        (Err(error), verdict) => {
            let Refused { code, message, .. } = error.into();
            let Verdict::Refused(words) = verdict else {
                return Err(anyhow::anyhow!("{message}"));
            };
            ensure!(
                code == 403 && message.ends_with(words.as_str()),
                "it was refused otherwise ({code}): {message}"
            );
            Ok(())
        }
    }
}

/// All rows that fail, each with its sentence.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn note(&mut self, says: &str, outcome: Result<()>) {
        if let Err(failure) = outcome.with_context(|| says.to_owned()) {
            self.0.push(format!("{failure:#}"));
        }
    }

    fn none(self) -> Result<()> {
        ensure!(self.0.is_empty(), "{}", self.0.join("\n"));
        Ok(())
    }
}
