//! Which kubeconfig to use: by default the kubelet's own, which it rotates itself.
//!
//! The first file counts that can be used, not the first that exists: distributions keep other
//! files under the usual names.

use std::path::{Path, PathBuf};

use kube::config::{Kubeconfig, KubeconfigError as ReadError};
use tower::BoxError;

use super::access::Access;
use crate::text::chain;

/// Where distributions keep the kubelet's kubeconfig, the most common first.
const PLACES: [&str; 14] = [
    // kubeadm, kubespray, Cluster API. On OpenShift a KubeletConfiguration has this name.
    "/etc/kubernetes/kubelet.conf",
    // EKS, GKE, AKS, kOps, OpenShift, kubelet's own documentation
    "/var/lib/kubelet/kubeconfig",
    // Bottlerocket, Exoscale SKS, CKE
    "/etc/kubernetes/kubelet/kubeconfig",
    // k3s
    "/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
    // RKE2
    "/var/lib/rancher/rke2/agent/kubelet.kubeconfig",
    // k0s
    "/var/lib/k0s/kubelet.conf",
    // MicroK8s
    "/var/snap/microk8s/current/credentials/kubelet.config",
    // Talos
    "/etc/kubernetes/kubeconfig-kubelet",
    // Gardener
    "/var/lib/kubelet/kubeconfig-real",
    // IBM ROKS
    "/etc/kubernetes/kubelet-kubeconfig",
    // installations by hand, common in China
    "/etc/kubernetes/kubelet.kubeconfig",
    // RKE1
    "/etc/kubernetes/ssl/kubecfg-kube-node.yaml",
    // Charmed Kubernetes
    "/root/cdk/kubeconfig",
    // older installers; on OpenShift a token for the bootstrap only
    "/etc/kubernetes/kubeconfig",
];

/// Why there are no credentials to use.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// None was named, and none of those in the usual places can be used.
    #[error(
        "no kubeconfig can be used: name one as \"kubeconfig\" in the ipam configuration; {}",
        passed_over(.0)
    )]
    NoneUsable(Vec<(&'static str, String)>),
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
    NoServiceAccount(#[source] BoxError),
}

/// Each file with why it was passed over, those that are missing together.
fn passed_over(files: &[(&'static str, String)]) -> String {
    let missing: Vec<&str> = files
        .iter()
        .filter(|(_, why)| why.is_empty())
        .map(|(file, _)| *file)
        .collect();
    let mut parts: Vec<String> = files
        .iter()
        .filter(|(_, why)| !why.is_empty())
        .map(|(file, why)| format!("{file}: {why}"))
        .collect();
    if !missing.is_empty() {
        parts.push(format!("missing: {}", missing.join(", ")));
    }
    parts.join("; ")
}

impl KubeconfigError {
    pub(super) fn unusable(path: &Path, source: impl Into<BoxError>) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            source: source.into(),
        }
    }
}

/// The kubeconfig that was named, else the first that can be used in the kubelet's usual places.
pub(super) fn find(named: Option<&Path>) -> Result<PathBuf, KubeconfigError> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let mut passed_over = Vec::new();
    for place in PLACES {
        let path = Path::new(place);
        let why = match path.try_exists() {
            Ok(false) => String::new(),
            _ => match check(path) {
                Ok(()) => return Ok(path.to_owned()),
                Err(KubeconfigError::Unusable { source, .. }) => chain(&*source),
                Err(error) => chain(&error),
            },
        };
        passed_over.push((place, why));
    }
    Err(KubeconfigError::NoneUsable(passed_over))
}

/// Whether `path` is a kubeconfig with a server and credentials, as far as the files show: no
/// request goes to that server, and no exec plugin is run.
pub(super) fn check(path: &Path) -> Result<(), KubeconfigError> {
    let kubeconfig = read(path)?;
    let access = Access::of(&kubeconfig).map_err(|why| KubeconfigError::unusable(path, why))?;
    if access.identity.is_anonymous() {
        let why = "its user has neither token nor certificate nor exec plugin";
        return Err(KubeconfigError::unusable(path, why));
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
    let kubeconfig =
        Kubeconfig::read_from(path).map_err(|error| unusable(without_content(error)))?;
    match kubeconfig.kind.as_deref() {
        None | Some("" | "Config") => Ok(kubeconfig),
        Some(kind) => Err(unusable(
            format!("it is a {}, not a kubeconfig", crate::text::shown(kind)).into(),
        )),
    }
}

/// What is wrong with a kubeconfig, and where, but none of its content: that may be a secret, and
/// an event of the pod would show it to everyone who may read the pod.
fn without_content(error: ReadError) -> BoxError {
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
