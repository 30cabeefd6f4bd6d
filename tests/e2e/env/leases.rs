//! Who holds what.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, ListParams};
use leasehold::api::{IPLease, State, lease_name};
use leasehold::ip::Vrf;
use testbed::proxy::Log;
use testbed::{Attachment, Outcome, Pod, PodBuilder};

use super::TestEnv;

impl TestEnv {
    /// The lease of an address.
    pub async fn lease(&self, address: IpAddr) -> Result<Option<IPLease>> {
        let vrf = self.vrf.map_or(Ok(Vrf::default()), str::parse)?;
        let leases = self.api::<IPLease>().await?;
        Ok(leases.get_opt(&lease_name(&vrf, address)).await?)
    }

    /// Deletes the lease of an address, as an administrator may who no pod holds it from.
    pub async fn delete_lease(&self, address: IpAddr) -> Result<()> {
        let vrf = self.vrf.map_or(Ok(Vrf::default()), str::parse)?;
        let leases = self.api::<IPLease>().await?;
        let name = lease_name(&vrf, address);
        leases.delete(&name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Whether a pod holds the address.
    pub async fn is_held(&self, address: IpAddr) -> Result<bool> {
        let lease = self.lease(address).await?;
        Ok(lease.is_some_and(|lease| lease.spec.state == State::Held))
    }

    /// All its leases, of whatever state.
    pub async fn leases(&self) -> Result<Vec<IPLease>> {
        self.leases_where(&self.leases).await
    }

    /// Its leases that are held.
    pub async fn held(&self) -> Result<Vec<IPLease>> {
        let mut leases = self.leases().await?;
        leases.retain(|lease| lease.spec.state == State::Held);
        Ok(leases)
    }

    /// The leases that a pod holds.
    pub async fn held_by(&self, pod: &Pod) -> Result<Vec<IPLease>> {
        let held = format!("spec.state=Held,spec.holder.uid={}", pod.uid());
        self.leases_where(&held).await
    }

    pub async fn leases_where(&self, fields: &str) -> Result<Vec<IPLease>> {
        let selected = ListParams::default().fields(fields);
        Ok(self.api().await?.list(&selected).await?.items)
    }

    /// Its leases in a line each, in the order of their names, redacted.
    pub async fn lease_lines(&self) -> Result<String> {
        let leases = self.leases().await?;
        let mut lines: Vec<String> = leases
            .iter()
            .map(|lease| {
                let spec = &lease.spec;
                let holder = spec.holder.as_ref();
                let (pod, interface) = holder.map_or(("", ""), |h| (&h.pod, &h.interface));
                let line = format!("{} {:?} {pod} {interface}", spec.address, spec.state);
                self.redact(&line)
            })
            .collect();
        lines.sort();
        Ok(lines.join("\n"))
    }

    /// Attaches this pod; returns the pools of its addresses (`a` or `a b`), or the error's code
    /// and message.
    pub async fn pools_for(&self, pod: PodBuilder) -> Result<String> {
        let pod = pod.create().await?;
        self.pools_of(&self.eth0(&pod)?.add().await?).await
    }

    /// The pools of an answer's addresses, or the error's code and message.
    pub async fn pools_of(&self, outcome: &Outcome) -> Result<String> {
        if !outcome.succeeded() {
            let error = outcome.json()?;
            let message = error["msg"].as_str().unwrap_or_default();
            return Ok(format!("{}: {message}", error["code"]));
        }
        let mut pools = Vec::new();
        for address in outcome.ips()? {
            let lease = self.lease(address).await?;
            pools.push(lease.context("an address without a lease")?.spec.pool);
        }
        Ok(pools.join(" "))
    }

    /// Checks that of all its leases exactly the last answer of this attachment is held, by its
    /// container.
    pub async fn holds_only(&self, eth0: &Attachment) -> Result<()> {
        let held = self.held().await?;
        let addresses: Vec<_> = held
            .iter()
            .map(|lease| lease.spec.address.as_str())
            .collect();
        let answered: Vec<_> = eth0.ips()?.iter().map(ToString::to_string).collect();
        ensure!(
            addresses == answered,
            "answered {answered:?}, and held {addresses:?}\n{}",
            self.log()
        );
        let holder = held.first().and_then(|lease| lease.spec.holder.as_ref());
        ensure!(
            holder.is_some_and(|holder| holder.container == eth0.container_id()),
            "it is held by {holder:?}\n{}",
            self.log()
        );
        Ok(())
    }

    /// Checks that no pod holds anything here.
    pub async fn holds_nothing(&self) -> Result<()> {
        let held = self.held().await?;
        ensure!(held.is_empty(), "still held: {held:?}\n{}", self.log());
        Ok(())
    }

    /// What the proxy has seen, for a failure's message.
    fn log(&self) -> String {
        let log = self.proxy.as_ref().map(|proxy| proxy.log());
        log.as_ref().map(Log::to_string).unwrap_or_default()
    }
}
