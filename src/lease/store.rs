//! Where the leases are: a narrow trait, so that the protocol can be walked through without a network.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::record::{Lease, LeaseName, StoredLease};
use crate::allocate::Taken;
use crate::ip::PoolName;
use crate::ip::Vrf;

/// What became of a write.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a process has a handful of them")]
pub enum Commit {
    /// It is done, and this is what stands there now.
    Won(StoredLease),
    /// Something else stands there: an object of that name, another version of it, or none.
    Lost,
}

/// How old a read may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// From the API server's watch cache, of any age: for what a compare-and-swap decides anyway.
    Cached,
    /// As of now.
    Consistent,
}

/// Whose leases a list of what is taken covers.
#[derive(Debug, Clone, Copy)]
pub enum ListScope<'a> {
    /// Those that came out of this pool.
    Pool(&'a PoolName),
    /// All of a vrf: where pools overlap, an address of the one may be held out of the other.
    Vrf(&'a Vrf),
}

/// Whose leases are looked for.
#[derive(Debug, Clone, Copy)]
pub enum LeaseFilter<'a> {
    /// The pod of this uid.
    Pod(&'a str),
    /// The sandbox of this id.
    Container(&'a str),
    /// The node of this name.
    Node(&'a str),
}

/// The leases of a cluster, kept by its API server.
///
/// Each call is one request and does not retry: [`Retrying`](super::Retrying) does.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait Store {
    /// The lease of that name as of now.
    async fn read(&self, name: &LeaseName) -> Result<Option<StoredLease>, ApiError>;
    /// Makes a lease where there is none of its name.
    async fn create(&self, lease: &Lease) -> Result<Commit, ApiError>;
    /// Puts `lease` in the place of exactly the version that was seen.
    async fn replace(&self, seen: &StoredLease, lease: &Lease) -> Result<Commit, ApiError>;
    /// Deletes exactly the version that was seen. `false`: another version stands there, or none.
    async fn delete(&self, seen: &StoredLease) -> Result<bool, ApiError>;
    /// Which addresses have a lease, with as little of each as choosing needs.
    async fn taken(
        &self,
        scope: ListScope<'_>,
        freshness: Freshness,
    ) -> Result<Vec<Taken>, ApiError>;
    /// The leases of somebody, as of now.
    async fn find(&self, whose: LeaseFilter<'_>) -> Result<Vec<StoredLease>, ApiError>;
}

/// A request that was not served.
#[derive(Debug)]
pub struct ApiError {
    /// What was asked of whom: `GET https://10.0.0.1:6443/api/v1/…`.
    pub request: String,
    /// What follows from it.
    pub kind: ErrorKind,
    /// What went wrong.
    pub source: Box<dyn StdError + Send + Sync>,
}

/// What follows from a request that was not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may have been carried out or not; another attempt is worth it, after the time that the server asks for.
    Transient(Option<Duration>),
    /// The list was begun too long ago to go on with: it has to be begun again.
    Expired,
    /// Who asked is not known, or may not: `401` and `403`.
    Denied,
    /// The server does not know the kind.
    NotInstalled,
    /// What leads to the server (a kubeconfig) is missing or cannot be read.
    NoCredentials,
    /// The server finds fault with the request itself.
    Refused,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.kind {
            ErrorKind::Transient(_) => "was not answered",
            ErrorKind::Expired => "goes on with a list that has expired",
            ErrorKind::Denied => "was denied",
            ErrorKind::NotInstalled => {
                "names a kind that the API server does not know: leasehold's crds/ are not applied"
            }
            // Nothing was sent.
            ErrorKind::NoCredentials => return f.write_str("there is no way to the API server"),
            ErrorKind::Refused => "was refused",
        };
        write!(f, "{} {fate}", self.request)
    }
}

impl StdError for ApiError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}
