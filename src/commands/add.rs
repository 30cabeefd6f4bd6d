//! ADD: an address of each family for a pod's interface, or none.

use std::sync::Arc;

use ipnet::IpNet;

use super::error::Error;
use super::facts::{self, FitPod, World};
use super::notes::{Note, Notes};
use super::sandbox;
use crate::api::Pools;
use crate::cni::{Answer, Attach, Given, Route};
use crate::ip::Family;
use crate::lease::{self, Attachment, Bid, Clock, Desk, Freshness, Grant, Holder, Patience};
use crate::select::{self, FamilyChoice, Selection, Wishes};

/// Reads the facts, selects the pools, takes the leases, answers.
pub async fn add<W: World, C: Clock>(
    call: &Attach,
    world: &W,
    clock: &C,
    notes: &Notes,
) -> Result<Answer, Error> {
    let exists = || sandbox::exists(&call.netns);
    let desk = Desk::new(
        world,
        clock,
        Patience {
            deadline: call.config.timeout,
        },
        &exists,
    );
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
        Err(Error::Select(_)) => select_on(call, pod, world, desk, Freshness::Consistent).await,
        outcome => outcome,
    }
}

async fn select_on<W: World, C: Clock>(
    call: &Attach,
    _pod: &FitPod,
    world: &W,
    desk: &Desk<'_, W, C>,
    freshness: Freshness,
) -> Result<Selection, Error> {
    let (_namespace, written, reserved, subnets) = tokio::try_join!(
        desk.ask(async || world.namespace(&call.pod.namespace).await),
        desk.ask(async || world.pools(freshness).await),
        desk.ask(async || world.reserved(freshness).await),
        desk.ask(async || world.subnets(freshness).await),
    )?;
    let pools =
        Pools::read(written, &subnets, &reserved, &call.config.vrf).map_err(Error::Reserved)?;
    let wishes = Wishes {
        ipv4_pools: &call.config.ipv4_pools,
        ipv6_pools: &call.config.ipv6_pools,
        families: &call.config.families,
        require_dual: call.config.policy == crate::cni::FamilyPolicy::RequireDualStack,
        vrf: &call.config.vrf,
        clean_gateway: call.config.clean_gateway,
    };
    Ok(select::select(&wishes, &pools)?)
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
        vrf: call.config.vrf.clone(),
        since: clock.now(),
        returning: pod.seen.had_sandbox,
    };
    let bids: Vec<Bid<'_>> = selection
        .families
        .iter()
        .map(|choice| bid(call, choice))
        .collect();
    lease::take(desk, &who, &bids)
        .await
        .map_err(|error| Error::Lease {
            error,
            trace: selection.trace.to_string(),
            unsettled: desk.unsettled.take(),
        })
}

fn bid<'a>(call: &Attach, choice: &'a FamilyChoice) -> Bid<'a> {
    let requested = call
        .requested
        .iter()
        .find(|address| Family::of(**address) == choice.family);
    let exactly = requested.and_then(|&address| {
        let pool = choice
            .candidates
            .iter()
            .find(|pool| pool.usable.contains(address))?;
        Some((address, Arc::clone(pool)))
    });
    Bid {
        family: choice.family,
        candidates: &choice.candidates,
        resumable: &choice.disabled,
        exactly,
    }
}

fn answer(selection: &Selection, grants: &[Grant]) -> Answer {
    let mut answer = Answer::default();
    for Grant {
        seen,
        pool,
        before: _,
    } in grants
    {
        let address = seen.lease.name.address;
        let address = IpNet::new_assert(address, pool.subnet.prefix_len());
        let gateway = pool.gateway.filter(|_| !selection.clean_gateway);
        answer.ips.push(Given { address, gateway });
        answer.routes.extend(pool.routes.iter().map(|route| Route {
            dst: route.dst,
            gw: Some(route.gw),
        }));
        answer.routes.extend(gateway.map(|gw| Route {
            dst: default_route(pool.family()),
            gw: Some(gw),
        }));
    }
    answer
}

fn default_route(family: Family) -> IpNet {
    match family {
        Family::V4 => ipnet::Ipv4Net::default().into(),
        Family::V6 => ipnet::Ipv6Net::default().into(),
    }
}
