//! A cluster to test against: the handle through which everything else is reached.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use tokio::runtime::{self, Handle};
use tokio::sync::OnceCell;

use crate::builder::{Builder, NODES};
use crate::control_plane::ControlPlane;
use crate::kubeconfig::Kubeconfig;
use crate::node::NodeBuilder;
use crate::pki::{Pair, Subject};
use crate::pod::PodBuilder;
use crate::segment::Segment;
use crate::tools::{Tool, Tools};
use crate::worker::WorkerBuilder;
use crate::{guardian, manifests};

/// A running control plane. Clones are the same one; it ends with the last of them.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    plane: ControlPlane,
    tools: Tools,
    dir: PathBuf,
    node_names: Vec<String>,
    next_node: AtomicUsize,
    clients: Mutex<HashMap<(runtime::Id, usize), kube::Client>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cluster({})", self.dir.display())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if guardian::kept() {
            return;
        }
        self.plane.scheduler.take();
        self.plane.controllers.take();
        for api in &self.plane.api_servers {
            api.server.kill();
        }
        self.plane.etcd.kill();
        // What can't be removed now is the guardian's.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

static SHARED: OnceCell<Cluster> = OnceCell::const_new();

/// The cluster that the tests of one program share, with `crds/` and `deploy/` applied.
pub async fn shared() -> Result<Cluster> {
    SHARED.get_or_try_init(Cluster::start).await.cloned()
}

/// A node name as long as they get: 253 characters. It has a token.
#[must_use]
pub fn longest_node_name() -> String {
    let label = "n".repeat(63);
    format!("{label}.{label}.{label}.{}", &label[..61])
}

/// The root of the repository, where `crds/`, `deploy/` and `examples/` are.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .components()
        .collect()
}

impl Cluster {
    /// A cluster with all defaults: one API server, `crds/` and `deploy/` applied.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// A cluster with options.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn new(
        plane: ControlPlane,
        tools: Tools,
        dir: PathBuf,
        node_names: Vec<String>,
    ) -> Self {
        Self(Arc::new(Inner {
            plane,
            tools,
            dir,
            node_names,
            next_node: AtomicUsize::new(0),
            clients: Mutex::default(),
        }))
    }

    /// The admin's client, of the first API server. One per runtime, since connections belong to
    /// the runtime that made them.
    pub async fn admin(&self) -> Result<kube::Client> {
        self.admin_of(0).await
    }

    /// The admin's client of one of the API servers.
    pub async fn admin_of(&self, server: usize) -> Result<kube::Client> {
        let key = (Handle::current().id(), server);
        let clients = || {
            self.0
                .clients
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(client) = clients().get(&key) {
            return Ok(client.clone());
        }
        let client = self.admin_kubeconfig_of(server).client().await?;
        clients().insert(key, client.clone());
        Ok(client)
    }

    /// The admin's kubeconfig, to be varied.
    #[must_use]
    pub fn admin_kubeconfig_of(&self, server: usize) -> Kubeconfig {
        self.0.plane.admin(server)
    }

    /// The admin's kubeconfig, as a file.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.0.dir.join("admin.kubeconfig")
    }

    /// Runs kubectl as the admin, and returns what a user would see. Paths among the arguments must
    /// be absolute.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String> {
        let run = guardian::run()?;
        let out = tokio::process::Command::new(self.tool(Tool::Kubectl))
            .args(args)
            .current_dir(run.processes())
            .env("KUBECONFIG", self.kubeconfig())
            // Its discovery cache is the cluster's, not the user's.
            .env("HOME", &self.0.dir)
            .kill_on_drop(true)
            .output()
            .await
            .context("run kubectl")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(
            out.status.success(),
            "kubectl {}: {}",
            args.join(" "),
            text(&out.stderr).trim_end()
        );
        Ok(text(&out.stdout))
    }

    /// Applies every object of a YAML file, or of all YAML files of a folder, and waits until they
    /// are in force.
    pub async fn apply(&self, path: &Path) -> Result<()> {
        self.apply_yaml(&manifests::read(path)?).await
    }

    /// Applies every object of this YAML, and waits until they are in force.
    pub async fn apply_yaml(&self, yaml: &str) -> Result<()> {
        manifests::apply(&self.admin().await?, self, manifests::parse(yaml)?).await
    }

    /// The path of one of the real programs.
    #[must_use]
    pub fn tool(&self, tool: Tool) -> PathBuf {
        self.0.tools.path(tool)
    }

    /// The folder of this cluster: logs, certificates, kubeconfigs. It goes with the cluster.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// How many API servers there are.
    #[must_use]
    pub fn api_servers(&self) -> usize {
        self.0.plane.api_servers.len()
    }

    /// The URL of one of the API servers.
    #[must_use]
    pub fn url(&self, server: usize) -> String {
        self.0.plane.api_servers[server].url()
    }

    /// The certificate of the authority that signed what the API servers show, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.0.plane.ca.pem()
    }

    /// A certificate by which a node shows who it is, valid in this time.
    pub fn node_certificate(
        &self,
        name: &str,
        not_before: SystemTime,
        not_after: SystemTime,
    ) -> Result<Pair> {
        self.0.plane.ca.client_certificate(&Subject {
            user: format!("system:node:{name}"),
            group: "system:nodes".to_owned(),
            not_before,
            not_after,
        })
    }

    /// A node of this name: `n1` to `n1000`, [`longest_node_name`], or a name given to the builder.
    #[must_use]
    pub fn node(&self, name: &str) -> NodeBuilder {
        NodeBuilder::new(self.clone(), name)
    }

    /// A node that no other caller of this function has been given.
    #[must_use]
    pub fn fresh_node(&self) -> NodeBuilder {
        let next = self.0.next_node.fetch_add(1, Ordering::Relaxed);
        // Counted down from the last, so that tests that name theirs, from the first, do not meet
        // them.
        self.node(&self.0.node_names[NODES - 1 - next % NODES])
    }

    /// A node of this name with kubelet and containerd, on this segment. The cluster must run
    /// [workloads](Builder::workloads).
    #[must_use]
    pub fn worker(&self, name: &str, segment: &Segment) -> WorkerBuilder {
        WorkerBuilder::new(self.clone(), name, segment)
    }

    /// A pod of this namespace (made on demand) and name.
    #[must_use]
    pub fn pod(&self, namespace: &str, name: &str) -> PodBuilder {
        PodBuilder::new(self.clone(), namespace, name)
    }

    /// Stops an API server in an orderly way, and waits until it is gone.
    pub async fn stop_api_server(&self, server: usize) {
        self.0.plane.api_servers[server].server.stop().await;
    }

    /// Ends an API server with SIGKILL.
    pub fn kill_api_server(&self, server: usize) {
        self.0.plane.api_servers[server].server.kill();
    }

    /// Stops an API server from answering, with its connections open; and lets it go on.
    pub fn freeze_api_server(&self, server: usize, frozen: bool) -> Result<()> {
        self.0.plane.api_servers[server].server.freeze(frozen)
    }

    /// Starts an API server again, on the same port, and waits until it serves.
    pub async fn restart_api_server(&self, server: usize) -> Result<()> {
        self.0.plane.api_servers[server].server.start_again()?;
        self.0.plane.wait_until_ready(server).await
    }

    /// The processor time that the API servers and etcd have used since their start.
    pub fn server_cpu(&self) -> Result<Duration> {
        let mut used = self.0.plane.etcd.cpu()?;
        for api_server in &self.0.plane.api_servers {
            used += api_server.server.cpu()?;
        }
        Ok(used)
    }

    /// Ends etcd with SIGKILL; what it has acknowledged it finds again.
    pub fn kill_etcd(&self) {
        self.0.plane.etcd.kill();
    }

    /// Starts etcd again, on the same port, and waits until the API servers serve.
    pub async fn restart_etcd(&self) -> Result<()> {
        self.0.plane.etcd.start_again()?;
        for server in 0..self.api_servers() {
            self.0.plane.wait_until_ready(server).await?;
        }
        Ok(())
    }

    pub(crate) fn plane(&self) -> &ControlPlane {
        &self.0.plane
    }

    pub(crate) fn knows_node(&self, name: &str) -> bool {
        self.0.node_names.iter().any(|known| known == name)
    }
}
