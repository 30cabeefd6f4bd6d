//! What a stored lease means to a pod that wants its address.

use jiff::Timestamp;

use super::super::record::StoredLease;
use super::super::{Holder, State};

/// What a lease means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eligibility {
    /// It is ours and says so.
    Mine,
    /// It is held by an earlier sandbox of this interface.
    Earlier,
    /// No pod holds it, and it may be taken.
    Vacant,
    /// It is ours from an attachment that failed: another address is better.
    Avoided,
    /// It is not available.
    Taken,
}

/// Which cooling leases count as vacant. The pod's own always do, but for those whose attachment
/// failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cooling {
    /// Those whose time is over.
    Cooled,
    /// Any of them: nothing else is free.
    Any,
    /// Those too whose attachment failed: nothing else is there, or this very address was asked
    /// for.
    Failed,
}

/// Judges a lease for `us`. One that is being deleted is on its way to being absent, whichever pod
/// holds it then.
pub(super) fn judge(
    stored: &StoredLease,
    us: &Holder,
    cooling: Cooling,
    now: Timestamp,
) -> Eligibility {
    if stored.is_being_deleted() {
        return Eligibility::Taken;
    }
    let lease = &stored.lease;
    let own = lease
        .holder
        .as_ref()
        .is_some_and(|holder| holder.is_same_slot(us));
    match lease.state {
        State::Held
            if lease
                .holder
                .as_ref()
                .is_some_and(|holder| holder.is_same(us)) =>
        {
            Eligibility::Mine
        }
        State::Held if own => Eligibility::Earlier,
        State::Cooling if own && lease.attachment_failed && cooling != Cooling::Failed => {
            Eligibility::Avoided
        }
        State::Cooling if own || cooling != Cooling::Cooled || lease.has_cooled(now) => {
            Eligibility::Vacant
        }
        State::Held | State::Cooling | State::Retained | State::Quarantined | State::Unknown => {
            Eligibility::Taken
        }
    }
}
