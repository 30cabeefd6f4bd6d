//! The least that a process can do for an address: a TLS handshake, a GET of its pod, one create.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use leasehold::api::{Holder, State};
use leasehold::cni::PodRef;
use leasehold::ip::Vrf;
use leasehold::kube_client::NodeCredentials;
use leasehold::lease::{Commit, Lease, LeaseName, Store};
use leasehold::plugin::{Api, Connect};
use leasehold::retry::Deadline;

/// Its first argument, by which the benchmark starts itself.
pub const FLOOR: &str = "floor";

/// Creates the lease of an address for a pod.
pub async fn run(arguments: &[String]) -> Result<()> {
    let [kubeconfig, namespace, name, address] = arguments else {
        anyhow::bail!("usage: floor KUBECONFIG NAMESPACE POD ADDRESS");
    };
    let deadline = Deadline::after(Duration::from_secs(50));
    let api = NodeCredentials.connect(Some(Path::new(kubeconfig)), deadline)?;
    let pod = PodRef {
        namespace: namespace.clone(),
        name: name.clone(),
        uid: None,
    };
    let found = api.pod(&pod).await?.context("no such pod")?;
    let holder = Holder {
        namespace: namespace.clone(),
        pod: name.clone(),
        uid: found.uid,
        node: found.node.context("the pod is on no node")?,
        container: format!("{address:0>64}"),
        interface: "eth0".to_owned(),
        network: "test".to_owned(),
        ..Holder::default()
    };
    let lease = Lease {
        name: LeaseName {
            vrf: Vrf::default(),
            address: address.parse()?,
        },
        pool: super::POOL.into(),
        state: State::Held,
        holder: Some(holder),
        co_holder: None,
        claim: None,
        cooldown: Duration::from_secs(30),
        termination: found.termination,
        held_since: None,
        released_at: None,
        attachment_failed: false,
        quarantined_until: None,
        foreign_mac: None,
    };
    let commit = api.create(&lease).await?;
    ensure!(matches!(commit, Commit::Won(_)), "{address} is taken");
    Ok(())
}
