//! The pod has run to its end.
//!
//! Kubelet writes `Succeeded` or `Failed` once every container has ended. So does the pod garbage
//! collector, of pods whose nodes are gone and whose containers may run on, and anyone who may
//! write a pod's status: then the rule of a pod that is gone decides. So it does where a mirror has
//! ended: anyone who may write pods may forge one, and what it mirrors outlives it.

use super::{Case, Due, Judgment, Keep, Live, gone};
use crate::collector::reason::{KeepReason, Proof, Reason};
use crate::collector::snapshot::{HolderSnapshot, LeaseSnapshot, PodEnd, PodSnapshot};

/// The lease of a pod whose phase shows that it has ended.
pub(super) fn judge(
    case: &Case<'_>,
    lease: &LeaseSnapshot,
    holder: &HolderSnapshot,
    pod: &PodSnapshot,
    end: PodEnd,
) -> Judgment {
    let is_ready = case.node(holder).is_some_and(|node| node.ready);
    let is_mirror = pod.uid != holder.uid;
    if is_mirror || !is_ready || pod.deleting || !pod.containers_ended {
        return gone::judge(case, lease, holder, Some(end));
    }
    if let Some(mark) = case.marks.of(lease) {
        return Due {
            reason: Reason::PodFinished(end, Proof::ContainersEnded),
            mark: Some(mark.clone()),
        }
        .into();
    }
    match case.mark(lease) {
        Some(mark) => Keep::marked(KeepReason::Marked, mark),
        None => Keep::unmarked(KeepReason::Marked),
    }
}

/// Whether live reads show the same. The pod may be deleted by now: it had ended before.
pub(super) fn confirm(
    lease: &LeaseSnapshot,
    end: PodEnd,
    proof: Proof,
    live: &Live,
) -> Result<(), KeepReason> {
    gone::confirm(lease, proof, Some(end), live)
}

#[cfg(test)]
mod tests;
