//! The least that an IPAM plugin can do for an address: a TLS handshake, a GET of its pod, one
//! create. The benchmark itself is this plugin where it is called as one.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use leasehold::api::{Holder, State};
use leasehold::cni::PodRef;
use leasehold::ip::Vrf;
use leasehold::kube_client::NodeCredentials;
use leasehold::lease::{Commit, Lease, LeaseName, Store};
use leasehold::plugin::{Api, Connect};
use leasehold::retry::Deadline;
use serde::Deserialize;

/// The configuration, as the benchmark writes it.
#[derive(Deserialize)]
struct Config {
    ipam: Ipam,
}

#[derive(Deserialize)]
struct Ipam {
    kubeconfig: PathBuf,
    namespace: String,
    pod: String,
    address: String,
}

/// ADD: creates the lease of the address for the pod. Nothing else is done, so that a DEL costs
/// nothing.
pub async fn run(command: &str) -> Result<()> {
    if command == "ADD" {
        let config: Config = serde_json::from_reader(std::io::stdin().lock())?;
        add(config.ipam).await?;
    }
    println!("{{}}");
    Ok(())
}

async fn add(ipam: Ipam) -> Result<()> {
    let deadline = Deadline::after(Duration::from_secs(50));
    let api = NodeCredentials.connect(Some(&ipam.kubeconfig), deadline)?;
    let pod = PodRef {
        namespace: ipam.namespace.clone(),
        name: ipam.pod.clone(),
        uid: None,
    };
    let found = api.pod(&pod).await?.context("no such pod")?;
    let holder = Holder {
        namespace: ipam.namespace,
        pod: ipam.pod,
        uid: found.uid,
        node: found.node.context("the pod is on no node")?,
        container: format!("{:0>64}", ipam.address),
        interface: "eth0".to_owned(),
        network: "test".to_owned(),
        ..Holder::default()
    };
    let lease = Lease {
        name: LeaseName {
            vrf: Vrf::default(),
            address: ipam.address.parse()?,
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
    ensure!(
        matches!(commit, Commit::Won(_)),
        "{} is taken",
        ipam.address
    );
    Ok(())
}
