//! No pod of the name that it is kept for is to be expected.

use std::collections::{HashMap, HashSet};

use super::{Case, Judgment, Keep, Live};
use crate::collector::reason::{KeepReason, Reason};
use crate::collector::snapshot::{ClaimSnapshot, LeaseSnapshot, PodSnapshot, Snapshot};
use crate::lease::{ClaimKind, ClaimRef, State};

/// A lease that is kept for a pod's name. A pod of that name may be about to take it.
pub(super) fn judge(case: &Case<'_>, lease: &LeaseSnapshot, slot: &ClaimRef) -> Judgment {
    if case.slots.pod(slot).is_some() {
        return Judgment::Fine;
    }
    let reason = match case.index.snapshot.claims.get(&lease.name) {
        Some(ClaimSnapshot::Gone) => Reason::OwnerGone,
        Some(ClaimSnapshot::Omits) => Reason::ScaledDown,
        Some(ClaimSnapshot::Lists | ClaimSnapshot::Leaving | ClaimSnapshot::Unknown) | None => {
            return Judgment::Fine;
        }
    };
    if case.is_reported_by_last_holder(lease) {
        return Keep::unmarked(KeepReason::Reported);
    }
    let wait = case.options.claim_grace;
    case.due_after(lease, reason, wait, KeepReason::Awaited)
}

/// Whether live reads show the same.
pub(super) fn confirm(reason: &Reason, live: &Live) -> Result<(), KeepReason> {
    if live.pod.is_some() {
        return Err(KeepReason::Alive);
    }
    match (reason, live.claim) {
        (Reason::OwnerGone, Some(ClaimSnapshot::Gone))
        | (Reason::ScaledDown, Some(ClaimSnapshot::Omits)) => Ok(()),
        _ => Err(KeepReason::Claimed),
    }
}

/// The pods that have the names that addresses are kept for.
pub(super) struct Slots<'a>(HashMap<(&'a str, &'a str), &'a PodSnapshot>);

impl<'a> Slots<'a> {
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let kept = (snapshot.leases.iter()).filter(|lease| lease.state == State::Retained);
        let slots = kept.filter_map(|lease| lease.claim.as_ref());
        let slots = slots.filter(|claim| claim.kind == ClaimKind::Pod);
        let names: HashSet<_> = slots.map(|slot| (&*slot.namespace, &*slot.name)).collect();
        let pods = (snapshot.pods.iter()).map(|pod| ((&*pod.namespace, &*pod.name), pod));
        Self(pods.filter(|(name, _)| names.contains(name)).collect())
    }

    fn pod(&self, slot: &ClaimRef) -> Option<&'a PodSnapshot> {
        self.0.get(&(&*slot.namespace, &*slot.name)).copied()
    }
}

#[cfg(test)]
mod tests;
