//! Claims: there are none yet.

use leasehold::api::{ClaimOwner, IPClaim, IPClaimStatus};
use leasehold::claim::{Claim, ClaimName};
use leasehold::lease::{Claims, Replicas};
use leasehold::retry::{ApiError, Commit};

use super::FakeStore;

impl Claims for FakeStore<'_> {
    async fn read_claim(&self, _: &ClaimName) -> Result<Option<Claim>, ApiError> {
        Ok(None)
    }

    async fn create_claim(&self, _: &IPClaim) -> Result<Commit<Claim>, ApiError> {
        Ok(Commit::Lost)
    }

    async fn replace_claim_status(
        &self,
        _: &Claim,
        _: &IPClaimStatus,
    ) -> Result<Commit<Claim>, ApiError> {
        Ok(Commit::Lost)
    }

    async fn replicas(&self, _: &str, _: &ClaimOwner) -> Result<Replicas, ApiError> {
        Ok(Replicas::NotFound)
    }
}
