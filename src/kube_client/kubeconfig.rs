//! Which identity to use: by default the kubelet's own, which it rotates itself.

use std::path::{Path, PathBuf};

use kube::config::{Kubeconfig, KubeconfigError as ReadError};
use tower::BoxError;

/// Where distributions keep the kubelet's kubeconfig, the most common first.
const PLACES: [&str; 8] = [
    // kubeadm, kubespray, Cluster API, AKS
    "/etc/kubernetes/kubelet.conf",
    // EKS, GKE, Flatcar, kubelet's own documentation
    "/var/lib/kubelet/kubeconfig",
    // k3s
    "/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
    // RKE2
    "/var/lib/rancher/rke2/agent/kubelet.kubeconfig",
    // k0s
    "/var/lib/k0s/kubelet.conf",
    // microk8s
    "/var/snap/microk8s/current/credentials/kubelet.config",
    // Talos
    "/etc/kubernetes/kubeconfig-kubelet",
    // OpenShift and older installers
    "/etc/kubernetes/kubeconfig",
];

/// Why there is no identity to use.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// None was named, and none is in the usual places.
    #[error("no kubeconfig: none of {} exists; name one as \"kubeconfig\" in the ipam configuration", PLACES.join(", "))]
    NotFound,
    /// The file cannot be read or is not a kubeconfig.
    #[error("the kubeconfig {} cannot be used", .path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// There is no service account here, or it cannot be used.
    #[error("the service account of this pod cannot be used")]
    NoServiceAccount(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl KubeconfigError {
    pub(super) fn unusable(path: &Path, source: impl Into<BoxError>) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

/// The kubeconfig that was named, else the first that exists in the kubelet's usual places.
pub fn find(named: Option<&Path>) -> Result<PathBuf, KubeconfigError> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => PLACES
            .iter()
            .map(Path::new)
            .find(|path| path.exists())
            .map(Path::to_owned)
            .ok_or(KubeconfigError::NotFound),
    }
}

/// Whether `path` can be read as a kubeconfig that names a cluster; nothing is asked of that cluster, and no exec plugin is run.
pub fn check(path: &Path) -> Result<(), KubeconfigError> {
    let config = read(path)?;
    let mut clusters = config
        .clusters
        .iter()
        .filter_map(|named| named.cluster.as_ref());
    if !clusters.any(|cluster| cluster.server.is_some()) {
        return Err(KubeconfigError::unusable(
            path,
            "it names no cluster with a server",
        ));
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> Result<Kubeconfig, KubeconfigError> {
    let unusable = |source: BoxError| KubeconfigError::unusable(path, source);
    // A pipe or a device may never end.
    let file = path.metadata().map_err(|error| unusable(error.into()))?;
    if !file.is_file() {
        return Err(unusable("it is not a regular file".into()));
    }
    Kubeconfig::read_from(path).map_err(|error| unusable(without_words(error)))
}

/// What is wrong with a kubeconfig, and where, but no word of it: that may be a secret, and an event of the pod would
/// show it to everyone who may see the pod.
fn without_words(error: ReadError) -> BoxError {
    if let ReadError::ReadConfig(error, _) = error {
        return error.into();
    }
    let ReadError::Parse(error) = error else {
        return error.into();
    };
    match error.location() {
        Some(at) => format!(
            "it is not a kubeconfig from line {}, column {} on",
            at.line(),
            at.column()
        )
        .into(),
        None => "it is not a kubeconfig".into(),
    }
}
