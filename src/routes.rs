//! Which routes an interface gets, from three levels: the Subnet, the pool, the pod.
//!
//! They are merged by destination, and the higher level wins; a pool comes here with what it
//! inherits from its Subnet merged in. The default route is by the gateway, on the one interface
//! that has it.
//!
//! A route of the pod belongs to the interface whose subnet has its next hop; by a link-local next
//! hop, which every link has, to the interface that has the default route. One call knows one
//! interface, so a route that does not fit may be meant for another one. It is refused where that
//! can be ruled out:
//!
//! - on the only interface of a pod, if no pool that may serve it has the next hop in its subnet (a
//!   route that fits another candidate is left out: a pod template lists the routes of each zone,
//!   and the pod runs in one);
//! - on one of several interfaces, if no pool of the cluster has. Interfaces that other IPAM
//!   plugins serve don't count, because those do not read this annotation.
//!
//! A default route of the pod is one like any other: by destination it replaces the gateway's, and
//! it is set on the interface that it fits. Since a pod has one default route of a family, the
//! other interfaces then leave out their gateway's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::ip::{Family, Route, Spans, is_link_local, is_neighbor};
use crate::pool::Pool;

/// A route of the pod that can't be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No interface of the pod has its next hop on its link.
    #[error(
        "$[{index}] must have a next hop in the subnet of a pool of this pod: {gw}, by which {dst} is to be reached, fits no interface"
    )]
    NoInterface {
        /// The place in the list.
        index: usize,
        /// The destination.
        dst: IpNet,
        /// The next hop.
        gw: IpAddr,
    },
    /// Two next hops on one interface.
    #[error(
        "$[{index}] leads to {dst} by another neighbor on the same interface than an item before it: keep one"
    )]
    Twice {
        /// The place in the list.
        index: usize,
        /// The destination.
        dst: IpNet,
    },
}

/// What is known of an interface before its addresses are.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// Whether the gateway's default route goes by this interface.
    pub by_gateway: bool,
    /// Whether it is the interface of the default route, by the gateway or without one.
    pub carries_default: bool,
    /// The subnets that may be this interface's.
    pub subnets: &'a [IpNet],
    /// Those that may be another interface's; `None`: there is no other.
    pub elsewhere: Option<&'a Spans>,
}

impl Link<'_> {
    fn reaches(&self, gw: IpAddr) -> bool {
        let here = || self.subnets.iter().any(|subnet| is_neighbor(*subnet, gw));
        if is_link_local(gw) && self.elsewhere.is_some() && !self.carries_default {
            return true;
        }
        here() || self.elsewhere.is_some_and(|subnets| subnets.contains(gw))
    }
}

/// The routes of an interface, once its pools are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// Whether the gateway's default route goes by this interface.
    by_gateway: bool,
    /// Whether the pod has further interfaces.
    one_of_several: bool,
    /// Whether routes by a link-local next hop go by this interface.
    by_link_local: bool,
    /// The pod's own routes, for all of its interfaces.
    from_pod: Vec<Route>,
}

impl Routing {
    /// The routes of the pools alone.
    #[must_use]
    pub fn by_pools(by_gateway: bool) -> Self {
        Self {
            by_gateway,
            ..Self::default()
        }
    }

    /// With routes of the pod.
    pub fn with(link: &Link<'_>, from_pod: Vec<Route>) -> Result<Self, RouteError> {
        let mut earlier: BTreeMap<IpNet, Vec<IpAddr>> = BTreeMap::new();
        for (index, &Route { dst, gw }) in from_pod.iter().enumerate() {
            if !link.reaches(gw) {
                return Err(RouteError::NoInterface { index, dst, gw });
            }
            let others = earlier.entry(dst).or_default();
            let on_one_link = |other: &IpAddr| {
                let has_both =
                    |subnet: &IpNet| is_neighbor(*subnet, *other) && is_neighbor(*subnet, gw);
                *other != gw && link.subnets.iter().any(has_both)
            };
            if others.iter().any(on_one_link) {
                return Err(RouteError::Twice { index, dst });
            }
            others.push(gw);
        }
        Ok(Self {
            by_gateway: link.by_gateway,
            one_of_several: link.elsewhere.is_some(),
            by_link_local: link.carries_default || link.elsewhere.is_none(),
            from_pod,
        })
    }

    /// The routes of an interface that has its addresses out of these pools, IPv4 first, default
    /// routes before others.
    pub fn routes<'a>(&self, pools: impl IntoIterator<Item = &'a Pool>) -> Vec<Route> {
        let mut table: BTreeMap<IpNet, IpAddr> = BTreeMap::new();
        for pool in pools {
            let by_gateway = pool
                .gateway
                .filter(|_| self.by_gateway && !self.defaults_elsewhere(pool))
                .map(|gateway| (default_of(pool.family()), gateway));
            let fitting = self.from_pod.iter().filter(|route| self.fits(route, pool));
            table.extend(pool.routes.iter().map(|route| (route.dst, route.gw)));
            table.extend(by_gateway);
            table.extend(fitting.map(|route| (route.dst, route.gw)));
        }
        table
            .into_iter()
            .map(|(dst, gw)| Route { dst, gw })
            .collect()
    }

    /// Whether a route of the pod belongs to an interface with an address of `pool`.
    fn fits(&self, route: &Route, pool: &Pool) -> bool {
        is_neighbor(pool.subnet, route.gw) && (self.by_link_local || !is_link_local(route.gw))
    }

    /// Whether the pod has a default route of its own on another interface.
    fn defaults_elsewhere(&self, pool: &Pool) -> bool {
        let default = default_of(pool.family());
        let is_default = |route: &&Route| route.dst == default;
        let mut own = self.from_pod.iter().filter(is_default).peekable();
        self.one_of_several && own.peek().is_some() && own.all(|route| !self.fits(route, pool))
    }
}

fn default_of(family: Family) -> IpNet {
    match family {
        Family::V4 => Ipv4Net::default().into(),
        Family::V6 => Ipv6Net::default().into(),
    }
}

#[cfg(test)]
mod tests;
