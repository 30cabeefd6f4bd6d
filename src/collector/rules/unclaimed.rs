//! The claim that kept it is gone, or does not list it.

use super::{Case, Judgment, Keep, Live};
use crate::collector::reason::{KeepReason, Reason};
use crate::collector::snapshot::{ClaimSnapshot, LeaseSnapshot};

/// A lease that is kept beyond its pod. One that no claim keeps is a person's.
pub(super) fn judge(case: &Case<'_>, lease: &LeaseSnapshot) -> Judgment {
    let reason = match case.index.snapshot.claims.get(&lease.name) {
        Some(ClaimSnapshot::Gone) => Reason::ClaimGone,
        Some(ClaimSnapshot::Omits) => Reason::ClaimOmits,
        Some(ClaimSnapshot::Leaving) => {
            return match case.mark(lease) {
                Some(mark) => Keep::marked(KeepReason::Leaving, mark),
                None => Keep::unmarked(KeepReason::Leaving),
            };
        }
        Some(ClaimSnapshot::Lists | ClaimSnapshot::Unknown) | None => return Judgment::Fine,
    };
    if case.is_reported_by_last_holder(lease) {
        return Keep::unmarked(KeepReason::Reported);
    }
    // Its maker may be about to list it.
    let wait = case.options.add_timeout;
    case.due_after(lease, reason, wait, KeepReason::Young)
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
