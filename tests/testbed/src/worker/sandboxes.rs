//! The sandboxes that run on a node, by what containerd keeps of them in `/run`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use ipnet::IpNet;
use serde_json::Value;

use super::machine::Machine;
use crate::{echo, netns};

/// Where containerd keeps a folder per container that runs: its OCI bundle.
const BUNDLES: &str = "/run/containerd/io.containerd.runtime.v2.task/k8s.io";

/// A sandbox that runs.
#[derive(Clone, Debug)]
pub struct RunningSandbox {
    /// Its id: the `CNI_CONTAINERID` of its calls.
    pub id: String,
    /// The uid of its pod.
    pub pod_uid: String,
    /// The process that holds it, as the node knows it.
    pub pid: u32,
    /// Its network namespace, as seen from the test; none with the node's network.
    pub netns: Option<PathBuf>,
}

impl RunningSandbox {
    /// The addresses of its interface that are not link-local: what `ip address` shows.
    pub fn addresses(&self, interface: &str) -> Result<Vec<IpNet>> {
        match &self.netns {
            Some(path) => netns::addresses(path, interface),
            None => Ok(Vec::new()),
        }
    }

    /// Sends echo requests from it until an answer comes; returns how long that answer took.
    pub fn ping(&self, address: IpAddr, patience: Duration) -> Result<Duration> {
        let path = self.netns.as_deref().context("it has the node's network")?;
        netns::enter(path, || echo::ping(address, patience))
    }
}

pub(super) fn read(machine: &Machine) -> Result<Vec<RunningSandbox>> {
    let folders = match std::fs::read_dir(machine.file(BUNDLES)) {
        Ok(folders) => folders,
        // No container has run since the start.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("list the sandboxes of a node"),
    };
    let mut sandboxes = Vec::new();
    for folder in folders {
        let bundle = folder.context("list the sandboxes of a node")?.path();
        let text = |file: &str| std::fs::read_to_string(bundle.join(file));
        // One that comes or goes at this moment does not run.
        let (Ok(config), Ok(pid)) = (text("config.json"), text("init.pid")) else {
            continue;
        };
        let (Ok(config), Ok(pid)) = (serde_json::from_str(&config), pid.trim().parse()) else {
            continue;
        };
        sandboxes.extend(sandbox(machine, &config, pid));
    }
    Ok(sandboxes)
}

/// The sandbox of this OCI configuration, if it is one's.
fn sandbox(machine: &Machine, config: &Value, pid: u32) -> Option<RunningSandbox> {
    let annotation = |key: &str| config["annotations"][format!("io.kubernetes.cri.{key}")].as_str();
    if annotation("container-type") != Some("sandbox") {
        return None;
    }
    let namespaces = config["linux"]["namespaces"].as_array()?;
    let network = namespaces
        .iter()
        .find(|namespace| namespace["type"] == "network");
    Some(RunningSandbox {
        id: annotation("sandbox-id")?.to_owned(),
        pod_uid: annotation("sandbox-uid")?.to_owned(),
        pid,
        netns: network
            .and_then(|network| network["path"].as_str())
            // `/var/run` is a link that would lead to the machine's.
            .map(|path| machine.file(&path.replacen("/var/run/", "/run/", 1))),
    })
}
