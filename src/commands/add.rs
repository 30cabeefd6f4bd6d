//! ADD: an address of each family for a pod's interface, or none.

use ipnet::IpNet;

use super::error::Error;
use super::facts::{self, FitPod, World};
use super::notes::{Note, Notes};
use super::sandbox;
use crate::api::Pools;
use crate::cni::{self, Answer, Attach, Given};
use crate::lease::{self, Attachment, Bid, Clock, Desk, Freshness, Grant, Holder, Patience};
use crate::routes::Route;
use crate::select::{self, FamilyChoice, Selection, Wishes};

/// How much of an error's details may be about the choice of pools, in bytes: an event of the pod has room for 1,024.
const TRACE: usize = 300;

/// Reads the facts, selects the pools, takes the leases, answers.
pub async fn add<W: World, C: Clock>(
    call: &Attach,
    world: &W,
    clock: &C,
    notes: &Notes,
) -> Result<Answer, Error> {
    let exists = || sandbox::exists(&call.netns);
    let desk = Desk::new(world, clock, Patience::until(call.config.timeout), &exists);
    // A note that this container's addresses were released would be untrue from the first write on.
    notes
        .forget(&call.container, &call.interface)
        .map_err(Error::Note)?;
    let pod = facts::fit(
        &call.pod,
        desk.ask(async || world.pod(&call.pod).await).await?,
    )?;
    let selection = choose(call, &pod, world, &desk).await?;
    let grants = take(call, &pod, clock, &desk, &selection).await?;
    let names = grants
        .iter()
        .map(|grant| grant.seen.lease.name.clone())
        .collect();
    notes.leave(&call.container, &call.interface, &Note::Holds(names));
    Ok(answer(&selection, &grants))
}

/// The pools for this pod. What does not fit on reads of any age is looked at as of now before it fails.
async fn choose<W: World, C: Clock>(
    call: &Attach,
    pod: &FitPod,
    world: &W,
    desk: &Desk<'_, W, C>,
) -> Result<Selection, Error> {
    match select_on(call, pod, world, desk, Freshness::Cached).await {
        Err(Error::Select(error)) if error.depends_on_pools() => {
            select_on(call, pod, world, desk, Freshness::Consistent).await
        }
        outcome => outcome,
    }
}

async fn select_on<W: World, C: Clock>(
    call: &Attach,
    pod: &FitPod,
    world: &W,
    desk: &Desk<'_, W, C>,
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
    let facts = facts::of(call, pod, namespace.unwrap_or_default(), node);
    let wishes = Wishes::of(&call.config, call.interface.as_ref(), &call.requested)?;
    let selection = select::select(&facts, &pools, &wishes)?;
    Ok(selection.settle(|_| pod.seen.had_sandbox)?)
}

async fn take<W: World, C: Clock>(
    call: &Attach,
    pod: &FitPod,
    clock: &C,
    desk: &Desk<'_, W, C>,
    selection: &Selection,
) -> Result<Vec<Grant>, Error> {
    let who = Attachment {
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
    let bids: Vec<Bid<'_>> = selection.families.iter().map(bid).collect();
    lease::take(desk, &who, &bids)
        .await
        .map_err(|error| Error::Lease {
            error,
            trace: selection.trace.summary(TRACE),
            unsettled: desk.unsettled.take(),
        })
}

fn bid(choice: &FamilyChoice) -> Bid<'_> {
    Bid {
        family: choice.family,
        candidates: &choice.candidates,
        resumable: &choice.resumable,
        exactly: choice.exactly.clone(),
    }
}

fn answer(selection: &Selection, grants: &[Grant]) -> Answer {
    let given = |grant: &Grant| Given {
        address: IpNet::new_assert(
            grant.seen.lease.name.address,
            grant.pool.subnet.prefix_len(),
        ),
        gateway: selection.routing.gateway(&grant.pool),
    };
    let routes = selection
        .routing
        .routes(grants.iter().map(|grant| &*grant.pool));
    let told = |route: Route| cni::Route {
        dst: route.dst,
        gw: Some(route.gw),
    };
    Answer {
        ips: grants.iter().map(given).collect(),
        routes: routes.into_iter().map(told).collect(),
    }
}
