//! Where the leases are: a narrow trait, so that the protocol can be walked through without a
//! network.

use super::record::{Lease, LeaseName, StoredLease};
use crate::allocate::Taken;
use crate::api::{ClaimOwner, IPClaim, IPClaimStatus};
use crate::claim::{Claim, ClaimName};
use crate::ip::PoolName;
use crate::ip::Vrf;
use crate::retry::{self, ApiError};

/// What became of a write of a lease.
pub type Commit = retry::Commit<StoredLease>;

/// How old a read may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// From the API server's watch cache, of any age: for what a compare-and-swap decides anyway.
    Cached,
    /// As of now.
    Consistent,
}

/// Which leases a list of taken addresses covers.
#[derive(Debug, Clone, Copy)]
pub enum ListScope<'a> {
    /// Those that came out of this pool.
    Pool(&'a PoolName),
    /// Of those the ones that cool: some rows, however large the pool.
    Cooling(&'a PoolName),
    /// All of a vrf: where pools overlap, an address of the one may be held out of the other.
    Vrf(&'a Vrf),
    /// Of those the ones that cool.
    CoolingInVrf(&'a Vrf),
}

/// Which leases to find.
#[derive(Debug, Clone, Copy)]
pub enum LeaseFilter<'a> {
    /// The pod of this uid.
    Pod(&'a str),
    /// The sandbox of this id.
    Container(&'a str),
    /// The node of this name.
    Node(&'a str),
    /// Claims of this name, of whatever kind and in whatever namespace.
    Claim(&'a str),
}

/// What a cache shows under the name of a lease.
#[derive(Debug, Clone)]
pub enum Peek {
    /// Nothing.
    Absent,
    /// A lease that this version does not understand: its address is taken.
    Unreadable,
    /// A lease.
    Stored(Box<StoredLease>),
}

/// The leases of a cluster, kept by its API server.
///
/// Each call is one request, [`peek`](Store::peek) one for each name, and does not retry:
/// [`Retrying`](crate::retry::Retrying) does.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait Store: Claims {
    /// The lease of that name, read consistently.
    async fn read(&self, name: &LeaseName) -> Result<Option<StoredLease>, ApiError>;
    /// The leases of these names, of any age, each a request and all at once.
    async fn peek(&self, names: &[LeaseName]) -> Result<Vec<Peek>, ApiError>;
    /// Creates a lease where there is none of its name.
    async fn create(&self, lease: &Lease) -> Result<Commit, ApiError>;
    /// Replaces exactly the version that was read.
    async fn replace(&self, before: &StoredLease, lease: &Lease) -> Result<Commit, ApiError>;
    /// Deletes exactly the version that was read. `false`: another version is stored, or none.
    async fn delete(&self, stored: &StoredLease) -> Result<bool, ApiError>;
    /// Which addresses have a lease, with as little of each as choosing needs.
    async fn taken(
        &self,
        scope: ListScope<'_>,
        freshness: Freshness,
    ) -> Result<Vec<Taken>, ApiError>;
    /// The leases that the filter admits.
    async fn find(
        &self,
        filter: LeaseFilter<'_>,
        freshness: Freshness,
    ) -> Result<Vec<StoredLease>, ApiError>;
}

/// The claims of a cluster, kept by its API server. Each call is one request and does not retry.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait Claims {
    /// The claim of that name, read consistently.
    async fn read_claim(&self, name: &ClaimName) -> Result<Option<Claim>, ApiError>;
    /// Creates a claim where there is none of its name.
    async fn create_claim(&self, claim: &IPClaim) -> Result<retry::Commit<Claim>, ApiError>;
    /// Replaces the status of exactly the version that was read.
    async fn replace_claim_status(
        &self,
        before: &Claim,
        status: &IPClaimStatus,
    ) -> Result<retry::Commit<Claim>, ApiError>;
    /// How many pods an application is to have.
    async fn replicas(
        &self,
        namespace: &str,
        application: &ClaimOwner,
    ) -> Result<Replicas, ApiError>;
}

/// How many pods an application is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replicas {
    /// It says.
    Wanted {
        /// So many.
        replicas: u32,
        /// How many there are.
        existing: u32,
    },
    /// Its object does not exist.
    NotFound,
    /// Objects of its kind have no `/scale`, so none of them says.
    Unscalable,
}
