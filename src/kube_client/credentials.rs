//! Where the credentials for a cluster are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use rustls::pki_types::ServerName;
use tower::BoxError;

use super::access::{Access, Identity, Server};
use super::exec_plugin::{self, ExecCredential};
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
    pub(super) fn access(&self) -> Result<Access, KubeconfigError> {
        match self {
            Self::Kubeconfig(path) => {
                Access::of(&kubeconfig::read(path)?).map_err(|error| self.unusable(error))
            }
            Self::ServiceAccount => service_account().map_err(|error| self.unusable(error)),
        }
    }

    /// Runs the exec plugin.
    pub(super) async fn run(
        &self,
        exec: &kube::config::ExecConfig,
        limit: Duration,
    ) -> Result<ExecCredential, KubeconfigError> {
        exec_plugin::run(exec, limit)
            .await
            .map_err(|error| self.unusable(error))
    }

    /// The error that what was read can't be used.
    pub(super) fn unusable(&self, error: BoxError) -> KubeconfigError {
        match self {
            Self::Kubeconfig(path) => KubeconfigError::unusable(path, error),
            Self::ServiceAccount => KubeconfigError::NoServiceAccount(error),
        }
    }
}

fn service_account() -> Result<Access, BoxError> {
    let file = |name: &str| {
        let path = Path::new(SERVICE_ACCOUNT).join(name);
        fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let variable = |name: &str| env::var(name).map_err(|_| format!("{name} is not set"));
    let host = variable("KUBERNETES_SERVICE_HOST")?;
    let port = variable("KUBERNETES_SERVICE_PORT")?;
    let authority: Authority = if host.contains(':') {
        format!("[{host}]:{port}").parse()?
    } else {
        format!("{host}:{port}").parse()?
    };
    let token = String::from_utf8(file("token")?)?;
    Ok(Access {
        server: Server {
            scheme: Scheme::HTTPS,
            authority,
            prefix: String::new(),
            name: ServerName::try_from(host)?,
        },
        ca: Some(file("ca.crt")?),
        insecure: false,
        identity: Identity {
            authorization: Some(format!("Bearer {}", token.trim())),
            ..Identity::default()
        },
    })
}
