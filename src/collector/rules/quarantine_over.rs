//! Its quarantine is over. No pod has it: that takes no mark and no proof.

use super::{Due, Judgment};
use crate::collector::now::Now;
use crate::collector::reason::Reason;
use crate::collector::snapshot::LeaseSnapshot;

/// A lease in quarantine.
pub(super) fn judge(lease: &LeaseSnapshot, now: Now) -> Judgment {
    if !lease.over.is_some_and(|over| now.has_come(over)) {
        return Judgment::Fine;
    }
    let (reason, mark) = (Reason::QuarantineOver, None);
    Due { reason, mark }.into()
}
