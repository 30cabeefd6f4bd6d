//! DEL: release what this container's interface holds, and let the pod terminate in any case.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::release_cache::{CacheEntry, ReleaseCache};
use crate::cni::Del;
use crate::host;
use crate::lease::{self, LeaseFilter, LeaseName, Released, Store, StoredLease};
use crate::retry::{Clock, Deadline, Error, Retrying};
use crate::text::chain;

/// How long DEL tries, and how long where no server accepts a connection. Its error would keep the
/// pod Terminating, and the collector reclaims what is left.
pub(super) fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(30)).unreachable_after(Duration::from_secs(10))
}

/// Releases the leases of (container, interface). What could not be done is returned in words, and
/// is no error.
pub(super) async fn del<S: Store, C: Clock>(
    call: &Del,
    store: &S,
    clock: &C,
    cache: &ReleaseCache,
) -> Vec<String> {
    let entry = cache.get(&call.container, &call.interface);
    if entry == Some(CacheEntry::Released) {
        return Vec::new();
    }
    let leases = Retrying::new(store, clock, deadline());
    let known = known(call, entry);
    match release_all(call, &leases, known.as_ref()).await {
        Ok(()) => {
            // A search may not have found all: a call that was killed may have sent its write
            // already.
            if known.is_some() {
                cache.put(&call.container, &call.interface, &CacheEntry::Released);
            }
            Vec::new()
        }
        Err(error) => vec![format!(
            "the addresses of container {} ({}) were not released, the collector will do it: {}",
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
    // The configuration may have been edited since ADD; the entry has the vrf in which the
    // addresses were given.
    if let Some(CacheEntry::Holds(held)) = entry {
        names.extend(held);
    }
    Some(names).filter(|names| !names.is_empty())
}

/// Releases all at the same time. One that fails does not keep the others.
async fn release_all<S: Store, C: Clock>(
    call: &Del,
    leases: &Retrying<'_, S, C>,
    known: Option<&BTreeSet<LeaseName>>,
) -> Result<(), Error> {
    let outcomes = if let Some(names) = known {
        let release = async |name| match leases.read(name).await? {
            Some(stored) => release_one(call, leases, stored).await,
            None => Ok(Released::NotHeld),
        };
        join_all(names.iter().map(release)).await
    } else {
        let found = leases.find(LeaseFilter::Container(&call.container)).await?;
        let release = |stored| release_one(call, leases, stored);
        join_all(found.into_iter().map(release)).await
    };
    outcomes
        .into_iter()
        .try_for_each(|outcome| outcome.map(drop))
}

async fn release_one<S: Store, C: Clock>(
    call: &Del,
    leases: &Retrying<'_, S, C>,
    stored: StoredLease,
) -> Result<Released, Error> {
    let uid = call.pod.as_ref().and_then(|pod| pod.uid.as_deref());
    let container = stored.recorded_container(&call.container, uid).to_owned();
    let failed = call.follows_failed_add && call.netns.as_deref().is_some_and(host::exists);
    lease::release(leases, stored, &container, &call.interface, failed).await
}
