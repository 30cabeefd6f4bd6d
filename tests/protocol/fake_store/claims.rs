//! Claims: there are none yet.

use leasehold::claim::{Claim, ClaimName};
use leasehold::lease::Claims;
use leasehold::retry::ApiError;

use super::FakeStore;

impl Claims for FakeStore<'_> {
    async fn read_claim(&self, _: &ClaimName) -> Result<Option<Claim>, ApiError> {
        Ok(None)
    }
}
