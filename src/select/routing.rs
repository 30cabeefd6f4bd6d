//! The routes in the pod's annotations.

use ipnet::IpNet;

use super::interfaces::Interfaces;
use super::{AnnotationSource, Error, FamilyChoice, PodFacts, malformed};
use crate::annotations::{Found, default_route_nic, routes};
use crate::ip::{Span, Spans};
use crate::pool::Pools;
use crate::routes::{Link, Routing};

/// What an interface is to the pod's routes.
pub(super) struct Carrier<'a> {
    pub(super) interfaces: &'a Interfaces,
    pub(super) is_only_one: bool,
    /// Whether the gateway's default route is left out.
    pub(super) clean_gateway: bool,
}

pub(super) fn of(
    pod: &PodFacts,
    pools: &Pools,
    carrier: &Carrier<'_>,
    families: &[FamilyChoice],
) -> Result<Routing, Error> {
    let carries_default = carries_default(pod, carrier.interfaces)?;
    let by_gateway = carries_default && !carrier.clean_gateway;
    let found = routes(&pod.annotations).map_err(malformed(AnnotationSource::Pod))?;
    let Some(Found { key, value }) = found else {
        return Ok(Routing::by_pools(by_gateway));
    };
    let here: Vec<IpNet> = families
        .iter()
        .flat_map(|choice| choice.candidates.iter().chain(&choice.resumable))
        .map(|pool| pool.subnet)
        .collect();
    let elsewhere: Option<Spans> = (!carrier.is_only_one).then(|| {
        pools
            .iter()
            .chain(pools.subnets())
            .flatten()
            .map(|pool| Span::from(pool.subnet))
            .collect()
    });
    let link = Link {
        by_gateway,
        carries_default,
        subnets: &here,
        elsewhere: elsewhere.as_ref(),
    };
    Routing::with(&link, value).map_err(|unroutable| Error::RouteError {
        annotation: key,
        unroutable,
    })
}

/// Whether the default route of a pod goes by the interface of the call.
fn carries_default(pod: &PodFacts, interfaces: &Interfaces) -> Result<bool, Error> {
    match default_route_nic(&pod.annotations) {
        None => Ok(interfaces.is_first()),
        Some(Found { value, .. }) if interfaces.may_have(&value) => Ok(interfaces.is(&value)),
        Some(Found { key, value }) => Err(Error::NoSuchInterface {
            annotation: key,
            named: value,
            interfaces: interfaces.names(),
        }),
    }
}
