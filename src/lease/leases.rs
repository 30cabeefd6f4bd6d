//! The leases as the protocol uses them: each request repeated until the answer is definite.

use super::record::{Lease, LeaseName, StoredLease};
use super::store::{Claims, Commit, Freshness, LeaseFilter, ListScope, Peek, Replicas, Store};
use crate::allocate::Taken;
use crate::api::{ClaimOwner, IPClaim, IPClaimStatus};
use crate::claim::{Claim, ClaimName};
use crate::retry::{self, AfterLoss, Clock, Error, Retrying, WriteError};

impl<S: Store, C: Clock> Retrying<'_, S, C> {
    /// The lease of that name.
    pub async fn read(&self, name: &LeaseName) -> Result<Option<StoredLease>, Error> {
        self.retry(async || self.api.read(name).await).await
    }

    /// The leases of these names, of any age.
    pub async fn peek(&self, names: &[LeaseName]) -> Result<Vec<Peek>, Error> {
        self.retry(async || self.api.peek(names).await).await
    }

    /// Which addresses have a lease.
    pub async fn taken(
        &self,
        scope: ListScope<'_>,
        freshness: Freshness,
    ) -> Result<Vec<Taken>, Error> {
        self.retry(async || self.api.taken(scope, freshness).await)
            .await
    }

    /// The leases of a pod, a sandbox, a node or a claim, by a consistent read.
    pub async fn find(&self, filter: LeaseFilter<'_>) -> Result<Vec<StoredLease>, Error> {
        self.find_at(filter, Freshness::Consistent).await
    }

    /// The same, read as freshly as that.
    pub async fn find_at(
        &self,
        filter: LeaseFilter<'_>,
        freshness: Freshness,
    ) -> Result<Vec<StoredLease>, Error> {
        self.retry(async || self.api.find(filter, freshness).await)
            .await
    }

    /// Creates a lease where there is none. After an attempt of unknown outcome, a stored lease
    /// with what we wrote is ours: a holder names its container.
    pub async fn create(&self, lease: &Lease) -> Result<Commit, WriteError> {
        let write = async || self.api.create(lease).await;
        self.settle(write, async || {
            Ok(match self.api.read(&lease.name).await? {
                Some(stored) if is_what_we_wrote(&stored, lease) => AfterLoss::Ours(stored),
                Some(_) => AfterLoss::Lost,
                // Who had it has gone, and the write may arrive yet.
                None => AfterLoss::Again,
            })
        })
        .await
    }

    /// Replaces exactly the version that was read, settled like [`Self::create`].
    pub async fn replace(&self, before: &StoredLease, lease: &Lease) -> Result<Commit, WriteError> {
        let write = async || self.api.replace(before, lease).await;
        self.settle(write, async || {
            Ok(match self.api.read(&lease.name).await? {
                Some(stored) if is_what_we_wrote(&stored, lease) => AfterLoss::Ours(stored),
                // The version that the write names has gone, and never comes back.
                Some(_) | None => AfterLoss::Lost,
            })
        })
        .await
    }

    /// Deletes exactly the version that was read; `false` where another version is stored, or none.
    pub async fn delete(&self, stored: &StoredLease) -> Result<bool, Error> {
        self.retry(async || self.api.delete(stored).await).await
    }
}

impl<S: Claims, C: Clock> Retrying<'_, S, C> {
    /// The claim of that name.
    pub async fn read_claim(&self, name: &ClaimName) -> Result<Option<Claim>, Error> {
        self.retry(async || self.api.read_claim(name).await).await
    }

    /// Creates a claim where there is none of its name. Whose call has made one does not matter.
    pub async fn create_claim(
        &self,
        name: &ClaimName,
        claim: &IPClaim,
    ) -> Result<retry::Commit<Claim>, WriteError> {
        let write = async || self.api.create_claim(claim).await;
        self.settle(write, async || {
            Ok(match self.api.read_claim(name).await? {
                Some(_) => AfterLoss::Lost,
                None => AfterLoss::Again,
            })
        })
        .await
    }

    /// Replaces the status of exactly the version that was read. After an attempt of unknown
    /// outcome, a stored status that is the written one is ours; a changed one may contain it.
    pub async fn replace_claim_status(
        &self,
        before: &Claim,
        status: &IPClaimStatus,
    ) -> Result<retry::Commit<Claim>, WriteError> {
        let write = async || self.api.replace_claim_status(before, status).await;
        self.settle(write, async || {
            Ok(match self.api.read_claim(&before.name).await? {
                Some(stored) if stored.object.status.as_ref() == Some(status) => {
                    AfterLoss::Ours(stored)
                }
                Some(_) | None => AfterLoss::Lost,
            })
        })
        .await
    }

    /// How many pods an application is to have.
    pub async fn replicas(
        &self,
        namespace: &str,
        application: &ClaimOwner,
    ) -> Result<Replicas, Error> {
        self.retry(async || self.api.replicas(namespace, application).await)
            .await
    }
}

fn is_what_we_wrote(stored: &StoredLease, lease: &Lease) -> bool {
    let (stored, written) = (&stored.lease, lease);
    stored.state == written.state
        && stored.holder == written.holder
        && stored.claim == written.claim
}
