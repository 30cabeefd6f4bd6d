//! The pod lives and has another address for the same interface.
//!
//! For each interface of a pod on a network one lease of each family is legitimate. Others are left
//! over by calls that were given up, or forged: a node may write any uid into a lease of its own.
//! They go once no ADD can be working on them.

use std::cmp::Reverse;

use super::{Case, Judgment, Keep, Live, holders_pod};
use crate::collector::compact::{Moment, Uid};
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
type Slot<'a> = (&'a Uid, &'a str, &'a str, Family);

/// What makes one lease of a slot more legitimate than another, the first difference deciding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    is_on_its_node: bool,
    /// One that the collector recreated is older than whatever a call took since.
    has_container: bool,
    is_reported: bool,
    /// By its node's clock; one that lies ahead proves nothing.
    held_since: Option<Moment>,
    /// So that two runs choose the same one.
    name: Reverse<&'a LeaseName>,
}

/// The legitimate lease of each slot that has one on the pod's own node, by slot.
pub(super) struct Legitimate<'a>(Vec<(&'a HolderSnapshot, &'a LeaseSnapshot)>);

impl<'a> Legitimate<'a> {
    pub(super) fn of(index: &SnapshotIndex<'a>, now: Now) -> Self {
        let held = index.snapshot.leases.iter();
        let held = held.filter(|lease| lease.state == State::Held);
        let held = held.filter_map(|lease| Some((lease.holder.as_ref()?, lease)));
        let mut held: Vec<_> = held.collect();
        held.sort_unstable_by_key(|(holder, lease)| slot(lease, holder));
        // In each slot the most legitimate one comes last.
        for slot in held.chunk_by_mut(|(a, l), (b, m)| slot(l, a) == slot(m, b)) {
            slot.sort_unstable_by_key(|(holder, lease)| rank(index, lease, holder, now));
        }
        held.dedup_by(|next, kept| {
            let is_same = slot(next.1, next.0) == slot(kept.1, kept.0);
            if is_same {
                *kept = *next;
            }
            is_same
        });
        held.retain(|(holder, lease)| rank(index, lease, holder, now).is_on_its_node);
        Self(held)
    }

    /// The lease that a pod has in place of one that is kept for its name.
    pub(super) fn of_pod(
        &self,
        pod: &PodSnapshot,
        kept: &LeaseSnapshot,
        slot: &ClaimRef,
    ) -> Option<&'a LeaseSnapshot> {
        let family = Family::of(kept.name.address);
        self.of_slot((pod.runtime_uid(), &slot.interface, &slot.network, family))
    }

    /// The legitimate lease of the slot of this one, if one is on the pod's own node.
    fn in_place_of(
        &self,
        lease: &LeaseSnapshot,
        holder: &HolderSnapshot,
    ) -> Option<&'a LeaseSnapshot> {
        self.of_slot(slot(lease, holder))
    }

    fn of_slot(&self, wanted: Slot<'_>) -> Option<&'a LeaseSnapshot> {
        let slot = |(holder, lease): &(&'a HolderSnapshot, &'a LeaseSnapshot)| slot(lease, holder);
        let at = self.0.binary_search_by(|entry| slot(entry).cmp(&wanted));
        Some(self.0[at.ok()?].1)
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
        held_since: lease
            .held_since
            .filter(|since| *since <= Moment::from(now.own)),
        name: Reverse(&lease.name),
    }
}

#[cfg(test)]
mod tests;
