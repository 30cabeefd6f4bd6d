//! Giving an address back: exactly the lease that was judged, and only by its holder.

use jiff::Timestamp;

use super::desk::{Clock, Desk, backoff};
use super::record::{Lease, Seen};
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
    desk: &Desk<'_, S, C>,
    mut seen: Seen,
    container: &str,
    interface: &str,
) -> Result<Released, Error> {
    let mut pauses = backoff();
    loop {
        if !seen.is_held_by(container, interface) {
            return Ok(Released::NotHeld);
        }
        let done = match after(&seen.lease, desk.clock.now()) {
            None => desk.delete(&seen).await?,
            Some(next) => matches!(desk.replace(&seen, &next).await?, Commit::Won(_)),
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

/// What a lease is after its release: kept for its claim, else cooling, else (`None`) gone.
#[must_use]
pub fn after(lease: &Lease, now: Timestamp) -> Option<Lease> {
    let state = match (&lease.claim, lease.cooldown.is_zero()) {
        (Some(_), _) => State::Retained,
        (None, false) => State::Cooling,
        (None, true) => return None,
    };
    // The last holder stands on: while it cools, the same pod may take it back at once.
    Some(Lease {
        state,
        released_at: Some(now),
        ..lease.clone()
    })
}
