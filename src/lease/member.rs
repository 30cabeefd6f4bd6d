//! A member of a set, as it is made.

use std::time::Duration;

use super::State;
use super::record::{Lease, LeaseName};
use crate::api::ClaimRef;
use crate::pool::Pool;

impl Lease {
    /// A member of a set that no pod has had yet.
    #[must_use]
    pub fn of_a_member(name: LeaseName, pool: &Pool, claim: ClaimRef) -> Self {
        Self {
            name,
            pool: pool.name.clone(),
            state: State::Retained,
            holder: None,
            co_holder: None,
            claim: Some(claim),
            cooldown: pool.cooldown,
            termination: Duration::ZERO,
            held_since: None,
            released_at: None,
            quarantined_until: None,
            foreign_mac: None,
            attachment_failed: false,
        }
    }
}
