//! Sets of addresses: claims that a person makes or the plugin, and the pods that use them.

mod by_hand;
mod collected;
mod crash;
mod derived;
mod refusals;
mod requests;

use anyhow::{Context, Result};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use leasehold::api::{IPClaim, IPLease};
use serde_json::{Value, json};
use testbed::{Attachment, Outcome, Pod};

use crate::env::TestEnv;

const CLAIM: &str = "ipam.leasehold.io/claim";

impl TestEnv {
    /// The claims of the environment's namespace, for the administrator.
    pub async fn claims(&self) -> Result<Api<IPClaim>> {
        Ok(Api::namespaced(self.cluster.admin().await?, self.name()))
    }

    /// Makes a claim in the environment's namespace, as a person does.
    pub async fn claim(&self, name: &str, spec: Value) -> Result<IPClaim> {
        self.namespace(self.name(), json!({})).await?;
        let mut claim = IPClaim::new(name, serde_json::from_value(spec)?);
        claim.metadata.namespace = Some(self.name().to_owned());
        let claims = self.claims().await?;
        let made = claims.create(&PostParams::default(), &claim).await;
        made.with_context(|| format!("make claim {name}"))
    }

    /// What its status says: `addresses / confirmed / leaving`, then the condition Ready.
    pub async fn set(&self, name: &str) -> Result<String> {
        let status = self
            .claims()
            .await?
            .get(name)
            .await?
            .status
            .unwrap_or_default();
        let lists = [&status.addresses, &status.confirmed, &status.leaving];
        let lists = lists.map(|list| list.join(" "));
        let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
        let ready = ready.map_or_else(String::new, |ready| {
            format!("{}: {}", ready.reason, ready.message)
        });
        Ok(self.redact(&format!("{}\n{ready}", lists.join(" / ").trim())))
    }

    /// Changes the spec of a claim.
    pub async fn edit_claim(&self, name: &str, spec: Value) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        let claims = self.claims().await?;
        claims.patch(name, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Begins the deletion of a claim.
    pub async fn delete_claim(&self, name: &str) -> Result<()> {
        let claims = self.claims().await?;
        claims.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// A pod that names this claim, and its first interface.
    pub async fn claiming(&self, pod: &str, claim: &str) -> Result<(Pod, Attachment)> {
        let pod = self.pod(pod).annotation(CLAIM, claim).create().await?;
        let eth0 = self.eth0(&pod)?;
        Ok((pod, eth0))
    }

    /// The addresses of an answer, or the code and the message of an error, redacted.
    pub fn answer(&self, outcome: &Outcome) -> Result<String> {
        if !outcome.succeeded() {
            return Ok(self.message(outcome));
        }
        let addresses: Vec<String> = outcome.ips()?.iter().map(ToString::to_string).collect();
        Ok(self.redact(&addresses.join(" ")))
    }

    /// A claim's leases in a line each: address, state, pod, in the order of their names, redacted.
    pub async fn members(&self, claim: &str) -> Result<String> {
        let leases = self
            .leases_where(&format!("spec.claim.name={claim}"))
            .await?;
        let is_here = |lease: &&IPLease| {
            let claim = lease.spec.claim.as_ref();
            claim.is_some_and(|claim| claim.namespace == self.name())
        };
        let mut lines: Vec<String> = leases
            .iter()
            .filter(is_here)
            .map(|lease| {
                let spec = &lease.spec;
                let pod = spec.holder.as_ref().map_or("-", |holder| &holder.pod);
                self.redact(&format!("{} {:?} {pod}", spec.address, spec.state))
            })
            .collect();
        lines.sort();
        Ok(lines.join("\n"))
    }
}
