//! What pools are chosen from, and the choice on it.
//!
//! Reads the objects, and [`select`] decides. Needs nothing that only a running pod
//! has, so the choice for a pod that does not exist yet can be explained too.
//!
//! All objects are read at once. That includes the Subnets: routes of a Subnet are added to those
//! of any pool, so which pools inherit is known only once both are there, and a list of none costs
//! the API server 0.6 ms.

use crate::api::{IPPool, ReservedIP, Subnet};
use crate::lease::Freshness;
use crate::pool::{InvalidReservedIP, Pools};
use crate::retry::{self, ApiError, Clock, Retrying};
use crate::select::{self, Facts, ObjectMetadata, PodFacts, Request, Selection};

/// The objects that a choice of pools depends on.
///
/// Each call is one request and does not retry.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait Objects {
    /// Labels and annotations of a namespace.
    async fn namespace(
        &self,
        name: &str,
        freshness: Freshness,
    ) -> Result<Option<ObjectMetadata>, ApiError>;
    /// Labels and annotations of a node.
    async fn node(
        &self,
        name: &str,
        freshness: Freshness,
    ) -> Result<Option<ObjectMetadata>, ApiError>;
    /// All pools.
    async fn pools(&self, freshness: Freshness) -> Result<Vec<IPPool>, ApiError>;
    /// All reserved addresses.
    async fn reserved(&self, freshness: Freshness) -> Result<Vec<ReservedIP>, ApiError>;
    /// All subnets.
    async fn subnets(&self, freshness: Freshness) -> Result<Vec<Subnet>, ApiError>;
}

/// What was read for the pods of one namespace.
#[derive(Debug, Clone)]
pub struct ClusterObjects {
    /// How old they may be.
    pub freshness: Freshness,
    /// The namespace's labels and annotations.
    pub namespace: ObjectMetadata,
    /// All pools.
    pub pools: Vec<IPPool>,
    /// All reserved addresses.
    pub reserved: Vec<ReservedIP>,
    /// All subnets.
    pub subnets: Vec<Subnet>,
}

/// Why no pools were chosen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something could not be read.
    #[error(transparent)]
    Retry(#[from] retry::Error),
    /// A ReservedIP cannot be read, so it is unknown which addresses are reserved.
    #[error("correct {0}: until then no address can be given, because what is reserved is unknown")]
    Reserved(InvalidReservedIP),
    /// No pool fits, or what says which pools fit is malformed.
    #[error(transparent)]
    Select(#[from] select::Error),
}

/// Reads the objects for a pod of `namespace`, all at once.
pub async fn objects<A: Objects, C: Clock>(
    cluster: &Retrying<'_, A, C>,
    namespace: &str,
    freshness: Freshness,
) -> Result<ClusterObjects, retry::Error> {
    let api = cluster.api;
    let (found, pools, reserved, subnets) = tokio::try_join!(
        cluster.retry(async || api.namespace(namespace, freshness).await),
        cluster.retry(async || api.pools(freshness).await),
        cluster.retry(async || api.reserved(freshness).await),
        cluster.retry(async || api.subnets(freshness).await),
    )?;
    let found = match found {
        // Unless the call is late, a pod is in it: a cache that does not know it lags.
        None if freshness == Freshness::Cached => {
            let now = Freshness::Consistent;
            cluster
                .retry(async || api.namespace(namespace, now).await)
                .await?
        }
        found => found,
    };
    Ok(ClusterObjects {
        freshness,
        namespace: found.unwrap_or_default(),
        pools,
        reserved,
        subnets,
    })
}

/// Chooses pools for a pod on objects of any age. If none fits, or only default pools do, because
/// nothing names a pool, it decides again on consistent reads: what was written a moment ago may
/// name one.
///
/// `resumes` says whether the pod may have an address already, in a pool that gives no new ones.
pub async fn choose<A: Objects, C: Clock>(
    cluster: &Retrying<'_, A, C>,
    pod: &PodFacts,
    request: &Request,
    resumes: bool,
    read: ClusterObjects,
) -> Result<Selection, Error> {
    let is_cached = read.freshness == Freshness::Cached;
    let chosen = choose_on(cluster, pod, request, resumes, read).await;
    let is_doubtful = match &chosen {
        Ok(selection) => selection.has_default_pools(),
        Err(Error::Select(error)) => error.depends_on_pools(),
        Err(Error::Retry(_) | Error::Reserved(_)) => false,
    };
    if !is_cached || !is_doubtful {
        return chosen;
    }
    let now = objects(cluster, &pod.namespace, Freshness::Consistent).await?;
    choose_on(cluster, pod, request, resumes, now).await
}

async fn choose_on<A: Objects, C: Clock>(
    cluster: &Retrying<'_, A, C>,
    pod: &PodFacts,
    request: &Request,
    resumes: bool,
    objects: ClusterObjects,
) -> Result<Selection, Error> {
    let ClusterObjects {
        freshness,
        namespace,
        pools,
        reserved,
        subnets,
    } = objects;
    let pools = Pools::read(pools, &subnets, &reserved, &request.vrf).map_err(Error::Reserved)?;
    let node = if select::needs_node(pod, &pools, &request.vrf) {
        let read = async || cluster.api.node(&pod.node, freshness).await;
        cluster.retry(read).await?
    } else {
        None
    };
    let facts = Facts {
        pod: pod.clone(),
        namespace,
        node_labels: node.map(|node| node.labels),
    };
    let selection = select::select(&facts, &pools, request)?;
    Ok(selection.settle(|choice| resumes || choice.set.is_some())?)
}
