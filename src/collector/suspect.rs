//! The first look: whose address may have been left behind.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::index::SnapshotIndex;
use super::reason::{PodEnd, Reason};
use super::snapshot::{ClaimSnapshot, HolderSnapshot, LeaseSnapshot, Life};
use crate::ip::Family;
use crate::lease::State;

/// A lease that may be taken back.
#[derive(Debug, Clone)]
pub struct Suspect<'a> {
    /// The lease.
    pub lease: &'a LeaseSnapshot,
    /// What it is suspected of.
    pub suspicion: Suspicion,
}

/// What a lease is suspected of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspicion {
    /// Its pod was not there.
    Gone,
    /// Its pod had run to its end.
    Finished(PodEnd),
    /// Its pod has another lease for the same interface.
    Surplus {
        /// The address that the pod keeps.
        keeps: std::net::IpAddr,
    },
    /// Its claim was gone, or did not list it.
    Unclaimed,
    /// Its time is over. That needs no second look: nobody has it.
    Over(Reason),
}

impl Suspicion {
    /// Whether it takes a second look.
    #[must_use]
    pub fn needs_proof(&self) -> bool {
        match self {
            Self::Gone | Self::Finished(_) | Self::Surplus { .. } | Self::Unclaimed => true,
            Self::Over(_) => false,
        }
    }
}

/// Every lease of the look that may be taken back, in the order of the look.
#[must_use]
pub fn suspects<'a>(index: &SnapshotIndex<'a>, now: Timestamp) -> Vec<Suspect<'a>> {
    let kept = legitimate(index);
    let suspicion = |lease: &'a LeaseSnapshot| match lease.state {
        State::Held => suspicion_of_held(index, &kept, lease),
        State::Cooling => is_over(lease, now).then_some(Suspicion::Over(Reason::Cooled)),
        State::Quarantined => {
            is_over(lease, now).then_some(Suspicion::Over(Reason::QuarantineOver))
        }
        State::Retained => match index.snapshot.claims.get(&lease.name) {
            Some(ClaimSnapshot::Gone | ClaimSnapshot::Omits) => Some(Suspicion::Unclaimed),
            Some(ClaimSnapshot::Lists | ClaimSnapshot::Unknown) | None => None,
        },
        // Only a newer version knows what that is.
        State::Unknown => None,
    };
    let suspect = |lease| {
        let suspicion = suspicion(lease)?;
        Some(Suspect { lease, suspicion })
    };
    index.snapshot.leases.iter().filter_map(suspect).collect()
}

/// A lease whose pod lives and is given longer to end than the lease says: by `kubectl delete --grace-period`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraceExtended<'a> {
    /// The lease.
    pub lease: &'a LeaseSnapshot,
    /// How long it is.
    pub termination: Duration,
}

/// Every lease of the look of which that is so. Once the pod is gone nobody could tell any more.
#[must_use]
pub fn grace_extended<'a>(index: &SnapshotIndex<'a>) -> Vec<GraceExtended<'a>> {
    let grace_extended = |lease: &'a LeaseSnapshot| {
        let holder = lease.holder.as_ref()?;
        let termination = index.pod(&holder.uid)?.termination;
        (lease.state == State::Held && termination > lease.termination)
            .then_some(GraceExtended { lease, termination })
    };
    index
        .snapshot
        .leases
        .iter()
        .filter_map(grace_extended)
        .collect()
}

fn is_over(lease: &LeaseSnapshot, now: Timestamp) -> bool {
    lease.over.is_some_and(|over| over <= now)
}

fn suspicion_of_held<'a>(
    index: &SnapshotIndex<'a>,
    kept: &HashMap<Slot<'a>, &'a LeaseSnapshot>,
    lease: &'a LeaseSnapshot,
) -> Option<Suspicion> {
    let holder = lease.holder.as_ref()?;
    let Some(pod) = index.pod(&holder.uid) else {
        return Some(Suspicion::Gone);
    };
    match pod.life {
        Life::Finished(end) => Some(Suspicion::Finished(end)),
        Life::Alive => {
            let keeps = &kept.get(&slot(lease, holder))?.name;
            let is_surplus = *keeps != lease.name && !pod.reports(lease.name.address);
            is_surplus.then_some(Suspicion::Surplus {
                keeps: keeps.address,
            })
        }
    }
}

/// What one lease is enough for: an interface of a pod on a network, in one family.
type Slot<'a> = (&'a str, &'a str, &'a str, Family);

fn slot<'a>(lease: &'a LeaseSnapshot, holder: &'a HolderSnapshot) -> Slot<'a> {
    (
        &holder.uid,
        &holder.interface,
        &holder.network,
        Family::of(lease.name.address),
    )
}

/// For each slot the lease that is legitimate: the one that the pod reports, else the latest.
fn legitimate<'a>(index: &SnapshotIndex<'a>) -> HashMap<Slot<'a>, &'a LeaseSnapshot> {
    let mut kept: HashMap<Slot<'a>, &'a LeaseSnapshot> = HashMap::new();
    let rank = |lease: &'a LeaseSnapshot, holder: &HolderSnapshot| {
        let pod = index.pod(&holder.uid);
        let reported = pod.is_some_and(|pod| pod.reports(lease.name.address));
        // The name last, so that two runs at once choose the same one.
        (reported, lease.held_since, Reverse(&lease.name))
    };
    for lease in &index.snapshot.leases {
        let Some(holder) = lease.holder.as_ref().filter(|_| lease.state == State::Held) else {
            continue;
        };
        let best = kept.entry(slot(lease, holder)).or_insert(lease);
        let best_holder = best.holder.as_ref().unwrap_or(holder);
        if rank(lease, holder) > rank(best, best_holder) {
            *best = lease;
        }
    }
    kept
}
