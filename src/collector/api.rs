//! What the collector asks of the API server, as a trait.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::compact::{SharedTexts, Uid};
use super::snapshot::{
    ApplicationSnapshot, ClaimSnapshot, LeaseSnapshot, NodeSnapshot, PodSnapshot, StatefulSetName,
    StatefulSetSnapshot,
};
use crate::api::{ClaimOwner, IPClaim, IPPool, ReservedIP, Subnet};
use crate::claim::{Claim, ClaimName};
use crate::lease::Store;
use crate::retry::ApiError;
use crate::select::{Labels, ObjectMetadata};

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// All of it in one answer: every supported API server has that in its watch cache, but a
    /// minute at most to send it.
    Whole,
    /// Its first page. API servers before 1.34 read pages from etcd itself.
    First,
    /// The page after the one whose `next` this is.
    After(&'a str),
}

/// A part of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The objects on it that could not be read, each with what is wrong with it.
    pub unreadable: Vec<String>,
    /// What to ask for the next one with; `None`: this is the last.
    pub next: Option<String>,
}

/// A ConfigMap of the collector's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigMapSnapshot {
    /// Its `resourceVersion`; `None`: there is none of its name.
    pub version: Option<String>,
    /// Its `data`.
    pub data: BTreeMap<String, String>,
}

/// An Event to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub regarding: Regarding,
    /// One word, in the form of Kubernetes: `LeasesKept`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// What an Event is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Regarding {
    /// A pool.
    Pool {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// A Subnet.
    Subnet {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// A node.
    Node {
        /// Its name.
        name: String,
    },
}

/// The cluster, as the collector reads and writes it.
///
/// Each call is one request and does not retry. Lists are consistent, and their pages have at most
/// 500 objects. An object that can't be read spoils no list.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait Api: Store {
    /// All leases. One that can't be read is there too, in the state `Unknown`, if its name is an
    /// address.
    async fn leases(
        &self,
        part: Part<'_>,
        texts: &SharedTexts,
    ) -> Result<Page<LeaseSnapshot>, ApiError>;
    /// All pods. One that can't be read is there too, alive and without addresses.
    async fn pods(
        &self,
        part: Part<'_>,
        texts: &SharedTexts,
    ) -> Result<Page<PodSnapshot>, ApiError>;
    /// All nodes with their names. One that can't be read is there too, and not Ready.
    async fn nodes(&self, part: Part<'_>) -> Result<Page<(Box<str>, NodeSnapshot)>, ApiError>;
    /// The version of each node's heartbeat.
    async fn heartbeats(&self, part: Part<'_>) -> Result<Page<(Box<str>, Box<str>)>, ApiError>;
    /// All pools.
    async fn pools(&self, part: Part<'_>) -> Result<Page<IPPool>, ApiError>;
    /// All reserved addresses.
    async fn reserved(&self, part: Part<'_>) -> Result<Page<ReservedIP>, ApiError>;
    /// All subnets.
    async fn subnets(&self, part: Part<'_>) -> Result<Page<Subnet>, ApiError>;
    /// All claims with their names. One that can't be read is there too.
    async fn claims(&self, part: Part<'_>) -> Result<Page<(ClaimName, Option<Claim>)>, ApiError>;
    /// All StatefulSets with their names. One that can't be read is there too.
    async fn stateful_sets(
        &self,
        part: Part<'_>,
    ) -> Result<Page<(StatefulSetName, Option<StatefulSetSnapshot>)>, ApiError>;
    /// The uids of pods of which a kubelet has said since then that it could not tear them down.
    async fn failed_teardowns(&self, since: Timestamp) -> Result<HashSet<Uid>, ApiError>;

    /// One pod, read consistently.
    async fn pod(&self, namespace: &str, name: &str) -> Result<Option<PodSnapshot>, ApiError>;
    /// One node, read consistently.
    async fn node(&self, name: &str) -> Result<Option<NodeSnapshot>, ApiError>;
    /// What the claim that keeps this lease says of it now, or the StatefulSet of its slot.
    async fn claim(&self, lease: &LeaseSnapshot) -> Result<ClaimSnapshot, ApiError>;
    /// What is known of an application of a namespace.
    async fn application(
        &self,
        namespace: &str,
        application: &ClaimOwner,
    ) -> Result<ApplicationSnapshot, ApiError>;
    /// One pool, read consistently.
    async fn pool(&self, name: &str) -> Result<Option<IPPool>, ApiError>;
    /// One Subnet, read consistently.
    async fn subnet(&self, name: &str) -> Result<Option<Subnet>, ApiError>;
    /// The labels and annotations of a namespace; none where it does not exist.
    async fn namespace(&self, name: &str) -> Result<ObjectMetadata, ApiError>;
    /// The labels of a node; none where it does not exist.
    async fn node_labels(&self, name: &str) -> Result<Labels, ApiError>;
    /// A ConfigMap, read consistently.
    async fn config_map(&self, namespace: &str, name: &str) -> Result<ConfigMapSnapshot, ApiError>;

    /// Writes the status of exactly this version of a pool. `false`: another version is there, or
    /// none.
    async fn write_status(&self, pool: &IPPool) -> Result<bool, ApiError>;
    /// The same for a Subnet.
    async fn write_subnet_status(&self, subnet: &Subnet) -> Result<bool, ApiError>;
    /// Deletes exactly this version of a claim. `false`: another version is there, or none.
    async fn delete_claim(&self, claim: &IPClaim) -> Result<bool, ApiError>;
    /// Makes a ReservedIP, or replaces exactly the version that it names. `false`: another one is
    /// there.
    async fn reserve(&self, object: &ReservedIP) -> Result<bool, ApiError>;
    /// Deletes exactly this version of a ReservedIP. `false`: another is there, or none.
    async fn unreserve(&self, object: &ReservedIP) -> Result<bool, ApiError>;
    /// Makes a ConfigMap, or replaces exactly this version of it. `false`: another one is there.
    async fn write_config_map(
        &self,
        namespace: &str,
        name: &str,
        content: &ConfigMapSnapshot,
    ) -> Result<bool, ApiError>;
    /// Records an Event, in place of the last one of the same reason about the same object.
    async fn record(&self, notice: &Notice) -> Result<(), ApiError>;

    /// What the API server's clock showed with its last answer.
    fn server_time(&self) -> Option<Timestamp>;
}
