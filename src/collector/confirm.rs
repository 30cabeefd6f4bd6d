//! The second look: whether a suspicion stands.

use std::time::Duration;

use jiff::Timestamp;

use super::Options;
use super::index::SnapshotIndex;
use super::reason::{KeepReason, Proof, Reason};
use super::snapshot::{ClaimSnapshot, LeaseSnapshot, Life, NodeSnapshot, PodSnapshot};
use super::suspect::{Suspect, Suspicion};

/// What a second look at one suspect saw, live.
#[derive(Debug, Clone, Default)]
pub struct SecondRead {
    /// The version of the lease; `None`: it is gone.
    pub version: Option<String>,
    /// The pod of the holder's namespace and name, whichever it is now.
    pub pod: Option<PodSnapshot>,
    /// The holder's node.
    pub node: Option<NodeSnapshot>,
    /// The node's last heartbeat.
    pub heartbeat: Option<Timestamp>,
    /// The claim, where it was asked for.
    pub claim: Option<ClaimSnapshot>,
    /// What the API server's clock showed.
    pub server_time: Option<Timestamp>,
}

/// Judges a suspect on both looks: the reason to take the lease back, at exactly the version that both saw; else why it is
/// kept.
pub fn confirm(
    suspect: &Suspect<'_>,
    first: &SnapshotIndex<'_>,
    second: &SecondRead,
    options: &Options,
) -> Result<Reason, KeepReason> {
    let lease = suspect.lease;
    match &second.version {
        None => return Err(KeepReason::Vanished),
        Some(version) if **version != *lease.version => return Err(KeepReason::Changed),
        Some(_) => {}
    }
    if let Suspicion::Over(reason) = &suspect.suspicion {
        return Ok(reason.clone());
    }
    if lease.shared {
        return Err(KeepReason::Shared);
    }
    if first.rival(lease).is_some() || is_rival(lease, second.pod.as_ref()) {
        return Err(KeepReason::Reported);
    }
    match &suspect.suspicion {
        Suspicion::Over(reason) => Ok(reason.clone()),
        // Nobody should run on it, and yet its last holder says that it does.
        Suspicion::Unclaimed if is_reported_by_holder(lease, first) => Err(KeepReason::Reported),
        Suspicion::Unclaimed => match second.claim {
            Some(ClaimSnapshot::Gone) => Ok(Reason::ClaimGone),
            Some(ClaimSnapshot::Omits) => Ok(Reason::ClaimOmits),
            Some(ClaimSnapshot::Lists | ClaimSnapshot::Unknown) | None => Err(KeepReason::Claimed),
        },
        Suspicion::Gone => match state(lease, second) {
            PodState::Gone => {
                let proof = proof(lease, first, second, options)?;
                if proof.needs_time() && !has_had_time_to_end(lease, second, options) {
                    return Err(KeepReason::Ending);
                }
                Ok(Reason::PodGone(proof))
            }
            PodState::Finished | PodState::Alive => Err(KeepReason::Alive),
        },
        Suspicion::Finished(end) => match state(lease, second) {
            // A pod that had finished and is gone by now had its end before the first look all the same.
            PodState::Gone | PodState::Finished => Ok(Reason::PodFinished(
                *end,
                proof(lease, first, second, options)?,
            )),
            PodState::Alive => Err(KeepReason::Alive),
        },
        Suspicion::Surplus { keeps } => match (state(lease, second), &second.pod) {
            (PodState::Alive, Some(pod)) if pod.reports(lease.name.address) => {
                Err(KeepReason::Alive)
            }
            (PodState::Alive, _) if has_stood(lease, second, options) => {
                Ok(Reason::Surplus { keeps: *keeps })
            }
            (PodState::Alive, _) => Err(KeepReason::Young),
            // Dead meanwhile, which the next run looks into.
            (PodState::Gone | PodState::Finished, _) => Err(KeepReason::Changed),
        },
    }
}

/// What a pod does at the second look.
enum PodState {
    Gone,
    Finished,
    Alive,
}

fn state(lease: &LeaseSnapshot, second: &SecondRead) -> PodState {
    let uid = lease.holder.as_ref().map_or("", |holder| &*holder.uid);
    match second.pod.as_ref().filter(|pod| pod.is(uid)) {
        None => PodState::Gone,
        Some(pod) => match pod.life {
            Life::Finished(_) => PodState::Finished,
            Life::Alive => PodState::Alive,
        },
    }
}

fn is_reported_by_holder(lease: &LeaseSnapshot, first: &SnapshotIndex<'_>) -> bool {
    let holder = lease.holder.as_ref();
    holder
        .and_then(|holder| first.pod(&holder.uid))
        .is_some_and(|pod| pod.is_alive() && pod.reports(lease.name.address))
}

/// Whether the pod that has the holder's name now is another one, lives, and reports the address.
fn is_rival(lease: &LeaseSnapshot, pod: Option<&PodSnapshot>) -> bool {
    let uid = lease.holder.as_ref().map_or("", |holder| &*holder.uid);
    pod.is_some_and(|pod| !pod.is(uid) && pod.is_alive() && pod.reports(lease.name.address))
}

/// What shows that the container is gone, too.
fn proof(
    lease: &LeaseSnapshot,
    first: &SnapshotIndex<'_>,
    second: &SecondRead,
    options: &Options,
) -> Result<Proof, KeepReason> {
    let node = lease.holder.as_ref().map_or("", |holder| &*holder.node);
    let before = first.snapshot.nodes.get(node);
    let proof = match (before, &second.node) {
        // At both looks: a Node that is registered anew has a machine behind it.
        (None, None) => Ok(Proof::NodeGone),
        (_, Some(now)) if now.out_of_service => Ok(Proof::OutOfService),
        // What was not there at the first look is later than it.
        _ if second.heartbeat <= first.snapshot.heartbeats.get(node).copied() => {
            Err(KeepReason::Silent)
        }
        // Kubelet renews its heartbeat while the runtime is down too. And after a partition the first sign of life comes
        // before the work that was left undone meanwhile.
        (Some(before), Some(now)) if before.ready && now.ready => Ok(Proof::Heartbeat),
        _ => Err(KeepReason::Unready),
    };
    match proof {
        Err(_) if options.release_unreachable => Ok(Proof::Waived),
        proof => proof,
    }
}

/// Whether the containers of a pod that is gone have ended by now. A pod whose object was deleted by force while it was
/// ending is not stopped for that: kubelet lets it have the time that it was given first.
fn has_had_time_to_end(lease: &LeaseSnapshot, second: &SecondRead, options: &Options) -> bool {
    lease.termination <= options.grace || is_older(lease.gone_since, second, lease.termination)
}

/// Whether this version is older than any ADD that could still work on it. Both times are the API server's.
fn has_stood(lease: &LeaseSnapshot, second: &SecondRead, options: &Options) -> bool {
    is_older(lease.written, second, options.add_timeout + options.grace)
}

/// Whether more than `time` has passed since then, by the API server's clock.
fn is_older(then: Option<Timestamp>, second: &SecondRead, time: Duration) -> bool {
    let (Some(then), Some(now)) = (then, second.server_time) else {
        return false;
    };
    let age = Duration::try_from(now.duration_since(then)).unwrap_or_default();
    // The server tells whole seconds, in the header and in the object.
    age > time.saturating_add(Duration::from_secs(1))
}
