//! The claim that kept it is gone, or does not list it.

use super::{Case, Judgment, Keep, Live};
use crate::collector::reason::{KeepReason, Reason};
use crate::collector::snapshot::{ClaimSnapshot, LeaseSnapshot};

/// A lease that is kept beyond its pod. One that no claim keeps is a person's.
pub(super) fn judge(case: &Case<'_>, lease: &LeaseSnapshot) -> Judgment {
    let reason = match case.index.snapshot.claims.get(&lease.name) {
        Some(ClaimSnapshot::Gone) => Reason::ClaimGone,
        Some(ClaimSnapshot::Omits) => Reason::ClaimOmits,
        Some(ClaimSnapshot::Leaving) => return stands(case, lease, KeepReason::Leaving),
        // A run that finds that no maker is at work makes the list of what names the claim.
        Some(ClaimSnapshot::Unmade) => return stands(case, lease, KeepReason::Young),
        Some(ClaimSnapshot::Lists | ClaimSnapshot::Unknown) | None => return Judgment::Fine,
    };
    if case.is_reported_by_last_holder(lease) {
        return Keep::unmarked(KeepReason::Reported);
    }
    // Its maker may be about to list it.
    let wait = case.options.add_timeout;
    case.due_after(lease, reason, wait, KeepReason::Young)
}

/// One that is kept, and for how long it has been so counts.
fn stands(case: &Case<'_>, lease: &LeaseSnapshot, why: KeepReason) -> Judgment {
    match case.mark(lease) {
        Some(mark) => Keep::marked(why, mark),
        None => Keep::unmarked(why),
    }
}

/// Whether live reads show the same.
pub(super) fn confirm(reason: &Reason, live: &Live) -> Result<(), KeepReason> {
    match (reason, live.claim) {
        (Reason::ClaimGone, Some(ClaimSnapshot::Gone))
        | (Reason::ClaimOmits, Some(ClaimSnapshot::Omits)) => Ok(()),
        _ => Err(KeepReason::Claimed),
    }
}

#[cfg(test)]
mod tests;
