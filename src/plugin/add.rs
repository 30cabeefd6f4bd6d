//! ADD: an address of each family for a pod's interface, or none.

use ipnet::IpNet;

use super::api::Api;
use super::error::Error;
use super::hint_file::HintFiles;
use super::pod::BoundPod;
use super::release_cache::{CacheEntry, ReleaseCache};
use super::sets;
use crate::annotations::{self, Found};
use crate::claim::{Claim, ClaimName, PodIdentity, Unusable};
use crate::cni::{Add, CniResult, IpConfig};
use crate::gather::{self, ClusterObjects};
use crate::host;
use crate::lease::{
    self, AcquireError, AddressRequest, Allocation, ClaimRef, Freshness, Holder, Requester,
    SetRequest, Sets,
};
use crate::retry::{Clock, Deadline, Retrying};
use crate::select::{self, FamilyChoice, Request, Selection};

/// Gathers what there is, selects the pools, acquires the leases, answers.
pub(super) async fn add<A: Api, C: Clock>(
    call: &Add,
    api: &A,
    clock: &C,
    cache: &ReleaseCache,
    hints: &HintFiles,
) -> Result<CniResult, Error> {
    if host::is_own(&call.netns) && !call.may_be_own_netns {
        return Err(Error::OwnNetns);
    }
    let cluster = Retrying::new(api, clock, Deadline::after(call.config.timeout));
    forget(call, cache)?;
    let mut request = request(call)?;
    let (pod, objects) = gather(call, &cluster, &request).await?;
    let slot = slot(call, &pod)?;
    request.claim = named_claim(&cluster, &pod).await?;
    let resumes = pod.had_sandbox || slot.is_some();
    let mut selection = gather::choose(&cluster, &pod.facts, &request, resumes, objects).await?;
    let mut sets = sets::derived(&request, &pod, &selection)?;
    let requester = requester(call, &cluster, &pod, slot);
    let outcome = acquire(call, &cluster, &requester, &selection, &sets, hints).await;
    let allocations = match outcome {
        Err(failed) if failed.is_outdated() => {
            let now = Freshness::Consistent;
            let objects = gather::objects(&cluster, &call.pod.namespace, now).await?;
            selection = gather::choose(&cluster, &pod.facts, &request, resumes, objects).await?;
            sets = sets::derived(&request, &pod, &selection)?;
            let requester = Requester {
                is_current: true,
                ..requester
            };
            acquire(call, &cluster, &requester, &selection, &sets, hints).await
        }
        outcome => outcome,
    };
    let allocations = allocations.map_err(|failed| Error::acquire(failed, &selection.trace))?;
    remember(call, cache, &allocations);
    Ok(answer(&selection, &allocations))
}

/// An entry that says that this container's addresses were released would be untrue from the first
/// write on.
fn forget(call: &Add, cache: &ReleaseCache) -> Result<(), Error> {
    cache
        .remove(&call.container, &call.interface)
        .map_err(Error::CacheEntry)
}

fn request(call: &Add) -> Result<Request, select::Error> {
    let interface = call.interface.as_ref();
    Request::of(&call.config, interface, &call.network, &call.requested)
}

/// The pod and what pools are chosen from, all at once. An unfit pod is refused as such, whatever
/// becomes of the rest.
async fn gather<A: Api, C: Clock>(
    call: &Add,
    cluster: &Retrying<'_, A, C>,
    request: &Request,
) -> Result<(BoundPod, ClusterObjects), Error> {
    let pod = async {
        let pod = cluster
            .retry(async || cluster.api.pod(&call.pod).await)
            .await?;
        BoundPod::check(&call.pod, pod).map_err(|why| Error::PodUnfit {
            namespace: call.pod.namespace.clone(),
            name: call.pod.name.clone(),
            why,
        })
    };
    // Nothing but an annotation can name a pool then: two requests are saved where none does.
    let freshness = if request.names_no_pool() {
        Freshness::Consistent
    } else {
        Freshness::Cached
    };
    let objects = gather::objects(cluster, &call.pod.namespace, freshness);
    let (pod, objects) = tokio::try_join!(pod, async { Ok(objects.await) })?;
    Ok((pod, objects?))
}

/// The slot of a pod whose address is kept for its name.
fn slot(call: &Add, pod: &BoundPod) -> Result<Option<ClaimRef>, Error> {
    let annotated = annotations::sticky(&pod.facts.annotations).map_err(Error::Malformed)?;
    let identity = PodIdentity {
        name: &pod.facts.name,
        generate_name: &pod.generate_name,
        owner: pod.owner.as_ref(),
    };
    let is_sticky = identity.is_sticky(annotated)?;
    Ok(is_sticky.then(|| ClaimRef::slot_of(&holder(call, pod), pod.owner.clone())))
}

fn holder(call: &Add, pod: &BoundPod) -> Holder {
    Holder {
        namespace: call.pod.namespace.clone(),
        pod: call.pod.name.clone(),
        uid: pod.facts.uid.clone(),
        node: pod.facts.node.clone(),
        container: call.container.to_string(),
        interface: call.interface.to_string(),
        network: call.network.clone(),
        ..Holder::default()
    }
}

fn requester<A, C: Clock>(
    call: &Add,
    cluster: &Retrying<'_, A, C>,
    pod: &BoundPod,
    slot: Option<ClaimRef>,
) -> Requester {
    Requester {
        holder: holder(call, pod),
        termination: pod.termination,
        vrf: call.config.vrf.clone(),
        since: cluster.clock.now(),
        returning: pod.had_sandbox,
        slot,
        is_current: false,
    }
}

/// The claim that the pod names. What is wrong with the annotation is for the choice to say.
async fn named_claim<A: Api, C: Clock>(
    cluster: &Retrying<'_, A, C>,
    pod: &BoundPod,
) -> Result<Option<Claim>, Error> {
    let Ok(Some(Found { value: name, .. })) = annotations::claim(&pod.facts.annotations) else {
        return Ok(None);
    };
    let name = ClaimName {
        namespace: pod.facts.namespace.clone(),
        name,
    };
    match cluster.read_claim(&name).await? {
        Some(claim) => Ok(Some(claim)),
        None => Err(Unusable::Missing(name).into()),
    }
}

async fn acquire<A: Api, C: Clock>(
    call: &Add,
    cluster: &Retrying<'_, A, C>,
    requester: &Requester,
    selection: &Selection,
    sets: &[Vec<SetRequest>],
    hints: &HintFiles,
) -> Result<Vec<Allocation>, AcquireError> {
    let each = selection.families.iter().zip(sets);
    let requests: Vec<AddressRequest<'_>> = each
        .map(|(choice, sets)| address_request(choice, sets))
        .collect();
    lease::acquire(cluster, requester, &requests, hints, &|| {
        host::exists(&call.netns)
    })
    .await
}

fn address_request<'a>(choice: &'a FamilyChoice, derived: &'a [SetRequest]) -> AddressRequest<'a> {
    AddressRequest {
        family: choice.family,
        candidates: &choice.candidates,
        resumable: &choice.resumable,
        requested: choice.requested.clone(),
        sets: match &choice.set {
            Some(claim) => Sets::Named(claim),
            None if derived.is_empty() => Sets::None,
            None => Sets::Derived(derived),
        },
    }
}

fn remember(call: &Add, cache: &ReleaseCache, allocations: &[Allocation]) {
    let names = allocations
        .iter()
        .map(|allocation| allocation.stored.lease.name.clone())
        .collect();
    cache.put(&call.container, &call.interface, &CacheEntry::Holds(names));
}

fn answer(selection: &Selection, allocations: &[Allocation]) -> CniResult {
    let ip = |allocation: &Allocation| IpConfig {
        address: IpNet::new_assert(
            allocation.stored.lease.name.address,
            allocation.pool.subnet.prefix_len(),
        ),
        gateway: allocation.pool.gateway,
    };
    let routes = selection
        .routing
        .routes(allocations.iter().map(|allocation| &*allocation.pool));
    CniResult {
        ips: allocations.iter().map(ip).collect(),
        routes,
    }
}
