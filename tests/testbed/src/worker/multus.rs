//! The stand-in for Multus on a node, in front of the node's network.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Running, Worker, WorkerBuilder};
use crate::cluster::Cluster;
use crate::server::Server;
use crate::tools::Tool;

const KUBECONFIG: &str = "/etc/cni/net.d/multus.d/multus.kubeconfig";
const SOCKET: &str = "/run/multus.sock";
const DAEMON: &str = include_str!("multus.sh");

/// How a node has it.
#[derive(Clone, Debug)]
pub(super) struct Multus {
    default_networks: Vec<String>,
    thick: bool,
}

impl WorkerBuilder {
    /// Pods are attached by the stand-in for Multus: to the node's network, then to these
    /// definitions (`namespace/name`), then to what they ask for.
    #[must_use]
    pub fn multus(self, default_networks: &[&str]) -> Self {
        self.with_multus(default_networks, false)
    }

    /// The same by a daemon, which has 50 Mi of memory and a tenth of a CPU for itself and what it
    /// runs, as where Multus' manifest is applied as it is.
    #[must_use]
    pub fn thick_multus(self, default_networks: &[&str]) -> Self {
        self.with_multus(default_networks, true)
    }

    fn with_multus(mut self, default_networks: &[&str], thick: bool) -> Self {
        self.multus = Some(Multus {
            default_networks: default_networks.iter().map(ToString::to_string).collect(),
            thick,
        });
        self
    }
}

impl Multus {
    /// The plugin and its credentials.
    pub(super) fn furnish(worker: &Worker) -> Result<()> {
        let cluster: &Cluster = worker.cluster();
        worker.install(&cluster.tool(Tool::Multus), "/opt/cni/bin")?;
        let kubeconfig = cluster.admin_kubeconfig_of(0).to_yaml()?;
        let kubeconfig: Value = serde_norway::from_str(&kubeconfig).context("read a kubeconfig")?;
        worker.write(KUBECONFIG, &kubeconfig.to_string())
    }

    /// The configuration with which it comes before this network.
    pub(super) fn before(&self, network: &Value) -> Value {
        let mut plugin = json!({
            "type": "multus",
            "kubeconfig": KUBECONFIG,
            "defaultNetworks": self.default_networks,
            "delegates": [network],
        });
        if self.thick {
            plugin["socket"] = json!(SOCKET);
        }
        json!({"cniVersion": "1.1.0", "name": "multus-cni-network", "plugins": [plugin]})
    }
}

impl Worker {
    /// Starts the daemon, if the node has one. It starts again when it ends, as a container does.
    pub(super) fn start_multus(&self) -> Result<()> {
        if !self.0.multus.as_ref().is_some_and(|multus| multus.thick) {
            return Ok(());
        }
        let mut running = self.running();
        let Running { machine, .. } = &*running;
        let words = [
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "sh",
            "-c",
            DAEMON,
            "leasehold-multus",
            SOCKET,
        ];
        let daemon: Server = self.server(machine, "multus", &words.map(str::to_owned))?;
        running.multus = Some(daemon);
        Ok(())
    }

    /// How often the kernel has ended a process of the daemon's for want of memory.
    pub fn multus_oom_kills(&self) -> Result<u64> {
        let events = self.run(&[
            "sh",
            "-c",
            "cat /sys/fs/cgroup/memory/multus/memory.oom_control /sys/fs/cgroup/multus/memory.events 2>/dev/null || true",
        ])?;
        let count = events
            .lines()
            .find_map(|line| line.strip_prefix("oom_kill "))
            .with_context(|| format!("no count of kills in {events:?}"))?;
        count.trim().parse().context("read a count of kills")
    }
}
