//! What leads to a cluster.

use std::path::{Path, PathBuf};

use kube::config::{Config, KubeConfigOptions};
use tower::BoxError;

use super::kubeconfig::{self, KubeconfigError};

/// Where a pod finds its service account (Kubernetes, "Accessing the API from a Pod").
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Whose credentials to use, and for which API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Those of a kubeconfig.
    Kubeconfig(PathBuf),
    /// Those of the service account of the pod that this runs in.
    ServiceAccount,
}

impl Credentials {
    /// Where the credentials are from.
    pub(super) fn place(&self) -> &Path {
        match self {
            Self::Kubeconfig(path) => path,
            Self::ServiceAccount => Path::new(SERVICE_ACCOUNT),
        }
    }

    /// Reads the files as they are now.
    pub(super) async fn config(&self) -> Result<Config, KubeconfigError> {
        match self {
            Self::Kubeconfig(path) => {
                let options = KubeConfigOptions::default();
                Config::from_custom_kubeconfig(kubeconfig::read(path)?, &options)
                    .await
                    .map_err(|error| self.unusable(error.into()))
            }
            Self::ServiceAccount => {
                Config::incluster().map_err(|error| self.unusable(error.into()))
            }
        }
    }

    /// The error that what was read leads nowhere.
    pub(super) fn unusable(&self, error: BoxError) -> KubeconfigError {
        match self {
            Self::Kubeconfig(path) => KubeconfigError::unusable(path, error),
            Self::ServiceAccount => KubeconfigError::NoServiceAccount(error),
        }
    }
}
