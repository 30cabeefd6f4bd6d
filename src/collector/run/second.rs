//! The second look at a suspect: lease, pod, node and heartbeat, live.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::collector::api::Api;
use crate::collector::confirm::SecondRead;
use crate::collector::snapshot::NodeSnapshot;
use crate::collector::suspect::{Suspect, Suspicion};
use crate::lease::StoredLease;
use crate::retry::{Clock, Error, Retrying};

/// What nodes showed after the wait. One look at each serves all its suspects: later than the first look is all that a
/// sign of life has to be.
#[derive(Debug, Default)]
pub(super) struct NodeReader(HashMap<Box<str>, (Option<NodeSnapshot>, Option<Timestamp>)>);

impl NodeReader {
    async fn read<W: Api, C: Clock>(
        &mut self,
        desk: &Retrying<'_, W, C>,
        name: &str,
    ) -> Result<(Option<NodeSnapshot>, Option<Timestamp>), Error> {
        if let Some(known) = self.0.get(name) {
            return Ok(known.clone());
        }
        let node = desk.retry(async || desk.api.node(name).await).await?;
        let heartbeat = desk.retry(async || desk.api.heartbeat(name).await).await?;
        self.0.insert(name.into(), (node.clone(), heartbeat));
        Ok((node, heartbeat))
    }
}

/// Looks at a suspect again. What is needed for no judgement is not asked for.
pub(super) async fn second<W: Api, C: Clock>(
    desk: &Retrying<'_, W, C>,
    suspect: &Suspect<'_>,
    nodes: &mut NodeReader,
) -> Result<(Option<StoredLease>, SecondRead), Error> {
    let lease = suspect.lease;
    let seen = desk.read(&lease.name).await?;
    let mut second = SecondRead {
        version: seen.as_ref().map(|seen| seen.version.clone()),
        server_time: desk.api.server_time(),
        ..SecondRead::default()
    };
    let unchanged = second.version.as_deref() == Some(&*lease.version);
    if !unchanged || !suspect.suspicion.needs_proof() {
        return Ok((seen, second));
    }
    if suspect.suspicion == Suspicion::Unclaimed {
        second.claim = Some(desk.retry(async || desk.api.claim(lease).await).await?);
    } else if let Some(holder) = &lease.holder {
        let pod = async || desk.api.pod(&holder.namespace, &holder.pod).await;
        second.pod = desk.retry(pod).await?;
        (second.node, second.heartbeat) = nodes.read(desk, &holder.node).await?;
    }
    Ok((seen, second))
}
