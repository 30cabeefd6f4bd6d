//! DEL: give back what this container's interface has, and let the pod terminate in any case.

use std::collections::BTreeSet;
use std::time::Duration;

use super::release_cache::{CacheEntry, ReleaseCache};
use crate::cni::{Del, chain};
use crate::lease::{
    self, Clock, Deadline, LeaseFilter, LeaseName, Released, Retrying, Store, StoredLease,
};

/// How long DEL tries. Its error would keep the pod Terminating, and the collector takes back what is left.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Releases the leases of (container, interface). What could not be done is said, and is no error.
pub async fn del<S: Store, C: Clock>(
    call: &Del,
    store: &S,
    clock: &C,
    cache: &ReleaseCache,
) -> Vec<String> {
    let entry = cache.get(&call.container, &call.interface);
    if entry == Some(CacheEntry::Released) {
        return Vec::new();
    }
    // A release needs no sandbox: most often it is gone.
    let desk = Retrying::new(store, clock, Deadline::until(PATIENCE), &|| true);
    let known = known(call, entry);
    match release_all(call, &desk, known.as_ref()).await {
        Ok(()) => {
            // What was searched for may not be all: a call that was killed may have sent its write already.
            if known.is_some() {
                cache.put(&call.container, &call.interface, &CacheEntry::Released);
            }
            Vec::new()
        }
        Err(error) => vec![format!(
            "the addresses of container {} ({}) were not released, the collector will take them back: {}",
            &*call.container,
            &*call.interface,
            chain(&error)
        )],
    }
}

/// The leases that ADD answered with, if the runtime or the node still knows.
fn known(call: &Del, entry: Option<CacheEntry>) -> Option<BTreeSet<LeaseName>> {
    let name = |&address| LeaseName {
        vrf: call.config.vrf.clone(),
        address,
    };
    let mut names: BTreeSet<LeaseName> = call.previous.iter().flatten().map(name).collect();
    // The configuration may have been edited since ADD; the note says in which vrf the addresses were given.
    if let Some(CacheEntry::Holds(held)) = entry {
        names.extend(held);
    }
    Some(names).filter(|names| !names.is_empty())
}

async fn release_all<S: Store, C: Clock>(
    call: &Del,
    desk: &Retrying<'_, S, C>,
    known: Option<&BTreeSet<LeaseName>>,
) -> Result<(), lease::Error> {
    let mut leases: Vec<StoredLease> = Vec::new();
    match known {
        Some(names) => {
            for name in names {
                leases.extend(desk.read(name).await?);
            }
        }
        None => leases = desk.find(LeaseFilter::Container(&call.container)).await?,
    }
    // One that fails must not keep the others.
    let mut first_error = None;
    for seen in leases {
        if let Err(error) = release_one(call, desk, seen).await {
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

async fn release_one<S: Store, C: Clock>(
    call: &Del,
    desk: &Retrying<'_, S, C>,
    seen: StoredLease,
) -> Result<Released, lease::Error> {
    let uid = call.pod.as_ref().and_then(|pod| pod.uid.as_deref());
    let container = seen.container_as_told(&call.container, uid).to_owned();
    lease::release(desk, seen, &container, &call.interface).await
}
