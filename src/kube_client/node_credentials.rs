//! The credentials of the node that a process runs on.

use std::path::Path;

use super::KubeClient;
use super::credentials::Credentials;
use super::kubeconfig::{self, KubeconfigError};
use crate::plugin::Connect;
use crate::retry::Deadline;

/// The kubeconfig that a configuration names, else the kubelet's own.
#[derive(Debug, Clone, Copy)]
pub struct NodeCredentials;

impl Connect for NodeCredentials {
    type Api = KubeClient;
    type Error = KubeconfigError;

    fn connect(
        &self,
        kubeconfig: Option<&Path>,
        deadline: Deadline,
    ) -> Result<KubeClient, KubeconfigError> {
        let path = kubeconfig::find(kubeconfig)?;
        let credentials = Credentials::Kubeconfig(path);
        Ok(KubeClient::new(credentials, deadline))
    }

    fn check(&self, kubeconfig: Option<&Path>) -> Result<(), KubeconfigError> {
        kubeconfig::check(&kubeconfig::find(kubeconfig)?)
    }
}
