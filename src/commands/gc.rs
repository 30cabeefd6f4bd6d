//! GC: release what this node holds for attachments that are no more.

use super::error::Error;
use super::facts::World;
use crate::cni::Sweep;
use crate::lease::{self, Clock, Desk, Patience, Seen, State, Whose};

/// Releases the leases of this node and this network whose (container, interface) the runtime does not know.
///
/// Goes on after an error and tells all of them at the end (CNI specification, "GC").
pub async fn gc<W: World, C: Clock>(call: &Sweep, world: &W, clock: &C) -> Result<(), Error> {
    let desk = Desk::new(world, clock, Patience::until(call.config.timeout), &|| true);
    let node = desk.ask(async || world.own_node().await).await?;
    let mut left = Vec::new();
    for seen in desk.find(Whose::Node(&node)).await? {
        if let Some((container, interface)) = stale(call, &seen) {
            let name = seen.lease.name.clone();
            if let Err(error) = lease::release(&desk, seen, &container, &interface).await {
                left.push((name, error));
            }
        }
    }
    if left.is_empty() {
        Ok(())
    } else {
        Err(Error::NotCollected(left))
    }
}

/// The attachment of a lease that the runtime does not know. One without a container was made again by the
/// collector for a living pod: of that nothing is known, and it stays.
fn stale(call: &Sweep, seen: &Seen) -> Option<(String, String)> {
    let holder = seen.lease.holder.as_ref()?;
    let valid = || {
        call.valid
            .iter()
            .any(|valid| holder.is_attachment(&valid.container_id, &valid.ifname))
    };
    let ours = seen.lease.state == State::Held
        && seen.lease.name.vrf == call.config.vrf
        && holder.network == call.network
        && !holder.container.is_empty();
    (ours && !valid()).then(|| (holder.container.clone(), holder.interface.clone()))
}
