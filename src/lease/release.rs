//! Giving an address back: exactly the lease that was judged, and only by its holder.

use jiff::Timestamp;

use super::State;
use super::record::{Lease, StoredLease};
use super::store::{Commit, Store};
use crate::retry::{Clock, Error, Retrying, backoff};

/// What became of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// The address is free, cooling or kept for its claim.
    Released,
    /// This attachment does not hold it: another does, or none any more.
    NotHeld,
}

/// Releases the lease that was read if (container, interface) holds it, and no other.
///
/// A version that changed meanwhile is read and judged again. Neither pool nor claim is read: what
/// becomes of the address is written in its lease. That the attachment failed is, too.
pub async fn release<S: Store, C: Clock>(
    leases: &Retrying<'_, S, C>,
    mut stored: StoredLease,
    container: &str,
    interface: &str,
    attachment_failed: bool,
) -> Result<Released, Error> {
    let mut pauses = backoff();
    loop {
        if !stored.is_held_by(container, interface) {
            return Ok(Released::NotHeld);
        }
        let now = leases.clock.now();
        let mut next = released(&stored.lease, now);
        next.attachment_failed = attachment_failed && next.state == State::Cooling;
        // Without its lease, the pod's next attempt would not know that this one failed.
        let done = if next.has_cooled(now) && !next.attachment_failed {
            leases.delete(&stored).await?
        } else {
            match leases.replace(&stored, &next).await? {
                Commit::Won(stored) => {
                    stored.check_whole()?;
                    true
                }
                Commit::Lost => false,
            }
        };
        if done {
            return Ok(Released::Released);
        }
        leases.back_off(&mut pauses).await?;
        match leases.read(&stored.lease.name).await? {
            Some(newer) => stored = newer,
            None => return Ok(Released::Released),
        }
    }
}

/// A kept lease that nothing keeps any more: it cools for the rest of its time, or goes at once
/// (`None`).
#[must_use]
pub fn given_up(lease: &Lease, now: Timestamp) -> Option<Lease> {
    let cooling = Lease {
        state: State::Cooling,
        claim: None,
        ..lease.clone()
    };
    // One that was never released was never held.
    (cooling.released_at.is_some() && !cooling.has_cooled(now)).then_some(cooling)
}

/// A lease after its release: kept for its claim, else cooling.
#[must_use]
pub fn released(lease: &Lease, now: Timestamp) -> Lease {
    let state = match lease.claim {
        Some(_) => State::Retained,
        None => State::Cooling,
    };
    // The last holder stays: while it cools, the same pod may take it back at once.
    Lease {
        state,
        released_at: Some(now),
        ..lease.clone()
    }
}
