//! The claim that kept it is gone, or does not list it.

use super::{Case, Due, Judgment, Keep, Live};
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
    let holder = lease.holder.as_ref();
    let pod = holder.and_then(|holder| case.index.pod(&holder.uid));
    // No pod should run on it, and yet its last holder reports the address.
    if pod.is_some_and(|pod| pod.is_alive() && pod.has_address(lease.name.address)) {
        return Keep::unmarked(KeepReason::Reported);
    }
    // Its maker may be about to list it.
    if case.has_stood(lease) {
        let mark = case.marks.of(lease).cloned();
        return Due { reason, mark }.into();
    }
    match case.mark(lease) {
        Some(mark) => Keep {
            why: KeepReason::Young,
            until: mark.since.checked_add(case.options.add_timeout).ok(),
            mark: Some(mark),
        }
        .into(),
        None => Keep::unmarked(KeepReason::Young),
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
