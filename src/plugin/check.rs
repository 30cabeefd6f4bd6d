//! CHECK: whether what ADD answered still holds.
//!
//! Judges the addresses that leasehold gave to this container and interface. The result of a chain
//! has those of other plugins too: an address without a lease that no pool gives is one of them.

use std::net::IpAddr;

use super::api::Api;
use super::error::Error;
use crate::cni::Check;
use crate::lease::{Freshness, LeaseName};
use crate::pool::Pools;
use crate::retry::{Clock, Deadline, Retrying};

/// Fails with the first address of the result that should be this container's and is not.
pub(super) async fn check<A: Api, C: Clock>(call: &Check, api: &A, clock: &C) -> Result<(), Error> {
    let cluster = Retrying::new(api, clock, Deadline::after(call.config.timeout));
    let uid = call.pod.as_ref().and_then(|pod| pod.uid.as_deref());
    let mut without_lease = Vec::new();
    for &address in &call.previous {
        let name = LeaseName {
            vrf: call.config.vrf.clone(),
            address,
        };
        let Some(stored) = cluster.read(&name).await? else {
            without_lease.push(address);
            continue;
        };
        let container = stored.recorded_container(&call.container, uid);
        if !stored.is_held_by(container, &call.interface) {
            return Err(Error::NotHeld {
                address,
                found: Some(Box::new(stored.lease)),
            });
        }
    }
    if without_lease.is_empty() {
        return Ok(());
    }
    let cached = Freshness::Cached;
    let (written, subnets) = tokio::try_join!(
        cluster.retry(async || api.pools(cached).await),
        cluster.retry(async || api.subnets(cached).await),
    )?;
    // Reservations do not concern addresses that were given before, and without them nothing fails.
    let pools = Pools::read(written, &subnets, &[], &call.config.vrf).unwrap_or_default();
    match lost(call, &without_lease, &pools) {
        None => Ok(()),
        Some(address) => Err(Error::NotHeld {
            address,
            found: None,
        }),
    }
}

/// The first address without a lease that leasehold must have given: a pool gives it, or the result
/// has no address that is held.
fn lost(call: &Check, without_lease: &[IpAddr], pools: &Pools) -> Option<IpAddr> {
    let gives = |address: IpAddr| {
        let mut pools = pools.iter().chain(pools.subnets()).flatten();
        pools.any(|pool| pool.vrf == call.config.vrf && pool.usable.contains(address))
    };
    let none_is_held = without_lease.len() == call.previous.len();
    without_lease
        .iter()
        .copied()
        .find(|&address| gives(address) || none_is_held)
}
