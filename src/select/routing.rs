//! What the pod's annotations say of its routes.

use ipnet::IpNet;

use super::interfaces::Interfaces;
use super::{AnnotationSource, Error, FamilyChoice, PodFacts};
use crate::annotations::{Found, default_route_nic, routes};
use crate::ip::{Span, Spans};
use crate::pool::Pools;
use crate::routes::Routing;

pub(super) fn of(
    pod: &PodFacts,
    pools: &Pools,
    interfaces: &Interfaces,
    clean_gateway: bool,
    families: &[FamilyChoice],
) -> Result<Routing, Error> {
    let has_default = carries_default(pod, interfaces)? && !clean_gateway;
    let malformed = |malformed| Error::Malformed {
        bearer: AnnotationSource::Pod,
        malformed: Box::new(malformed),
    };
    let Some(Found { key, value }) = routes(&pod.annotations).map_err(malformed)? else {
        return Ok(Routing::by_pools(has_default));
    };
    let here: Vec<IpNet> = families
        .iter()
        .flat_map(|choice| choice.candidates.iter().chain(&choice.resumable))
        .map(|pool| pool.subnet)
        .collect();
    let elsewhere: Option<Spans> = (!interfaces.is_only_one()).then(|| {
        pools
            .iter()
            .flatten()
            .map(|pool| Span::from(pool.subnet))
            .collect()
    });
    Routing::with(has_default, value, &here, elsewhere.as_ref()).map_err(|unroutable| {
        Error::RouteError {
            annotation: key,
            unroutable,
        }
    })
}

/// Whether the default route of a pod goes by the interface at hand.
fn carries_default(pod: &PodFacts, interfaces: &Interfaces) -> Result<bool, Error> {
    let names = interfaces.names();
    let carrier = match default_route_nic(&pod.annotations) {
        None => interfaces.first().to_owned(),
        Some(Found { value, .. }) if names.contains(&value) => value,
        Some(Found { key, value }) => {
            return Err(Error::NoSuchInterface {
                annotation: key,
                named: value,
                interfaces: names.to_vec(),
            });
        }
    };
    Ok(names.get(interfaces.place()) == Some(&carrier))
}
