//! The time after its release is over. No pod has it: that takes no mark and no proof.

use super::{Due, Judgment};
use crate::collector::now::Now;
use crate::collector::reason::Reason;
use crate::collector::snapshot::LeaseSnapshot;

/// A lease that is cooling.
pub(super) fn judge(lease: &LeaseSnapshot, now: Now) -> Judgment {
    if !lease.over.is_some_and(|over| now.has_come(over)) {
        return Judgment::Fine;
    }
    let (reason, mark) = (Reason::Cooled, None);
    Due { reason, mark }.into()
}
