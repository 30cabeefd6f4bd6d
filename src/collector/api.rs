//! What the collector asks of the API server, as a trait.

use jiff::Timestamp;

use super::snapshot::{ClaimSnapshot, LeaseSnapshot, NodeSnapshot, PodSnapshot};
use crate::api::{IPPool, ReservedIP, Subnet};
use crate::lease::Store;
use crate::retry::ApiError;

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// What to ask for the next one with; `None`: this is the last.
    pub next: Option<String>,
}

/// The cluster, as the collector looks at it.
///
/// Each call is one request and does not retry. Lists are consistent and come in pages of at most 500 objects; `after` is
/// what the page before said. What is not understood of an object is left out of it, so that one strange object does not
/// spoil a list.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait Api: Store {
    /// All leases.
    async fn leases(&self, after: Option<&str>) -> Result<Page<LeaseSnapshot>, ApiError>;
    /// All pods.
    async fn pods(&self, after: Option<&str>) -> Result<Page<PodSnapshot>, ApiError>;
    /// All nodes with their names.
    async fn nodes(&self, after: Option<&str>) -> Result<Page<(Box<str>, NodeSnapshot)>, ApiError>;
    /// The last heartbeat of each node.
    async fn heartbeats(
        &self,
        after: Option<&str>,
    ) -> Result<Page<(Box<str>, Timestamp)>, ApiError>;
    /// All pools.
    async fn pools(&self, after: Option<&str>) -> Result<Page<IPPool>, ApiError>;
    /// All reserved addresses.
    async fn reserved(&self, after: Option<&str>) -> Result<Page<ReservedIP>, ApiError>;
    /// All subnets.
    async fn subnets(&self, after: Option<&str>) -> Result<Page<Subnet>, ApiError>;

    /// One pod as of now.
    async fn pod(&self, namespace: &str, name: &str) -> Result<Option<PodSnapshot>, ApiError>;
    /// One node as of now.
    async fn node(&self, name: &str) -> Result<Option<NodeSnapshot>, ApiError>;
    /// The last heartbeat of one node as of now.
    async fn heartbeat(&self, node: &str) -> Result<Option<Timestamp>, ApiError>;
    /// What the claim that keeps this lease says of it now.
    async fn claim(&self, lease: &LeaseSnapshot) -> Result<ClaimSnapshot, ApiError>;
    /// One pool as of now.
    async fn pool(&self, name: &str) -> Result<Option<IPPool>, ApiError>;

    /// Writes the status of exactly this version of a pool. `false`: another version stands there, or none.
    async fn write_status(&self, pool: &IPPool) -> Result<bool, ApiError>;
    /// Makes a ReservedIP, or replaces exactly the version that it names. `false`: something else stands there.
    async fn reserve(&self, object: &ReservedIP) -> Result<bool, ApiError>;
    /// Deletes exactly this version of a ReservedIP. `false`: another stands there, or none.
    async fn unreserve(&self, object: &ReservedIP) -> Result<bool, ApiError>;

    /// What the API server's clock showed with its last answer.
    fn server_time(&self) -> Option<Timestamp>;
}
