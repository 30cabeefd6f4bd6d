//! What becomes of a lease: one file for each reason to release it.
//!
//! [`judge`] decides on the lists and on the marks that were read before them; [`confirm`] decides
//! again, for a lease that is due, on live reads of lease, pod and node.
//!
//! # Invariants
//!
//! - Unknown means keep.
//! - The lease of a pod that looks dead is due only by a mark of an earlier run, unless an
//!   administrator vouches that nothing runs there.
//! - A lease whose node exists and is not Ready gets no mark.

use std::time::Duration;

use jiff::Timestamp;

use super::Options;
use super::compact::Version;
use super::index::SnapshotIndex;
use super::marks::{Mark, MarkTable};
use super::now::Now;
use super::reason::{KeepReason, Reason};
use super::snapshot::{ClaimSnapshot, HolderSnapshot, LeaseSnapshot, NodeSnapshot, PodSnapshot};
use crate::lease::{ClaimKind, State};

mod cooled;
mod finished;
mod gone;
mod quarantine_over;
mod slot;
mod surplus;
mod unclaimed;

use slot::Slots;
use surplus::Legitimate;

/// What every rule judges by.
pub struct Case<'a> {
    /// The lists.
    pub index: &'a SnapshotIndex<'a>,
    /// The marks that were read before the lists.
    pub marks: &'a MarkTable,
    /// The time after the lists.
    pub now: Now,
    /// What the administrator decides.
    pub options: &'a Options,
    legitimate: Legitimate<'a>,
    slots: Slots<'a>,
}

/// What is to become of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgment {
    /// Its pod lives and may have it, or there is nothing to report of it.
    Fine,
    /// It is to be released, if live reads confirm it.
    Due(Due),
    /// It looks dead and is kept.
    Keep(Keep),
}

/// A lease that is to be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Why.
    pub reason: Reason,
    /// What to write down where it is kept after all.
    pub mark: Option<Mark>,
}

/// A lease that looks dead and is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Why.
    pub why: KeepReason,
    /// What to write down for the next run.
    pub mark: Option<Mark>,
    /// When its wait ends, where it is only time that is missing.
    pub until: Option<Timestamp>,
}

impl From<Due> for Judgment {
    fn from(due: Due) -> Self {
        Self::Due(due)
    }
}

impl From<Keep> for Judgment {
    fn from(keep: Keep) -> Self {
        Self::Keep(keep)
    }
}

impl Keep {
    /// Without a mark: whatever was known before counts no more.
    fn unmarked(why: KeepReason) -> Judgment {
        Self {
            why,
            mark: None,
            until: None,
        }
        .into()
    }

    fn marked(why: KeepReason, mark: Mark) -> Judgment {
        Self {
            why,
            mark: Some(mark),
            until: None,
        }
        .into()
    }
}

impl<'a> Case<'a> {
    /// What every rule judges by.
    #[must_use]
    pub fn new(
        index: &'a SnapshotIndex<'a>,
        marks: &'a MarkTable,
        now: Now,
        options: &'a Options,
    ) -> Self {
        Self {
            index,
            marks,
            now,
            options,
            legitimate: Legitimate::of(index, now),
            slots: Slots::of(index.snapshot),
        }
    }

    /// What is to become of a lease, by the lists.
    #[must_use]
    pub fn judge(&self, lease: &LeaseSnapshot) -> Judgment {
        let judgment = match lease.state {
            State::Held => self.judge_held(lease),
            State::Cooling => cooled::judge(lease, self.now),
            State::Quarantined => quarantine_over::judge(lease, self.now),
            State::Retained => {
                let judgment = match &lease.claim {
                    Some(slot) if slot.kind == ClaimKind::Pod => slot::judge(self, lease, slot),
                    _ => unclaimed::judge(self, lease),
                };
                self.unless_in_use(lease, judgment)
            }
            // Only a newer version knows what that is.
            State::Unknown => Judgment::Fine,
        };
        // A deletion would change nothing.
        let is_released = matches!(judgment, Judgment::Due(_)) && lease.state != State::Held;
        if is_released && lease.deleting {
            return Keep::unmarked(KeepReason::Finalizers);
        }
        judgment
    }

    fn judge_held(&self, lease: &LeaseSnapshot) -> Judgment {
        let Some(holder) = &lease.holder else {
            return Judgment::Fine;
        };
        let judgment = match self.index.pod(&holder.uid) {
            None => gone::judge(self, lease, holder, None),
            Some(pod) => match pod.phase.end() {
                None => surplus::judge(self, lease, holder, pod),
                Some(end) => finished::judge(self, lease, holder, pod, end),
            },
        };
        self.unless_in_use(lease, judgment)
    }

    /// Nothing is taken from two holders that share it, nor from a pod that uses it, whatever its
    /// lease records.
    fn unless_in_use(&self, lease: &LeaseSnapshot, judgment: Judgment) -> Judgment {
        if judgment == Judgment::Fine {
            Judgment::Fine
        } else if lease.shared {
            Keep::unmarked(KeepReason::Shared)
        } else if self.index.rival(lease).is_some() {
            Keep::unmarked(KeepReason::Reported)
        } else {
            judgment
        }
    }

    /// The node of a holder, by the lists.
    fn node(&self, holder: &HolderSnapshot) -> Option<&NodeSnapshot> {
        self.index.snapshot.nodes.get(&*holder.node)
    }

    /// Whether a lease is marked and unchanged for longer than the longest ADD: any write would
    /// have voided the mark.
    pub(super) fn has_stood(&self, lease: &LeaseSnapshot) -> bool {
        let mark = self.marks.of(lease);
        mark.is_some_and(|mark| self.now.is_past(mark.since, self.options.add_timeout))
    }

    /// A lease that is due once it is marked and unchanged for longer than `wait`.
    fn due_after(
        &self,
        lease: &LeaseSnapshot,
        reason: Reason,
        wait: Duration,
        why: KeepReason,
    ) -> Judgment {
        if let Some(mark) = self.marks.of(lease)
            && self.now.is_past(mark.since, wait)
        {
            let mark = Some(mark.clone());
            return Due { reason, mark }.into();
        }
        let Some(mark) = self.mark(lease) else {
            return Keep::unmarked(why);
        };
        Keep {
            why,
            until: mark.since.checked_add(wait).ok(),
            mark: Some(mark),
        }
        .into()
    }

    /// Whether the last holder of a kept lease, on which no pod should run, reports its address.
    fn is_reported_by_last_holder(&self, lease: &LeaseSnapshot) -> bool {
        let holder = lease.holder.as_ref();
        let pod = holder.and_then(|holder| self.index.pod(&holder.uid));
        pod.is_some_and(|pod| pod.is_alive() && pod.has_address(lease.name.address))
    }

    /// The mark of exactly this version, or a new one; `None` where the API server's answers have
    /// no time.
    fn mark(&self, lease: &LeaseSnapshot) -> Option<Mark> {
        let known = self.marks.of(lease).cloned();
        known.or_else(|| Some(Mark::new(lease, self.now.server?)))
    }
}

/// What live reads show of a lease that is due.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// The version of the lease; `None`: it is gone.
    pub version: Option<String>,
    /// The pod of the holder's namespace and name, whichever it is now.
    pub pod: Option<PodSnapshot>,
    /// The holder's node.
    pub node: Option<NodeSnapshot>,
    /// The claim, where it was asked for.
    pub claim: Option<ClaimSnapshot>,
    /// Whether the node has reported lately that it could not tear this pod down.
    pub teardown_failed: bool,
}

/// Whether a lease that is due is released: an error is the reason why it is kept after all.
pub fn confirm(lease: &LeaseSnapshot, reason: &Reason, live: &Live) -> Result<(), KeepReason> {
    match &live.version {
        None => return Err(KeepReason::Vanished),
        Some(version) if Version::from(version) != lease.version => {
            return Err(KeepReason::Changed);
        }
        Some(_) => {}
    }
    match reason {
        // No pod has it.
        Reason::Cooled | Reason::QuarantineOver => Ok(()),
        _ if is_rival(lease, live.pod.as_ref()) => Err(KeepReason::Reported),
        Reason::PodGone(proof) => gone::confirm(lease, *proof, None, live),
        Reason::PodFinished(end, proof) => finished::confirm(lease, *end, *proof, live),
        Reason::Surplus { .. } => surplus::confirm(lease, live),
        Reason::ClaimGone | Reason::ClaimOmits => unclaimed::confirm(reason, live),
        Reason::OwnerGone | Reason::ScaledDown | Reason::Unused | Reason::Superseded { .. } => {
            slot::confirm(lease, reason, live)
        }
    }
}

/// Whether the pod that has the holder's name now is another one, lives, and uses the address.
fn is_rival(lease: &LeaseSnapshot, pod: Option<&PodSnapshot>) -> bool {
    let holder = lease.holder.as_ref();
    let is_its_own = |pod: &PodSnapshot| holder.is_some_and(|holder| pod.is(&holder.uid));
    pod.is_some_and(|pod| !is_its_own(pod) && pod.is_alive() && pod.has_address(lease.name.address))
}

/// The pod of a live read, if it is the holder's.
fn holders_pod<'a>(lease: &LeaseSnapshot, live: &'a Live) -> Option<&'a PodSnapshot> {
    let holder = lease.holder.as_ref()?;
    live.pod.as_ref().filter(|pod| pod.is(&holder.uid))
}

#[cfg(test)]
mod tests;
