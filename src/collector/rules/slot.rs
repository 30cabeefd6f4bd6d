//! No pod of the name that it is kept for is to be expected.

use std::collections::{HashMap, HashSet};

use super::{Case, Judgment, Keep, Live};
use crate::collector::reason::{KeepReason, Reason};
use crate::collector::snapshot::{ClaimSnapshot, LeaseSnapshot, PodSnapshot, Snapshot};
use crate::lease::{ClaimKind, ClaimRef, State};

/// A lease that is kept for a pod's name.
pub(super) fn judge(case: &Case<'_>, lease: &LeaseSnapshot, slot: &ClaimRef) -> Judgment {
    let judgment = match case.slots.pod(slot) {
        Some(pod) => with_pod(case, lease, slot, pod),
        None => without_pod(case, lease, slot),
    };
    if judgment != Judgment::Fine && case.is_reported_by_last_holder(lease) {
        return Keep::unmarked(KeepReason::Reported);
    }
    judgment
}

/// A pod that has no other lease may be about to take it.
fn with_pod(
    case: &Case<'_>,
    lease: &LeaseSnapshot,
    slot: &ClaimRef,
    pod: &PodSnapshot,
) -> Judgment {
    let other = case.legitimate.of_pod(pod, lease, slot);
    let Some(other) = other.filter(|_| pod.is_alive()) else {
        return Judgment::Fine;
    };
    let reason = Reason::Superseded {
        keeps: other.name.address,
        pod: pod.uid.clone(),
    };
    let wait = case.options.add_timeout;
    case.due_after(lease, reason, wait, KeepReason::Young)
}

fn without_pod(case: &Case<'_>, lease: &LeaseSnapshot, slot: &ClaimRef) -> Judgment {
    let says = case.index.snapshot.claims.get(&lease.name);
    let reason = match says {
        Some(ClaimSnapshot::Gone) => Reason::OwnerGone,
        Some(ClaimSnapshot::Omits) => Reason::ScaledDown,
        None if slot.stateful_set().is_none()
            && lease.over.is_some_and(|over| case.now.has_come(over)) =>
        {
            Reason::Unused
        }
        Some(
            ClaimSnapshot::Lists
            | ClaimSnapshot::Leaving
            | ClaimSnapshot::Unmade
            | ClaimSnapshot::Unknown,
        )
        | None => return Judgment::Fine,
    };
    let wait = case.options.claim_grace;
    case.due_after(lease, reason, wait, KeepReason::Awaited)
}

/// Whether live reads show the same.
pub(super) fn confirm(
    lease: &LeaseSnapshot,
    reason: &Reason,
    live: &Live,
) -> Result<(), KeepReason> {
    match (reason, &live.pod) {
        (Reason::Superseded { pod: uid, .. }, pod) => match pod {
            Some(pod) if pod.has_address(lease.name.address) => Err(KeepReason::Reported),
            Some(pod) if pod.uid == *uid && pod.is_alive() => Ok(()),
            // Another pod of the name may be about to take it.
            Some(_) | None => Err(KeepReason::Changed),
        },
        (_, Some(_)) => Err(KeepReason::Alive),
        (Reason::Unused, None) => Ok(()),
        (_, None) => match (reason, live.claim) {
            (Reason::OwnerGone, Some(ClaimSnapshot::Gone))
            | (Reason::ScaledDown, Some(ClaimSnapshot::Omits)) => Ok(()),
            _ => Err(KeepReason::Claimed),
        },
    }
}

/// The pods that have the names that addresses are kept for.
pub(super) struct Slots<'a>(HashMap<(&'a str, &'a str), &'a PodSnapshot>);

impl<'a> Slots<'a> {
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let kept = (snapshot.leases.iter()).filter(|lease| lease.state == State::Retained);
        let slots = kept.filter_map(|lease| lease.claim.as_deref());
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
