//! The Go modules that programs are built from.
//!
//! Programs whose dependencies agree share a module; those that need other versions of the same
//! packages have one of their own. Nothing imports these modules: their `go.mod` pins versions,
//! `go.sum` checksums. `multus` and `pause` have programs themselves.

use std::path::{Path, PathBuf};

/// A folder of `tools/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Module {
    /// Kubernetes, etcd and the CNI plugins that nodes have.
    Kubernetes,
    /// Further CNI plugins, small and apart from what takes minutes to build.
    Cni,
    /// containerd.
    Containerd,
    /// promtool.
    Prometheus,
    /// Whereabouts.
    Whereabouts,
    /// The stand-in for Multus, which is this repository's own.
    Multus,
    /// The program of sandboxes, which is this repository's own.
    Pause,
}

impl Module {
    fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Cni => "cni",
            Self::Containerd => "containerd",
            Self::Prometheus => "prometheus",
            Self::Whereabouts => "whereabouts",
            Self::Multus => "multus",
            Self::Pause => "pause",
        }
    }

    pub(super) fn folder(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tools")
            .join(self.name())
    }

    /// `-X` sets the version that a program reports: without it the API server calls itself v0.0.0,
    /// and kubectl warns of the skew.
    pub(super) fn ldflags(self) -> &'static str {
        match self {
            Self::Kubernetes => "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2",
            Self::Containerd => {
                "-s -w -X github.com/containerd/containerd/v2/version.Version=2.4.2"
            }
            Self::Cni | Self::Prometheus | Self::Whereabouts | Self::Multus | Self::Pause => {
                "-s -w"
            }
        }
    }

    /// Names what is built: the module's versions, the flags, the machine's architecture. FNV-1a,
    /// because no attacker chooses the input.
    pub(super) fn key(self) -> String {
        let (versions, sums) = match self {
            Self::Kubernetes => (
                include_str!("../../tools/kubernetes/go.mod"),
                include_str!("../../tools/kubernetes/go.sum"),
            ),
            Self::Cni => (
                include_str!("../../tools/cni/go.mod"),
                include_str!("../../tools/cni/go.sum"),
            ),
            Self::Containerd => (
                include_str!("../../tools/containerd/go.mod"),
                include_str!("../../tools/containerd/go.sum"),
            ),
            Self::Prometheus => (
                include_str!("../../tools/prometheus/go.mod"),
                include_str!("../../tools/prometheus/go.sum"),
            ),
            Self::Whereabouts => (
                include_str!("../../tools/whereabouts/go.mod"),
                include_str!("../../tools/whereabouts/go.sum"),
            ),
            Self::Multus => (
                include_str!("../../tools/multus/go.mod"),
                concat!(
                    include_str!("../../tools/multus/go.sum"),
                    include_str!("../../tools/multus/main.go"),
                    include_str!("../../tools/multus/attach.go"),
                    include_str!("../../tools/multus/daemon.go"),
                    include_str!("../../tools/multus/delegates.go"),
                    include_str!("../../tools/multus/kubernetes.go"),
                ),
            ),
            Self::Pause => (
                include_str!("../../tools/pause/go.mod"),
                include_str!("../../tools/pause/main.go"),
            ),
        };
        let hash = [versions, sums, self.ldflags(), std::env::consts::ARCH]
            .iter()
            .flat_map(|part| part.bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        format!("{}-{hash:016x}", self.name())
    }
}
