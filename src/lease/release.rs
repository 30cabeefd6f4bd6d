//! Giving an address back: exactly the lease that was judged, and only by its holder.

use jiff::Timestamp;

use super::record::{Lease, StoredLease};
use super::retrying::{Clock, Retrying, backoff};
use super::store::{Commit, Store};
use super::{Error, State};

/// What became of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// The address is free, cooling or kept for its claim.
    Released,
    /// This attachment does not hold it: another does, or nobody any more.
    NotHeld,
}

/// Releases the lease that was seen if (container, interface) holds it, and no other.
///
/// A version that changed meanwhile is read and judged again. Neither pool nor claim is read: what
/// becomes of the address stands in its lease.
pub async fn release<S: Store, C: Clock>(
    desk: &Retrying<'_, S, C>,
    mut seen: StoredLease,
    container: &str,
    interface: &str,
) -> Result<Released, Error> {
    let mut pauses = backoff();
    loop {
        if !seen.is_held_by(container, interface) {
            return Ok(Released::NotHeld);
        }
        let now = desk.clock.now();
        let next = released(&seen.lease, now);
        let done = if next.has_cooled(now) {
            desk.delete(&seen).await?
        } else {
            matches!(desk.replace(&seen, &next).await?, Commit::Won(_))
        };
        if done {
            return Ok(Released::Released);
        }
        desk.step_back(&mut pauses).await?;
        match desk.read(&seen.lease.name).await? {
            Some(newer) => seen = newer,
            None => return Ok(Released::Released),
        }
    }
}

/// A lease after its release: kept for its claim, else cooling.
#[must_use]
pub fn released(lease: &Lease, now: Timestamp) -> Lease {
    let state = match lease.claim {
        Some(_) => State::Retained,
        None => State::Cooling,
    };
    // The last holder stands on: while it cools, the same pod may take it back at once.
    Lease {
        state,
        released_at: Some(now),
        gone_since: None,
        ..lease.clone()
    }
}
