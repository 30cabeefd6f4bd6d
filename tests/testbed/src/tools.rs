//! The real programs: found, or built once per user.
//!
//! `$KUBEBUILDER_ASSETS` is read first. What is missing there is built from one of the Go modules
//! in `tools/` into the user's cache, in a folder per module that is keyed by the module's
//! checksums: a new version of anything is a new folder, and leaves those of the other modules
//! alone. Programs that are there are taken as they are.

mod build;
mod module;
mod progress;

use std::path::PathBuf;

use anyhow::{Context, Result};

use module::Module;

/// One of the real programs that tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The key-value store below the API server.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers of Kubernetes: garbage collector, namespaces, workloads.
    ControllerManager,
    /// What binds pods to nodes.
    Scheduler,
    /// What runs pods on a node.
    Kubelet,
    /// What users type.
    Kubectl,
    /// The container runtime.
    Containerd,
    /// The parent of a sandbox's processes, which outlives the container runtime.
    ContainerdShim,
    /// containerd's own command line, which imports images.
    Ctr,
    /// The CNI plugin of that name.
    Macvlan,
    /// The CNI plugin of that name.
    Bridge,
    /// The CNI plugin of that name.
    Ptp,
    /// The CNI plugin of that name.
    HostDevice,
    /// The CNI plugin of that name, which is chained behind another one.
    Sbr,
    /// The CNI plugin of that name. containerd calls it for every sandbox.
    Loopback,
    /// The IPAM plugin of that name, for comparison.
    HostLocal,
    /// The runtime's side of CNI (libcni), as a command.
    Cnitool,
    /// What checks alert rules and metrics.
    Promtool,
    /// An IPAM plugin, for comparison.
    Whereabouts,
    /// A stand-in for Multus, which attaches pods to several networks; ours.
    Multus,
    /// What runs in sandboxes and in pods that only have to be there; ours.
    Pause,
}

impl Tool {
    /// The name of its file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::Kubectl => "kubectl",
            Self::Containerd => "containerd",
            Self::ContainerdShim => "containerd-shim-runc-v2",
            Self::Ctr => "ctr",
            Self::Macvlan => "macvlan",
            Self::Bridge => "bridge",
            Self::Ptp => "ptp",
            Self::HostDevice => "host-device",
            Self::Sbr => "sbr",
            Self::Loopback => "loopback",
            Self::HostLocal => "host-local",
            Self::Cnitool => "cnitool",
            Self::Promtool => "promtool",
            Self::Whereabouts => "whereabouts",
            Self::Multus => "multus",
            Self::Pause => "pause",
        }
    }

    fn module(self) -> Module {
        match self {
            Self::Etcd
            | Self::ApiServer
            | Self::ControllerManager
            | Self::Scheduler
            | Self::Kubelet
            | Self::Kubectl
            | Self::Macvlan
            | Self::Bridge
            | Self::Loopback
            | Self::HostLocal
            | Self::Cnitool => Module::Kubernetes,
            Self::Ptp | Self::HostDevice | Self::Sbr => Module::Cni,
            Self::Containerd | Self::ContainerdShim | Self::Ctr => Module::Containerd,
            Self::Promtool => Module::Prometheus,
            Self::Whereabouts => Module::Whereabouts,
            Self::Multus => Module::Multus,
            Self::Pause => Module::Pause,
        }
    }

    fn package(self) -> String {
        let prefix = match self {
            Self::Etcd => return "go.etcd.io/etcd/server/v3".to_owned(),
            Self::ApiServer
            | Self::ControllerManager
            | Self::Scheduler
            | Self::Kubelet
            | Self::Kubectl => "k8s.io/kubernetes/cmd",
            Self::Containerd | Self::ContainerdShim | Self::Ctr => {
                "github.com/containerd/containerd/v2/cmd"
            }
            Self::Macvlan | Self::Bridge | Self::Ptp | Self::HostDevice | Self::Loopback => {
                "github.com/containernetworking/plugins/plugins/main"
            }
            Self::Sbr => "github.com/containernetworking/plugins/plugins/meta",
            Self::HostLocal => "github.com/containernetworking/plugins/plugins/ipam",
            Self::Cnitool => "github.com/containernetworking/cni",
            Self::Promtool => "github.com/prometheus/prometheus/cmd",
            Self::Whereabouts => {
                return "github.com/k8snetworkplumbingwg/whereabouts/cmd".to_owned();
            }
            Self::Multus | Self::Pause => return ".".to_owned(),
        };
        format!("{prefix}/{}", self.name())
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    assets: Option<PathBuf>,
    cache: PathBuf,
}

impl Tools {
    /// Finds these programs, and builds what is missing. The first time on a machine this takes
    /// minutes.
    pub fn ready(wanted: &[Tool]) -> Result<Self> {
        let tools = Self {
            assets: std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from),
            cache: cache()?,
        };
        if !tools.missing(wanted).is_empty() {
            build::in_turn(&tools, wanted)?;
        }
        Ok(tools)
    }

    /// The program's path.
    #[must_use]
    pub fn path(&self, tool: Tool) -> PathBuf {
        self.in_assets(tool).unwrap_or_else(|| self.built(tool))
    }

    fn in_assets(&self, tool: Tool) -> Option<PathBuf> {
        let path = self.assets.as_ref()?.join(tool.name());
        path.is_file().then_some(path)
    }

    fn built(&self, tool: Tool) -> PathBuf {
        self.cache.join(tool.module().key()).join(tool.name())
    }

    fn missing(&self, wanted: &[Tool]) -> Vec<Tool> {
        wanted
            .iter()
            .copied()
            .filter(|tool| !self.path(*tool).is_file())
            .collect()
    }
}

fn cache() -> Result<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(base
        .context(
            "neither XDG_CACHE_HOME nor HOME is set: there is no folder to keep built programs in",
        )?
        .join("leasehold"))
}
