//! What the verbs ask of the API server, as traits.

use std::error::Error;
use std::path::Path;

use super::pod::PodSnapshot;
use crate::cni::PodRef;
use crate::gather::Objects;
use crate::lease::Store;
use crate::retry::{ApiError, Deadline};

/// The API server.
///
/// Each call is one request (the pod's may take two more) and does not retry.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait Api: Store + Objects {
    /// The pod of that name, read consistently; `None` if there is none, or none that this node may
    /// read.
    async fn pod(&self, pod: &PodRef) -> Result<Option<PodSnapshot>, ApiError>;
    /// The name of the node whose credentials are used.
    async fn own_node(&self) -> Result<String, ApiError>;
}

/// How a call gets to the API server.
pub trait Connect {
    /// The API server, once the credentials are known.
    type Api: Api;
    /// Why there are no credentials to use.
    type Error: Error + Send + Sync + 'static;

    /// The API server that a kubeconfig leads to, the node's own where the configuration names
    /// none.
    fn connect(
        &self,
        kubeconfig: Option<&Path>,
        deadline: Deadline,
    ) -> Result<Self::Api, Self::Error>;

    /// Whether there are credentials, as far as the node knows without a request.
    fn check(&self, kubeconfig: Option<&Path>) -> Result<(), Self::Error>;
}
