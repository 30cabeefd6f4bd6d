//! The pod lives and has another address for the same interface.
//!
//! For each interface of a pod on a network one lease of each family is legitimate. Others are left
//! over by calls that were given up, or forged: a node may write any uid into a lease of its own.
//! They go once no ADD can be working on them.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;

use super::{Case, Judgment, Keep, Live, holders_pod};
use crate::collector::index::SnapshotIndex;
use crate::collector::now::Now;
use crate::collector::reason::{KeepReason, Reason};
use crate::collector::snapshot::{HolderSnapshot, LeaseSnapshot, PodSnapshot};
use crate::ip::Family;
use crate::lease::{ClaimRef, LeaseName, State};

/// The lease of a pod that lives.
pub(super) fn judge(
    case: &Case<'_>,
    lease: &LeaseSnapshot,
    holder: &HolderSnapshot,
    pod: &PodSnapshot,
) -> Judgment {
    let Some(keeps) = case.legitimate.in_place_of(lease, holder) else {
        return Judgment::Fine;
    };
    if keeps.name == lease.name || pod.has_address(lease.name.address) {
        return Judgment::Fine;
    }
    if case.node(holder).is_some_and(|node| !node.ready) {
        return Keep::unmarked(KeepReason::Unready);
    }
    let reason = Reason::Surplus {
        keeps: keeps.name.address,
    };
    let wait = case.options.add_timeout;
    case.due_after(lease, reason, wait, KeepReason::Young)
}

/// Whether live reads show the same.
pub(super) fn confirm(lease: &LeaseSnapshot, live: &Live) -> Result<(), KeepReason> {
    match holders_pod(lease, live) {
        Some(pod) if pod.is_alive() && pod.has_address(lease.name.address) => {
            Err(KeepReason::Alive)
        }
        Some(pod) if pod.is_alive() => Ok(()),
        // Dead meanwhile: the next run judges that.
        Some(_) | None => Err(KeepReason::Changed),
    }
}

/// What one lease is enough for: an interface of a pod on a network, in one family.
type Slot<'a> = (&'a str, &'a str, &'a str, Family);

/// What makes one lease of a slot more legitimate than another, the first difference deciding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    is_on_its_node: bool,
    /// One that the collector recreated is older than whatever a call took since.
    has_container: bool,
    is_reported: bool,
    /// By its node's clock; one that lies ahead proves nothing.
    held_since: Option<Timestamp>,
    /// So that two runs choose the same one.
    name: Reverse<&'a LeaseName>,
}

/// For each slot the lease that is legitimate.
pub(super) struct Legitimate<'a>(HashMap<Slot<'a>, (Rank<'a>, &'a LeaseSnapshot)>);

impl<'a> Legitimate<'a> {
    pub(super) fn of(index: &SnapshotIndex<'a>, now: Now) -> Self {
        let mut best: HashMap<Slot<'a>, (Rank<'a>, &'a LeaseSnapshot)> = HashMap::new();
        for lease in &index.snapshot.leases {
            let Some(holder) = lease.holder.as_ref().filter(|_| lease.state == State::Held) else {
                continue;
            };
            let rank = rank(index, lease, holder, now);
            let entry = best.entry(slot(lease, holder)).or_insert((rank, lease));
            if rank > entry.0 {
                *entry = (rank, lease);
            }
        }
        Self(best)
    }

    /// The lease that a pod has in place of one that is kept for its name.
    pub(super) fn of_pod(
        &self,
        pod: &PodSnapshot,
        kept: &LeaseSnapshot,
        slot: &ClaimRef,
    ) -> Option<&'a LeaseSnapshot> {
        let family = Family::of(kept.name.address);
        let slot: Slot<'_> = (pod.runtime_uid(), &slot.interface, &slot.network, family);
        let (rank, best) = self.0.get(&slot)?;
        rank.is_on_its_node.then_some(*best)
    }

    /// The legitimate lease of the slot of this one, if one is on the pod's own node.
    fn in_place_of(
        &self,
        lease: &LeaseSnapshot,
        holder: &HolderSnapshot,
    ) -> Option<&'a LeaseSnapshot> {
        let (rank, best) = self.0.get(&slot(lease, holder))?;
        rank.is_on_its_node.then_some(*best)
    }
}

fn slot<'a>(lease: &'a LeaseSnapshot, holder: &'a HolderSnapshot) -> Slot<'a> {
    (
        &holder.uid,
        &holder.interface,
        &holder.network,
        Family::of(lease.name.address),
    )
}

fn rank<'a>(
    index: &SnapshotIndex<'a>,
    lease: &'a LeaseSnapshot,
    holder: &HolderSnapshot,
    now: Now,
) -> Rank<'a> {
    let pod = index.pod(&holder.uid);
    Rank {
        // A kubelet's name may differ from its Node's in its letters' case.
        is_on_its_node: pod.is_some_and(|pod| pod.node.eq_ignore_ascii_case(&holder.node)),
        has_container: holder.has_container,
        is_reported: pod.is_some_and(|pod| pod.has_address(lease.name.address)),
        held_since: lease.held_since.filter(|since| *since <= now.own),
        name: Reverse(&lease.name),
    }
}

#[cfg(test)]
mod tests;
