//! ADD: an address of each family for a pod's interface, or none.

use ipnet::IpNet;

use super::error::Error;
use super::gather::{self, Api, FitPod};
use super::release_cache::{CacheEntry, ReleaseCache};
use crate::cni::{self, Add, CniResult, IpConfig};
use crate::host;
use crate::ip::Route;
use crate::lease::{
    self, AddressRequest, Allocation, Clock, Deadline, Freshness, Holder, Requester, Retrying,
};
use crate::pool::Pools;
use crate::select::{self, FamilyChoice, Request, Selection};

/// How much of an error's details may be about the choice of pools, in bytes: an event of the pod has room for 1,024.
const TRACE: usize = 300;

/// Reads the facts, selects the pools, takes the leases, answers.
pub async fn add<W: Api, C: Clock>(
    call: &Add,
    world: &W,
    clock: &C,
    cache: &ReleaseCache,
) -> Result<CniResult, Error> {
    let exists = || host::exists(&call.netns);
    let desk = Retrying::new(world, clock, Deadline::until(call.config.timeout), &exists);
    // A note that this container's addresses were released would be untrue from the first write on.
    cache
        .remove(&call.container, &call.interface)
        .map_err(Error::CacheEntry)?;
    let pod = desk.ask(async || world.pod(&call.pod).await).await?;
    let pod = gather::fit(&call.pod, pod).map_err(|why| Error::PodUnfit {
        namespace: call.pod.namespace.clone(),
        name: call.pod.name.clone(),
        why,
    })?;
    let selection = choose(call, &pod, world, &desk).await?;
    let allocations = take(call, &pod, clock, &desk, &selection).await?;
    let names = allocations
        .iter()
        .map(|allocation| allocation.seen.lease.name.clone())
        .collect();
    cache.put(&call.container, &call.interface, &CacheEntry::Holds(names));
    Ok(answer(&selection, &allocations))
}

/// The pools for this pod. What does not fit on reads of any age is looked at as of now before it fails.
async fn choose<W: Api, C: Clock>(
    call: &Add,
    pod: &FitPod,
    world: &W,
    desk: &Retrying<'_, W, C>,
) -> Result<Selection, Error> {
    match select_on(call, pod, world, desk, Freshness::Cached).await {
        Err(Error::Select(error)) if error.depends_on_pools() => {
            select_on(call, pod, world, desk, Freshness::Consistent).await
        }
        outcome => outcome,
    }
}

async fn select_on<W: Api, C: Clock>(
    call: &Add,
    pod: &FitPod,
    world: &W,
    desk: &Retrying<'_, W, C>,
    freshness: Freshness,
) -> Result<Selection, Error> {
    let (namespace, written, reserved, subnets) = tokio::try_join!(
        desk.ask(async || world.namespace(&call.pod.namespace, freshness).await),
        desk.ask(async || world.pools(freshness).await),
        desk.ask(async || world.reserved(freshness).await),
        desk.ask(async || world.subnets(freshness).await),
    )?;
    // The pod is there, and so is its namespace: a cache that knows none of that name lags.
    let namespace = if namespace.is_some() {
        namespace
    } else {
        let now = Freshness::Consistent;
        desk.ask(async || world.namespace(&call.pod.namespace, now).await)
            .await?
    };
    let pools =
        Pools::read(written, &subnets, &reserved, &call.config.vrf).map_err(Error::Reserved)?;
    let node = if select::needs_node(&pools, &call.config.vrf) {
        desk.ask(async || world.node(&pod.node).await).await?
    } else {
        None
    };
    let facts = gather::of(call, pod, namespace.unwrap_or_default(), node);
    let request = Request::of(&call.config, call.interface.as_ref(), &call.requested)?;
    let selection = select::select(&facts, &pools, &request)?;
    Ok(selection.settle(|_| pod.seen.had_sandbox)?)
}

async fn take<W: Api, C: Clock>(
    call: &Add,
    pod: &FitPod,
    clock: &C,
    desk: &Retrying<'_, W, C>,
    selection: &Selection,
) -> Result<Vec<Allocation>, Error> {
    let who = Requester {
        holder: Holder {
            namespace: call.pod.namespace.clone(),
            pod: call.pod.name.clone(),
            uid: pod.uid.clone(),
            node: pod.node.clone(),
            container: call.container.to_string(),
            interface: call.interface.to_string(),
            network: call.network.clone(),
        },
        termination: pod.seen.termination,
        vrf: call.config.vrf.clone(),
        since: clock.now(),
        returning: pod.seen.had_sandbox,
    };
    let bids: Vec<AddressRequest<'_>> = selection.families.iter().map(bid).collect();
    lease::take(desk, &who, &bids)
        .await
        .map_err(|error| Error::Lease {
            error,
            trace: selection.trace.summary(TRACE),
            unsettled: desk.unsettled.take(),
        })
}

fn bid(choice: &FamilyChoice) -> AddressRequest<'_> {
    AddressRequest {
        family: choice.family,
        candidates: &choice.candidates,
        resumable: &choice.resumable,
        requested: choice.requested.clone(),
    }
}

fn answer(selection: &Selection, allocations: &[Allocation]) -> CniResult {
    let given = |allocation: &Allocation| IpConfig {
        address: IpNet::new_assert(
            allocation.seen.lease.name.address,
            allocation.pool.subnet.prefix_len(),
        ),
        gateway: selection.routing.gateway(&allocation.pool),
    };
    let routes = selection
        .routing
        .routes(allocations.iter().map(|allocation| &*allocation.pool));
    let told = |route: Route| cni::Route {
        dst: route.dst,
        gw: Some(route.gw),
    };
    CniResult {
        ips: allocations.iter().map(given).collect(),
        routes: routes.into_iter().map(told).collect(),
    }
}
