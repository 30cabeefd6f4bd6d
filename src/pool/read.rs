//! From the spec of a pool to the pool.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::{
    Affinity, AttachmentName, Count, InvalidPool, InvalidReservedIP, Pool, Reserved, Scope,
};
use crate::api::{
    self, IPPool, IPPoolSpec, IPPoolStatus, LabelSelector, ResourceExt, Subnet, SubnetSpec,
};
use crate::ip::{
    Family, InvalidVrf, PoolName, Route, Span, SpanError, Spans, Vrf, cidr, is_neighbor, special,
};

/// What is wrong with a pool. Most of it the schema refuses too; the rest is found here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// The subnet.
    #[error("spec.subnet {0:?} is not a CIDR in canonical form")]
    Subnet(String),
    /// The vrf.
    #[error("spec.vrf {0}")]
    Vrf(InvalidVrf),
    /// An item of `ips` or `excludeIPs`.
    #[error("spec.{field}[{index}] {source}")]
    Span {
        /// Which list.
        field: &'static str,
        /// The place in it.
        index: usize,
        /// What is wrong.
        source: SpanError,
    },
    /// Addresses of another segment.
    #[error("spec.{field}[{index}] {span} is not inside the subnet {subnet}")]
    Outside {
        /// Which list.
        field: &'static str,
        /// The place in it.
        index: usize,
        /// The addresses.
        span: Span,
        /// The segment.
        subnet: IpNet,
    },
    /// The gateway, the pool's own or an inherited one.
    #[error(
        "{from}gateway {gateway:?} is not an address inside the subnet {subnet}{}",
        or_link_local(.subnet)
    )]
    Gateway {
        /// `spec.`, or the Subnet that it is inherited from.
        from: String,
        /// As written.
        gateway: String,
        /// The segment.
        subnet: IpNet,
    },
    /// A route, the pool's own or an inherited one.
    #[error(
        "{from}routes[{index}] needs a CIDR of the family of the subnet {subnet} as its destination, not a default route, and a next hop on its link"
    )]
    Route {
        /// `spec.`, or the Subnet that it is inherited from.
        from: String,
        /// The place in the list.
        index: usize,
        /// The segment.
        subnet: IpNet,
    },
    /// A label selector.
    #[error("spec.{field} is not a label selector: {reason}")]
    Selector {
        /// Which one.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A reservation of the vrf in which this pool lies.
    #[error("the ReservedIPs of its vrf could not be read: {0}")]
    Reserved(InvalidReservedIP),
}

/// The Subnet objects by what they describe.
pub(super) struct Segments<'a>(BTreeMap<(&'a str, &'a str), &'a Subnet>);

impl<'a> Segments<'a> {
    /// Where two objects describe one segment, the one whose name sorts first counts: any rule will
    /// do, as long as all nodes follow the same.
    pub(super) fn of(subnets: &'a [Subnet]) -> Self {
        let mut segments: BTreeMap<_, &'a Subnet> = BTreeMap::new();
        for subnet in subnets {
            let key = (subnet.spec.subnet.as_str(), subnet.spec.vrf.as_str());
            let first = segments.entry(key).or_insert(subnet);
            if subnet.metadata.name < first.metadata.name {
                *first = subnet;
            }
        }
        Self(segments)
    }
}

/// Understands a pool.
pub(super) fn pool(
    written: IPPool,
    segments: &Segments<'_>,
    reserved: &Reserved,
) -> Result<Pool, InvalidPool> {
    let (name, default) = (written.name_any().into(), written.spec.default);
    let vrf = written.spec.vrf.parse().ok();
    let family = family(&written.spec.subnet);
    understand(written, segments, reserved).map_err(|fault| InvalidPool {
        name,
        vrf,
        family,
        default,
        fault: Box::new(fault),
    })
}

/// Understands a Subnet, as the pool that sets are made of.
pub(super) fn subnet(written: &Subnet, reserved: &Reserved) -> Result<Pool, InvalidPool> {
    understand_subnet(written, reserved).map_err(|fault| InvalidPool {
        name: PoolName::of_subnet(&written.name_any()),
        vrf: written.spec.vrf.parse().ok(),
        family: family(&written.spec.subnet),
        default: false,
        fault: Box::new(fault),
    })
}

fn understand_subnet(written: &Subnet, reserved: &Reserved) -> Result<Pool, PoolError> {
    let SubnetSpec {
        subnet: cidr,
        ips,
        exclude_ips,
        gateway,
        routes,
        namespace_affinity,
        node_affinity,
        vrf,
    } = &written.spec;
    let vrf: Vrf = vrf.parse().map_err(PoolError::Vrf)?;
    let subnet = segment(cidr)?;
    let router = router(gateway.clone(), None, subnet)?;
    let (listed, usable) = addresses(ips, exclude_ips, router, subnet, &vrf, reserved)?;
    Ok(Pool {
        name: PoolName::of_subnet(&written.name_any()),
        uid: written.metadata.uid.clone().unwrap_or_default(),
        vrf,
        subnet,
        listed,
        usable,
        gateway: router,
        routes: all_routes(routes, None, subnet)?,
        cooldown: Duration::from_secs(api::COOLDOWN_SECONDS.unsigned_abs()),
        count: count(written.status.as_ref(), written.metadata.generation),
        default: false,
        disabled: false,
        deleting: written.metadata.deletion_timestamp.is_some(),
        pods: Affinity::default(),
        namespaces: scope("namespaceAffinity", Vec::new(), namespace_affinity.clone())?,
        nodes: scope("nodeAffinity", Vec::new(), node_affinity.clone())?,
        attachments: Vec::new(),
    })
}

/// What is listed, and what of it may be given.
fn addresses(
    ips: &[String],
    exclude_ips: &[String],
    router: Option<IpAddr>,
    subnet: IpNet,
    vrf: &Vrf,
    reserved: &Reserved,
) -> Result<(Spans, Spans), PoolError> {
    let mut listed = spans("ips", ips, subnet)?;
    if ips.is_empty() {
        listed = std::iter::once(Span::from(subnet)).collect();
    }
    let usable = listed
        .without(&spans("excludeIPs", exclude_ips, subnet)?)
        .without(&special(subnet))
        .without(&router.into_iter().collect())
        .without(&reserved.about(vrf, subnet).map_err(PoolError::Reserved)?);
    Ok((listed, usable))
}

/// What the collector counted, if it was the spec of this generation.
fn count(status: Option<&IPPoolStatus>, now: Option<i64>) -> Option<Count> {
    let counted = status?.observed_generation;
    status
        .filter(|_| counted.is_none() || counted == now)
        .and_then(Count::of)
}

fn understand(
    written: IPPool,
    segments: &Segments<'_>,
    reserved: &Reserved,
) -> Result<Pool, PoolError> {
    let name = written.name_any().into();
    let uid = written.metadata.uid.clone().unwrap_or_default();
    let deleting = written.metadata.deletion_timestamp.is_some();
    let count = count(written.status.as_ref(), written.metadata.generation);
    let IPPoolSpec {
        subnet: cidr,
        ips,
        exclude_ips,
        gateway,
        routes,
        default,
        disable,
        pod_affinity,
        namespace_affinity,
        node_affinity,
        namespace_name,
        node_name,
        multus_name,
        vrf,
        cooldown_seconds,
    } = written.spec;
    let segment = segments.0.get(&(cidr.as_str(), vrf.as_str())).copied();
    let vrf: Vrf = vrf.parse().map_err(PoolError::Vrf)?;
    let subnet = self::segment(&cidr)?;
    let router = router(gateway, segment, subnet)?;
    let (listed, usable) = addresses(&ips, &exclude_ips, router, subnet, &vrf, reserved)?;
    Ok(Pool {
        name,
        uid,
        vrf,
        subnet,
        listed,
        usable,
        gateway: router,
        routes: all_routes(&routes, segment, subnet)?,
        cooldown: Duration::from_secs(u64::try_from(cooldown_seconds).unwrap_or(0)),
        count,
        default,
        disabled: disable,
        deleting,
        pods: affinity("podAffinity", pod_affinity)?,
        namespaces: scope("namespaceAffinity", namespace_name, namespace_affinity)?,
        nodes: scope("nodeAffinity", node_name, node_affinity)?,
        attachments: multus_name
            .iter()
            .map(|name| AttachmentName::from(name.as_str()))
            .collect(),
    })
}

fn family(subnet: &str) -> Option<Family> {
    let segment = segment(subnet).ok()?;
    Some(Family::of(segment.addr()))
}

fn segment(text: &str) -> Result<IpNet, PoolError> {
    cidr(text)
        .filter(|net| net.trunc().to_string() == text)
        .ok_or_else(|| PoolError::Subnet(text.to_owned()))
}

fn spans(field: &'static str, texts: &[String], subnet: IpNet) -> Result<Spans, PoolError> {
    let whole = Span::from(subnet);
    let read = |(index, text): (usize, &String)| {
        let span: Span = text.parse().map_err(|source| PoolError::Span {
            field,
            index,
            source,
        })?;
        if whole.contains(span.first()) && whole.contains(span.last()) {
            Ok(span)
        } else {
            Err(PoolError::Outside {
                field,
                index,
                span,
                subnet,
            })
        }
    };
    texts.iter().enumerate().map(read).collect()
}

/// The pool's own gateway, else the segment's.
fn router(
    own: Option<String>,
    segment: Option<&Subnet>,
    subnet: IpNet,
) -> Result<Option<IpAddr>, PoolError> {
    let inherited = || segment.and_then(|s| Some((origin(s), s.spec.gateway.clone()?)));
    let Some((from, gateway)) = own.map(|gw| (own_spec(), gw)).or_else(inherited) else {
        return Ok(None);
    };
    match gateway.parse::<IpAddr>() {
        Ok(address) if is_neighbor(subnet, address) => Ok(Some(address)),
        Ok(_) | Err(_) => Err(PoolError::Gateway {
            from,
            gateway,
            subnet,
        }),
    }
}

/// The pool's own routes, and those of the segment to other destinations.
fn all_routes(
    own: &[api::RouteSpec],
    segment: Option<&Subnet>,
    subnet: IpNet,
) -> Result<Vec<Route>, PoolError> {
    let mut routes = readable_routes(own, own_spec, subnet)?;
    if let Some(segment) = segment {
        for route in readable_routes(&segment.spec.routes, || origin(segment), subnet)? {
            if routes.iter().all(|own| own.dst != route.dst) {
                routes.push(route);
            }
        }
    }
    Ok(routes)
}

fn readable_routes(
    written: &[api::RouteSpec],
    from: impl Fn() -> String,
    subnet: IpNet,
) -> Result<Vec<Route>, PoolError> {
    let read = |route: &api::RouteSpec| {
        let dst = cidr(&route.dst)?.trunc();
        let gw = route.gw.parse::<IpAddr>().ok()?;
        let fits = dst.prefix_len() > 0
            && Family::of(dst.addr()) == Family::of(gw)
            && is_neighbor(subnet, gw);
        fits.then_some(Route { dst, gw })
    };
    let routes = written.iter().enumerate().map(|(index, route)| {
        read(route).ok_or_else(|| PoolError::Route {
            from: from(),
            index,
            subnet,
        })
    });
    routes.collect()
}

fn or_link_local(subnet: &IpNet) -> &'static str {
    match subnet {
        IpNet::V4(_) => "",
        IpNet::V6(_) => ", nor a link-local one",
    }
}

fn own_spec() -> String {
    "spec.".to_owned()
}

fn origin(segment: &Subnet) -> String {
    format!("inherited from Subnet {}: spec.", segment.name_any())
}

fn scope(
    field: &'static str,
    names: Vec<String>,
    selector: Option<LabelSelector>,
) -> Result<Scope, PoolError> {
    if names.is_empty() {
        Ok(Scope::Labeled(affinity(field, selector)?))
    } else {
        Ok(Scope::Named(names))
    }
}

fn affinity(field: &'static str, selector: Option<LabelSelector>) -> Result<Affinity, PoolError> {
    let Some(selector) = selector else {
        return Ok(Affinity::default());
    };
    Affinity::try_from(selector).map_err(|error| PoolError::Selector {
        field,
        reason: error.0,
    })
}
