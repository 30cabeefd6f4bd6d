//! What a lease that stands there means to whoever wants its address.

use jiff::Timestamp;

use super::super::State;
use super::super::record::{Holder, Lease};

/// What a lease means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eligibility {
    /// It is ours and says so.
    Mine,
    /// It is held by an earlier sandbox of this interface.
    Earlier,
    /// Nobody holds it and it may be taken.
    Vacant,
    /// It is not to be had.
    Taken,
}

/// Which cooling leases count as vacant. The pod's own always do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cooling {
    /// Those whose time is over.
    Cooled,
    /// Any of them: nothing else is free, or this very address was asked for.
    Any,
}

/// Judges a lease for `us`.
pub(super) fn judge(lease: &Lease, us: &Holder, cooling: Cooling, now: Timestamp) -> Eligibility {
    let own = lease
        .holder
        .as_ref()
        .is_some_and(|holder| holder.is_same_slot(us));
    match lease.state {
        State::Held if lease.holder.as_ref() == Some(us) => Eligibility::Mine,
        State::Held if own => Eligibility::Earlier,
        State::Cooling if own || cooling == Cooling::Any || lease.has_cooled(now) => {
            Eligibility::Vacant
        }
        State::Held | State::Cooling | State::Retained | State::Quarantined | State::Unknown => {
            Eligibility::Taken
        }
    }
}
