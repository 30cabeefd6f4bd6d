//! A pool ready for use: spans instead of texts, with what it inherits from its Subnet, and without
//! what is never given.
//!
//! A spec that the schema admitted is understood here, once. What the schema cannot check (the
//! order of the ends of an IPv6 range) makes it an [`InvalidPool`], which keeps its name, so a
//! message can explain why it gives nothing. [`select`](crate::select) decides which pods may use a
//! pool, and [`allocate`](crate::allocate) which of its addresses is tried next.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::api::{IPPool, ReservedIP, Subnet};
use crate::ip::{Family, PoolName, Route, Spans, Vrf};

mod affinity;
mod overlap;
mod read;
mod reserved;
mod usage;

pub use affinity::Affinity;
pub use overlap::{Overlap, overlaps};
pub use read::PoolError;
pub use reserved::{InvalidReservedIP, Reserved};
pub use usage::{Count, Owner, Taken, TakenState, Usage};

/// A pool.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// Its name.
    pub name: PoolName,
    /// The uid of its object.
    pub uid: String,
    /// The address space of its addresses.
    pub vrf: Vrf,
    /// The segment: its prefix length is on every address that is given.
    pub subnet: IpNet,
    /// Its `ips`, or the whole subnet: before exclusions and reservations.
    pub listed: Spans,
    /// What it may give: `ips`, without exclusions, reservations, the gateway and the subnet's
    /// special addresses.
    pub usable: Spans,
    /// The router, its own or the Subnet's.
    pub gateway: Option<IpAddr>,
    /// Its routes and, for other destinations, the Subnet's. None is a default route.
    pub routes: Vec<Route>,
    /// How long a released address rests.
    pub cooldown: Duration,
    /// What the collector counted last, if it was this spec.
    pub count: Option<Count>,
    /// Whether pods that name no pool may use it.
    pub default: bool,
    /// Whether it gives no new address.
    pub disabled: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Which pods may use it.
    pub pods: Affinity,
    /// Which namespaces may use it.
    pub namespaces: Scope,
    /// Which nodes may use it.
    pub nodes: Scope,
    /// Which network attachments may use it; empty: all, and attachments by other means than Multus
    /// too.
    pub attachments: Vec<AttachmentName>,
}

impl Pool {
    /// The family of its addresses.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.subnet.addr())
    }

    /// Whether neither pod nor node nor network decides who gets its addresses.
    #[must_use]
    pub fn is_for_every_pod(&self) -> bool {
        let every_node = matches!(&self.nodes, Scope::Labeled(nodes) if nodes.fits_all());
        every_node && self.pods.fits_all() && self.attachments.is_empty()
    }

    /// Whether its `ips` hold an address of the default vrf, excluded or reserved or not: a pod may
    /// have it from before.
    #[must_use]
    pub fn lists(&self, address: IpAddr) -> bool {
        self.vrf.is_default() && self.listed.contains(address)
    }
}

/// Which objects of a sort, nodes or namespaces, a pool serves: where names are listed, labels
/// count for nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Scope {
    /// Those of these names.
    Named(Vec<String>),
    /// Those with such labels.
    Labeled(Affinity),
}

/// An item of `multusName`: `namespace/name`, or `name` alone for any namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentName {
    /// The namespace of the network attachment definition, if it matters.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl From<&str> for AttachmentName {
    fn from(text: &str) -> Self {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, text),
        };
        Self {
            namespace,
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for AttachmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// A pool that can't be used, because something in it is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidPool {
    /// Its name.
    pub name: PoolName,
    /// The address space of its addresses, if that is known.
    pub vrf: Option<Vrf>,
    /// The family of its addresses, if that is known.
    pub family: Option<Family>,
    /// Whether pods that name no pool would use it.
    pub default: bool,
    /// What is wrong.
    pub fault: Box<PoolError>,
}

/// All pools of the cluster by name, the broken ones among them, and the Subnets, each as the pool
/// that sets are made of.
#[derive(Debug, Clone, Default)]
pub struct Pools {
    pools: ByName,
    subnets: ByName,
}

type ByName = BTreeMap<PoolName, Result<Arc<Pool>, InvalidPool>>;

impl Pools {
    /// The pools as `written`, for addresses of `vrf`.
    ///
    /// An unreadable reservation in `vrf` is an error, because an address in use might be given. In
    /// another vrf it makes the pools there invalid.
    pub fn read(
        written: Vec<IPPool>,
        subnets: &[Subnet],
        reserved: &[ReservedIP],
        vrf: &Vrf,
    ) -> Result<Self, InvalidReservedIP> {
        Reserved::read(reserved).of(vrf)?;
        Ok(Self::read_each(written, subnets, reserved))
    }

    /// The pools as `written`, each for itself: where a reservation can't be read, the pools of its
    /// vrf are broken ones.
    #[must_use]
    pub fn read_each(written: Vec<IPPool>, subnets: &[Subnet], reserved: &[ReservedIP]) -> Self {
        let reserved = Reserved::read(reserved);
        let segments = read::Segments::of(subnets);
        let pools = written
            .into_iter()
            .map(|pool| read::pool(pool, &segments, &reserved));
        let subnets = subnets.iter().map(|subnet| read::subnet(subnet, &reserved));
        Self {
            pools: pools.map(named).collect(),
            subnets: subnets.map(named).collect(),
        }
    }

    /// The pool of this name; `subnet/NAME` is that of a Subnet.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Result<&Arc<Pool>, &InvalidPool>> {
        let found = self.pools.get(name).or_else(|| self.subnets.get(name));
        found.map(Result::as_ref)
    }

    /// All but the Subnets in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Result<&Arc<Pool>, &InvalidPool>> {
        self.pools.values().map(Result::as_ref)
    }

    /// All Subnets in the order of their names.
    pub fn subnets(&self) -> impl Iterator<Item = Result<&Arc<Pool>, &InvalidPool>> {
        self.subnets.values().map(Result::as_ref)
    }
}

fn named(pool: Result<Pool, InvalidPool>) -> (PoolName, Result<Arc<Pool>, InvalidPool>) {
    match pool {
        Ok(pool) => (pool.name.clone(), Ok(Arc::new(pool))),
        Err(broken) => (broken.name.clone(), Err(broken)),
    }
}

#[cfg(test)]
mod tests;
