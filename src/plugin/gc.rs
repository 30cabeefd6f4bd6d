//! GC: release what this node holds for attachments that are no more.

use super::error::Error;
use super::gather::Api;
use crate::cni::Gc;
use crate::lease::{self, Clock, Deadline, LeaseFilter, Retrying, State, StoredLease};

/// Releases the leases of this node and this network whose (container, interface) the runtime does not know.
///
/// Goes on after an error and tells all of them at the end (CNI specification, "GC").
pub async fn gc<W: Api, C: Clock>(call: &Gc, world: &W, clock: &C) -> Result<(), Error> {
    let desk = Retrying::new(world, clock, Deadline::until(call.config.timeout), &|| true);
    let node = desk.ask(async || world.own_node().await).await?;
    let mut left = Vec::new();
    for seen in desk.find(LeaseFilter::Node(&node)).await? {
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
        Err(Error::GcIncomplete(left))
    }
}

/// The attachment of a lease that the runtime does not know. One without a container was made again by the
/// collector for a living pod: of that nothing is known, and it stays.
fn stale(call: &Gc, seen: &StoredLease) -> Option<(String, String)> {
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
