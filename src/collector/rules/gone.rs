//! The pod is gone, and so is what it ran.
//!
//! A pod's object is no proof of its container: it may be deleted by force, or with its node cut
//! off. Three things have to be known. The node has been heard of since the pod was gone: its
//! heartbeat has changed, and it is Ready. From then on the kubelet has had the time that the pod
//! was given to end, and the margin on top: a kubelet whose API server was away lists its pods
//! again after up to a minute. And it has not reported that the teardown fails.

use std::time::Duration;

use super::{Case, Due, Judgment, Keep, Live, holders_pod};
use crate::collector::marks::Gone;
use crate::collector::reason::{KeepReason, Proof, Reason};
use crate::collector::snapshot::{HolderSnapshot, LeaseSnapshot, PodEnd};

/// The lease of a pod that is gone, or whose object shows an end that proves nothing.
pub(super) fn judge(
    case: &Case<'_>,
    lease: &LeaseSnapshot,
    holder: &HolderSnapshot,
    end: Option<PodEnd>,
) -> Judgment {
    let due = |proof, mark| {
        Judgment::Due(Due {
            reason: reason(end, proof),
            mark,
        })
    };
    if case.options.release_unreachable {
        return due(Proof::Waived, None);
    }
    let node = case.node(holder);
    if node.is_some_and(|node| node.out_of_service && !node.ready) {
        return due(Proof::OutOfService, None);
    }
    if node.is_some() && holder.is_static() {
        return Keep::unmarked(KeepReason::StaticPod);
    }
    let is_ready = node.is_none_or(|node| node.ready);
    // A node that is not Ready gives no new mark, and begins anew once it is.
    let known = case.marks.of(lease);
    let (Some(mark), Some(now)) = (known.cloned().or_else(|| case.mark(lease)), case.now.server)
    else {
        return Keep::unmarked(KeepReason::Marked);
    };
    if !is_ready && known.is_none() {
        return Keep::unmarked(KeepReason::Unready);
    }
    let heartbeat = case.index.snapshot.heartbeats.get(&*holder.node);
    let before = mark.gone.clone();
    let is_first = before.is_none();
    let mut gone = before.unwrap_or_else(|| Gone {
        since: now,
        heartbeat: heartbeat.cloned(),
        contact: None,
        node_absent: None,
    });
    let has_renewed = heartbeat.is_some() && heartbeat != gone.heartbeat.as_ref();
    match node {
        None => {
            gone.contact = None;
            gone.node_absent.get_or_insert(now);
        }
        Some(node) if !node.ready => {
            gone.contact = None;
            gone.node_absent = None;
        }
        Some(_) => {
            gone.node_absent = None;
            if has_renewed && !is_first {
                gone.contact.get_or_insert(now);
            }
        }
    }
    let (since, proof) = match node {
        None => (gone.node_absent, Proof::NodeGone),
        Some(_) => (gone.contact, Proof::Heartbeat),
    };
    let mark = crate::collector::marks::Mark {
        gone: Some(gone),
        ..mark
    };
    let wait = wait(case, lease);
    match since {
        _ if !is_ready => Keep::marked(KeepReason::Unready, mark),
        None if is_first => Keep::marked(KeepReason::Marked, mark),
        None => Keep::marked(KeepReason::Silent, mark),
        Some(since) if !is_first && case.now.is_past(since, wait) => due(proof, Some(mark)),
        Some(since) => Keep {
            why: if is_first {
                KeepReason::Marked
            } else {
                KeepReason::Ending
            },
            mark: Some(mark),
            until: since.checked_add(wait).ok(),
        }
        .into(),
    }
}

/// How long a kubelet that is there again may take until nothing of the pod is left.
fn wait(case: &Case<'_>, lease: &LeaseSnapshot) -> Duration {
    lease.termination.saturating_add(case.options.margin)
}

fn reason(end: Option<PodEnd>, proof: Proof) -> Reason {
    match end {
        None => Reason::PodGone(proof),
        Some(end) => Reason::PodFinished(end, proof),
    }
}

/// Whether live reads show the same.
pub(super) fn confirm(
    lease: &LeaseSnapshot,
    proof: Proof,
    end: Option<PodEnd>,
    live: &Live,
) -> Result<(), KeepReason> {
    match holders_pod(lease, live) {
        Some(pod) if pod.is_alive() => return Err(KeepReason::Alive),
        // It was gone, and is there again: whatever that means.
        Some(_) if end.is_none() => return Err(KeepReason::Alive),
        Some(_) | None => {}
    }
    let node = live.node.as_ref();
    let stands = match proof {
        Proof::Waived => true,
        Proof::OutOfService => node.is_some_and(|node| node.out_of_service && !node.ready),
        Proof::Heartbeat | Proof::ContainersEnded => node.is_some_and(|node| node.ready),
        Proof::NodeGone => node.is_none(),
    };
    if !stands {
        Err(KeepReason::Unready)
    } else if live.teardown_failed && proof.rests_on_kubelet() {
        Err(KeepReason::TeardownFailed)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
