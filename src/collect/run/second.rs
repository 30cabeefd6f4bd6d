//! The second look at a suspect: lease, pod, node and heartbeat, live.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::collect::confirm::Second;
use crate::collect::seen::NodeSeen;
use crate::collect::suspect::{Suspect, Suspicion};
use crate::collect::world::World;
use crate::lease::{Clock, Desk, Error, Seen};

/// What nodes showed after the wait. One look at each serves all its suspects: later than the first look is all that a
/// sign of life has to be.
#[derive(Debug, Default)]
pub(super) struct Witness(HashMap<Box<str>, (Option<NodeSeen>, Option<Timestamp>)>);

impl Witness {
    async fn ask<W: World, C: Clock>(
        &mut self,
        desk: &Desk<'_, W, C>,
        name: &str,
    ) -> Result<(Option<NodeSeen>, Option<Timestamp>), Error> {
        if let Some(known) = self.0.get(name) {
            return Ok(known.clone());
        }
        let node = desk.ask(async || desk.store.node(name).await).await?;
        let heartbeat = desk.ask(async || desk.store.heartbeat(name).await).await?;
        self.0.insert(name.into(), (node.clone(), heartbeat));
        Ok((node, heartbeat))
    }
}

/// Looks at a suspect again. What is needed for no judgement is not asked for.
pub(super) async fn second<W: World, C: Clock>(
    desk: &Desk<'_, W, C>,
    suspect: &Suspect<'_>,
    witness: &mut Witness,
) -> Result<(Option<Seen>, Second), Error> {
    let lease = suspect.lease;
    let seen = desk.read(&lease.name).await?;
    let mut second = Second {
        version: seen.as_ref().map(|seen| seen.version.clone()),
        server_time: desk.store.server_time(),
        ..Second::default()
    };
    let unchanged = second.version.as_deref() == Some(&*lease.version);
    if !unchanged || !suspect.suspicion.needs_proof() {
        return Ok((seen, second));
    }
    if suspect.suspicion == Suspicion::Unclaimed {
        second.claim = Some(desk.ask(async || desk.store.claim(lease).await).await?);
    } else if let Some(holder) = &lease.holder {
        let pod = async || desk.store.pod(&holder.namespace, &holder.pod).await;
        second.pod = desk.ask(pod).await?;
        (second.node, second.heartbeat) = witness.ask(desk, &holder.node).await?;
    }
    Ok((seen, second))
}
