//! GC: release what this node holds for attachments that do not exist any more.

use super::api::Api;
use super::error::Error;
use crate::cni::Gc;
use crate::lease::{self, LeaseFilter, State, StoredLease};
use crate::retry::{Clock, Deadline, Retrying};

/// Releases the leases of this node and this network whose (container, interface) the runtime does
/// not know.
///
/// Goes on after an error and reports all of them at the end (CNI specification, "GC").
pub(super) async fn gc<A: Api, C: Clock>(call: &Gc, api: &A, clock: &C) -> Result<(), Error> {
    let leases = Retrying::new(api, clock, Deadline::after(call.config.timeout));
    let node = leases.retry(async || api.own_node().await).await?;
    let mut left = Vec::new();
    for stored in leases.find(LeaseFilter::Node(&node)).await? {
        if let Some((container, interface)) = stale(call, &stored) {
            let name = stored.lease.name.clone();
            if let Err(error) = lease::release(&leases, stored, &container, &interface, false).await
            {
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

/// The attachment of a lease that the runtime does not know. One without a container was recreated
/// by the collector for a living pod: the runtime does not know of it, and it stays.
fn stale(call: &Gc, stored: &StoredLease) -> Option<(String, String)> {
    let holder = stored.lease.holder.as_ref()?;
    let valid = || {
        call.valid
            .iter()
            .any(|valid| holder.is_attachment(&valid.container_id, &valid.ifname))
    };
    let ours = stored.lease.state == State::Held
        && stored.lease.name.vrf == call.config.vrf
        && holder.network == call.network
        && !holder.container.is_empty();
    (ours && !valid()).then(|| (holder.container.clone(), holder.interface.clone()))
}
