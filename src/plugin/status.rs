//! STATUS: whether an ADD could be served, as far as this node knows.

use super::api::Connect;
use crate::cni::Status;

/// Looks at nothing but the configuration, which was read, and the kubeconfig: runtimes ask every
/// five seconds on every node, and an API server that is away must not make all nodes unready at
/// once.
pub(super) fn status<C: Connect>(call: &Status, connect: &C) -> Result<(), C::Error> {
    connect.check(call.config.kubeconfig.as_deref())
}
