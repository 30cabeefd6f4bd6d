//! A node with kubelet, containerd and runc: it runs the pods that are bound to it.
//!
//! The node has namespaces of its own for network, mounts, processes and cgroups, so that
//! `/etc/kubernetes`, `/run`, `/opt/cni/bin` and all else that kubelet, runtime and plugins expect
//! at their usual places are the node's, and nothing of the machine changes. Its identity is a
//! client certificate, as kubeadm gives one: `/etc/kubernetes/kubelet.conf`.
//!
//! What differs from production: no systemd and no cgroup per pod or class of service, settings of
//! the kernel that kubelet makes for the whole machine are made to copies, and nothing serves the
//! addresses of Services but a relay for that of the API server.

mod builder;
mod machine;
mod multus;
mod sandboxes;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::api::Api;

pub use builder::WorkerBuilder;
pub use sandboxes::RunningSandbox;

use crate::cluster::Cluster;
use crate::relay::Relay;
use crate::segment::Uplink;
use crate::server::Server;
use crate::tools::Tool;
use machine::{Disk, Machine};
use multus::Multus;

/// containerd serves within a second, a node is ready within five; this is for a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where containerd listens.
const SOCKET: &str = "/run/containerd/containerd.sock";

/// A node with kubelet and containerd. Clones are the same one; it ends with the last of them.
#[derive(Clone, Debug)]
pub struct Worker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cluster: Cluster,
    name: String,
    labels: Vec<String>,
    multus: Option<Multus>,
    address: String,
    dir: PathBuf,
    /// Dropped in this order: programs, machine, network, disk.
    running: Mutex<Running>,
    _service: Relay,
    uplink: Uplink,
    disk: Disk,
}

#[derive(Debug)]
struct Running {
    kubelet: Option<Server>,
    containerd: Option<Server>,
    multus: Option<Server>,
    machine: Machine,
}

impl Worker {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its address on the segment, which its kubelet reports.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// The cluster that it is a node of.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.0.cluster
    }

    /// Where a file of the node is, as seen from the test: `/opt/cni/bin` on the node, say.
    #[must_use]
    pub fn file(&self, path: &str) -> PathBuf {
        self.running().machine.file(path)
    }

    /// Writes a file of the node, and the folders above it.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        let file = self.file(path);
        let folder = file.parent().context("a file without a folder")?;
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&file, content))
            .with_context(|| format!("write {path} of {}", self.name()))
    }

    /// Copies a program into a folder of the node. It replaces what has its name, which may run.
    pub fn install(&self, program: &Path, folder: &str) -> Result<()> {
        let name = program.file_name().context("a program without a name")?;
        let folder = self.file(folder);
        let draft = folder.join(".draft");
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::copy(program, &draft))
            .and_then(|_| std::fs::rename(&draft, folder.join(name)))
            .with_context(|| format!("install {} on {}", program.display(), self.name()))
    }

    /// Runs a command on the node, and returns its output.
    pub fn run(&self, command: &[&str]) -> Result<String> {
        self.running().machine.run(command)
    }

    /// Imports an OCI archive into the node's containerd.
    pub fn import_image(&self, archive: &Path) -> Result<()> {
        let archive = archive.display().to_string();
        self.ctr(&["images", "import", &archive]).map(drop)
    }

    /// Runs containerd's command line in Kubernetes' namespace.
    pub fn ctr(&self, command: &[&str]) -> Result<String> {
        let ctr = self.0.cluster.tool(Tool::Ctr).display().to_string();
        self.run(&[&[&ctr, "-a", SOCKET, "-n", "k8s.io"], command].concat())
    }

    /// The sandboxes that run on it.
    pub fn sandboxes(&self) -> Result<Vec<RunningSandbox>> {
        sandboxes::read(&self.running().machine)
    }

    /// Starts containerd, and waits until it serves.
    pub async fn start_containerd(&self) -> Result<()> {
        {
            let mut running = self.running();
            let program = self.0.cluster.tool(Tool::Containerd);
            // Where its shim is, and runc.
            let folder = program.parent().context("a program without a folder")?;
            let path = format!("PATH={}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display());
            let args = [path, program.display().to_string()];
            running.containerd = Some(self.server(&running.machine, "containerd", &args)?);
        }
        let begun = Instant::now();
        while let Err(error) = self.ctr(&["version"]) {
            if let Some(containerd) = &self.running().containerd {
                containerd.ensure_running()?;
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "containerd does not serve: {error:#}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Starts the kubelet.
    pub fn start_kubelet(&self) -> Result<()> {
        let mut running = self.running();
        let program = self.0.cluster.tool(Tool::Kubelet);
        let mut args = vec![
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            program.display().to_string(),
            "--config=/var/lib/kubelet/config.yaml".to_owned(),
            "--kubeconfig=/etc/kubernetes/kubelet.conf".to_owned(),
            format!("--hostname-override={}", self.name()),
            format!("--node-ip={}", self.0.address),
        ];
        if !self.0.labels.is_empty() {
            args.push(format!("--node-labels={}", self.0.labels.join(",")));
        }
        running.kubelet = Some(self.server(&running.machine, "kubelet", &args)?);
        Ok(())
    }

    /// Ends the kubelet by SIGKILL. Its pods run on.
    pub async fn kill_kubelet(&self) -> Result<()> {
        let kubelet = self.running().kubelet.take();
        drop(kubelet);
        self.until_ended(Tool::Kubelet).await
    }

    /// Ends containerd by SIGKILL. Its pods run on.
    pub async fn kill_containerd(&self) -> Result<()> {
        let containerd = self.running().containerd.take();
        drop(containerd);
        self.until_ended(Tool::Containerd).await
    }

    /// Cuts the node's power: no process, no namespace and nothing in `/run` is left.
    pub fn power_off(&self) -> Result<()> {
        let mut running = self.running();
        running.kubelet = None;
        running.containerd = None;
        running.multus = None;
        running.machine.power_off()
    }

    /// The same, and turns it on again: what is in `/etc`, `/opt` and `/var` is still there.
    pub async fn reboot(&self) -> Result<()> {
        self.power_off()?;
        self.running().machine = self.0.disk.boot(self.0.uplink.netns())?;
        self.start_multus()?;
        self.start_containerd().await?;
        self.start_kubelet()
    }

    /// Cuts the node off from the API server: what kubelet and plugins send is lost. Its pods are
    /// still on the segment.
    pub fn disconnect(&self) -> Result<()> {
        self.0.uplink.netns().ip("link set lo down").map(drop)
    }

    /// Ends that.
    pub fn reconnect(&self) -> Result<()> {
        self.0.uplink.netns().ip("link set lo up").map(drop)
    }

    /// Waits until its kubelet reports that it is ready (`True`) or is not (`False`), and returns
    /// the message of that.
    pub async fn until_ready(&self, status: &str) -> Result<String> {
        let nodes: Api<NodeObject> = Api::all(self.0.cluster.admin().await?);
        let begun = Instant::now();
        loop {
            let node = nodes.get_opt(self.name()).await.context("read a node")?;
            let conditions = node
                .and_then(|node| node.status?.conditions)
                .unwrap_or_default();
            let ready = conditions
                .iter()
                .find(|condition| condition.type_ == "Ready");
            let message = ready
                .and_then(|ready| ready.message.clone())
                .unwrap_or_default();
            if ready.is_some_and(|ready| ready.status == status) {
                return Ok(message);
            }
            if let Some(kubelet) = &self.running().kubelet {
                kubelet.ensure_running()?;
            }
            ensure!(
                begun.elapsed() < PATIENCE,
                "{} does not become Ready={status}: {message}",
                self.name()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_ended(&self, tool: Tool) -> Result<()> {
        let begun = Instant::now();
        while !self.running().machine.processes(tool.name()).is_empty() {
            ensure!(begun.elapsed() < PATIENCE, "{} does not end", tool.name());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// A program that runs on the node: `words` are its environment, its path and its arguments.
    fn server(&self, machine: &Machine, name: &str, words: &[String]) -> Result<Server> {
        let mut args = machine.enter();
        args.push("env".to_owned());
        args.extend_from_slice(words);
        Server::start(
            "nsenter".into(),
            args,
            self.0.dir.join(format!("{name}.log")),
        )
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// runc is not built here: it needs C.
fn ensure_runc() -> Result<()> {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let found = folders
        .iter()
        .any(|folder| Path::new(folder).join("runc").is_file());
    ensure!(found, "runc is missing: apt-get install runc");
    Ok(())
}
