//! Pods that are given longer to end than their leases record, by `kubectl delete --grace-period`.

use std::time::Duration;

use super::index::SnapshotIndex;
use super::snapshot::LeaseSnapshot;
use crate::lease::State;

/// A lease whose pod is given longer to end than the lease records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraceExtended<'a> {
    /// The lease.
    pub lease: &'a LeaseSnapshot,
    /// How long it is.
    pub termination: Duration,
}

/// Every lease of which that is so. Once the pod is gone, no object shows it any more.
#[must_use]
pub fn grace_extended<'a>(index: &SnapshotIndex<'a>) -> Vec<GraceExtended<'a>> {
    let leases = index.snapshot.leases.iter();
    leases
        .filter_map(|lease| {
            let holder = lease.holder.as_ref()?;
            let termination = index.pod(&holder.uid)?.termination;
            (lease.state == State::Held && termination > lease.termination)
                .then_some(GraceExtended { lease, termination })
        })
        .collect()
}
