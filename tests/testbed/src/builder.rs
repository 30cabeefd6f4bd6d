//! What a cluster shall be like, and its start.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cluster::{Cluster, longest_node_name, repository};
use crate::control_plane::{ControlPlane, Plan};
use crate::guardian;
use crate::tools::{Tool, Tools};

/// How many nodes `n1`, `n2`, … have a token from the start: the API server reads its token file
/// once.
pub(crate) const NODES: usize = 1000;

/// What every cluster and its tests need. The others take minutes to build, and most tests are
/// better off without them.
const EVERYDAY: [Tool; 9] = [
    Tool::Etcd,
    Tool::ApiServer,
    Tool::Kubectl,
    Tool::Macvlan,
    Tool::Bridge,
    Tool::Ptp,
    Tool::HostDevice,
    Tool::Sbr,
    Tool::Cnitool,
];

/// What runs pods, beside the control plane's programs.
const FOR_WORKERS: [Tool; 10] = [
    Tool::ControllerManager,
    Tool::Scheduler,
    Tool::Kubelet,
    Tool::Containerd,
    Tool::ContainerdShim,
    Tool::Ctr,
    Tool::Loopback,
    Tool::HostLocal,
    Tool::Multus,
    Tool::Pause,
];

/// What a cluster shall be like.
#[derive(Clone, Debug)]
pub struct Builder {
    plan: Plan,
    manifests: bool,
}

impl Builder {
    pub(crate) fn new() -> Self {
        let mut nodes: Vec<String> = (1..=NODES).map(|i| format!("n{i}")).collect();
        nodes.push(longest_node_name());
        Self {
            plan: Plan {
                api_servers: 1,
                flags: Vec::new(),
                controllers: Vec::new(),
                controller_flags: Vec::new(),
                workloads: false,
                nodes,
                data: None,
            },
            manifests: true,
        }
    }

    /// So many API servers on one etcd, as in a control plane of several machines.
    #[must_use]
    pub fn api_servers(mut self, count: usize) -> Self {
        self.plan.api_servers = count.max(1);
        self
    }

    /// One more flag for every API server, such as `--min-request-timeout=5`.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.plan.flags.push(flag.to_owned());
        self
    }

    /// Runs kube-controller-manager with these controllers, such as `garbage-collector-controller`.
    #[must_use]
    pub fn controllers(mut self, names: &[&str]) -> Self {
        self.plan.controllers = names.iter().map(ToString::to_string).collect();
        self
    }

    /// One more flag for kube-controller-manager, such as `--node-monitor-grace-period=5s`.
    #[must_use]
    pub fn controller_flag(mut self, flag: &str) -> Self {
        self.plan.controller_flags.push(flag.to_owned());
        self
    }

    /// Runs workloads: all controllers, the scheduler, service accounts with tokens. Its
    /// [workers](crate::Worker) run the pods.
    #[must_use]
    pub fn workloads(mut self) -> Self {
        self.plan.workloads = true;
        self.plan.controllers = vec!["*".to_owned()];
        self
    }

    /// Knows one more node: a name beside `n1` to `n1000`.
    #[must_use]
    pub fn node_name(mut self, name: &str) -> Self {
        self.plan.nodes.push(name.to_owned());
        self
    }

    /// Has etcd keep its data in this folder, which stays: another cluster may begin with it.
    #[must_use]
    pub fn data(mut self, folder: &Path) -> Self {
        self.plan.data = Some(folder.to_owned());
        self
    }

    /// Without `crds/` and `deploy/`.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.manifests = false;
        self
    }

    /// Starts it, and waits until it serves.
    pub async fn start(self) -> Result<Cluster> {
        let run = guardian::run()?;
        let mut wanted = EVERYDAY.to_vec();
        if !self.plan.controllers.is_empty() {
            wanted.push(Tool::ControllerManager);
        }
        if self.plan.workloads {
            wanted.extend(FOR_WORKERS);
        }
        let tools = tokio::task::spawn_blocking(move || Tools::ready(&wanted))
            .await
            .context("look for the real programs")??;
        let dir = run.dir().join(format!("cluster{}", run.number()));
        let plane = start_on_free_ports(&tools, &dir, &self.plan).await?;
        plane.admin(0).write(&dir.join("admin.kubeconfig"))?;
        let cluster = Cluster::new(plane, tools, dir, self.plan.nodes);
        if self.manifests {
            for folder in ["crds", "deploy"] {
                let path = repository().join(folder);
                if path.is_dir() {
                    cluster
                        .apply(&path)
                        .await
                        .with_context(|| format!("apply {folder}/"))?;
                }
            }
        }
        Ok(cluster)
    }
}

/// A port that was free a moment ago may be another process's by now: then all is started again, on
/// others.
async fn start_on_free_ports(tools: &Tools, dir: &Path, plan: &Plan) -> Result<ControlPlane> {
    for _ in 0..3 {
        std::fs::create_dir(dir).context("make the cluster's folder")?;
        match ControlPlane::start(tools, dir, plan).await {
            Err(e) if format!("{e:#}").contains("address already in use") => {
                std::fs::remove_dir_all(dir).context("begin anew")?;
            }
            outcome => return outcome,
        }
    }
    bail!("found no ports that stayed free");
}
