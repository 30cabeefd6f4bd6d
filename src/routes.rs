//! Which routes an interface gets, from three levels: what a Subnet says, what the pool says, what the pod says.
//!
//! They are merged by destination, and the higher level wins; a pool comes here with what it inherits from its Subnet
//! merged in already. The default route is the gateway's, where the interface is the one that carries it.
//!
//! A route of the pod's goes to the interface whose subnet holds its next hop. One call sees one interface, so a route
//! that does not fit may be meant for another one. It is refused where that can be ruled out:
//!
//! - on the only interface of a pod, if no pool that may serve it has the next hop in its subnet (a route that fits
//!   another candidate is left out: a pod template lists the routes of each zone, and the pod runs in one);
//! - on one of several interfaces, if no pool of the cluster has. Interfaces that others serve don't count, since
//!   nobody else sets this annotation's routes.
//!
//! A default route among the pod's is one like any other: by destination it replaces the gateway's, and it is set on
//! the interface that it fits, whichever would carry the default route otherwise. Since a pod has one default route of
//! a family, the other interfaces then leave out their gateway's.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::ip::{Family, Route, Span, Spans};
use crate::pool::Pool;

/// A route of the pod's that can't be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Its next hop is no neighbour of the pod.
    #[error(
        "$[{index}] must have a next hop in the subnet of a pool of this pod: {gw}, by which {dst} is to be reached, fits no interface"
    )]
    NoInterface {
        /// The place in the list.
        index: usize,
        /// Where to.
        dst: IpNet,
        /// By way of whom.
        gw: IpAddr,
    },
    /// Two next hops on one interface.
    #[error(
        "$[{index}] leads to {dst} by another neighbour on the same interface than an item before it: keep one"
    )]
    Twice {
        /// The place in the list.
        index: usize,
        /// Where to.
        dst: IpNet,
    },
}

/// What is known of the routes of an interface before its pools are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// Whether the gateway's default route goes by this interface.
    by_gateway: bool,
    /// Whether the pod has further interfaces.
    one_of_several: bool,
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

    /// With routes of the pod's.
    ///
    /// `here` are the subnets that may be this interface's, `elsewhere` those that may be another one's; `None`: there
    /// is no other.
    pub fn with(
        by_gateway: bool,
        from_pod: Vec<Route>,
        here: &[IpNet],
        elsewhere: Option<&Spans>,
    ) -> Result<Self, RouteError> {
        let near: Spans = here.iter().copied().map(Span::from).collect();
        let fits =
            |gw: IpAddr| near.contains(gw) || elsewhere.is_some_and(|subnets| subnets.contains(gw));
        let mut earlier: BTreeMap<IpNet, Vec<IpAddr>> = BTreeMap::new();
        for (index, &Route { dst, gw }) in from_pod.iter().enumerate() {
            if !fits(gw) {
                return Err(RouteError::NoInterface { index, dst, gw });
            }
            let others = earlier.entry(dst).or_default();
            let on_one_link = |other: &IpAddr| {
                let holds_both = |subnet: &IpNet| subnet.contains(other) && subnet.contains(&gw);
                *other != gw && here.iter().any(holds_both)
            };
            if others.iter().any(on_one_link) {
                return Err(RouteError::Twice { index, dst });
            }
            others.push(gw);
        }
        Ok(Self {
            by_gateway,
            one_of_several: elsewhere.is_some(),
            from_pod,
        })
    }

    /// The gateway by which the default route of an interface with an address of `pool` goes, unless the pod says
    /// otherwise; `None`: it has no default route, or one of the pod's own on another interface.
    #[must_use]
    pub fn gateway(&self, pool: &Pool) -> Option<IpAddr> {
        pool.gateway
            .filter(|_| self.by_gateway && !self.defaults_elsewhere(pool))
    }

    /// The routes of an interface that has its addresses out of these pools, IPv4 first, default routes before others.
    pub fn routes<'a>(&self, pools: impl IntoIterator<Item = &'a Pool>) -> Vec<Route> {
        let mut table: BTreeMap<IpNet, IpAddr> = BTreeMap::new();
        for pool in pools {
            let by_gateway = self
                .gateway(pool)
                .map(|gateway| (default_of(pool.family()), gateway));
            let fitting = self
                .from_pod
                .iter()
                .filter(|route| pool.subnet.contains(&route.gw));
            table.extend(pool.routes.iter().map(|route| (route.dst, route.gw)));
            table.extend(by_gateway);
            table.extend(fitting.map(|route| (route.dst, route.gw)));
        }
        table
            .into_iter()
            .map(|(dst, gw)| Route { dst, gw })
            .collect()
    }

    /// Whether the pod has a default route of its own on another interface.
    fn defaults_elsewhere(&self, pool: &Pool) -> bool {
        let default = default_of(pool.family());
        let mut own = self
            .from_pod
            .iter()
            .filter(|route| route.dst == default)
            .peekable();
        self.one_of_several
            && own.peek().is_some()
            && own.all(|route| !pool.subnet.contains(&route.gw))
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
