//! Why no pool can be chosen, in messages that fit into an event of the pod.

use std::fmt;
use std::net::IpAddr;

use super::trace::{Considered, FamilyTrace, Trace};
use crate::annotations::{InvalidPoolRef, Malformed, Unserved};
use crate::claim::ClaimName;
use crate::ip::{Family, PoolName, Vrf};
use crate::routes::RouteError;
use crate::text::{ERROR_BYTES, brief, first_few, truncated};

/// Of what an event has room for, in bytes: the message first, then the details.
const HEADLINE: usize = 280;
const DETAILS: usize = ERROR_BYTES - HEADLINE;

/// Who has an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnotationSource {
    /// The pod.
    Pod,
    /// Its namespace.
    Namespace,
}

impl fmt::Display for AnnotationSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pod => "pod",
            Self::Namespace => "namespace",
        })
    }
}

/// Why the pod can't be served. The text of each includes what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The CNI configuration names a pool that can't be one.
    #[error("ipam.{key}[{index}]: {problem}")]
    BadConfig {
        /// The key in `ipam`.
        key: &'static str,
        /// The place in the list.
        index: usize,
        /// What is wrong.
        problem: InvalidPoolRef,
    },
    /// An annotation that decides is not of its shape.
    #[error("the {object}'s {malformed}")]
    Malformed {
        /// Whose annotation it is.
        object: AnnotationSource,
        /// What is wrong with it.
        malformed: Box<Malformed>,
    },
    /// An annotation asks for what leasehold does not give.
    #[error("the {object}'s {unserved}")]
    Unserved {
        /// Whose annotation it is.
        object: AnnotationSource,
        /// Which one, and why not.
        unserved: Unserved,
    },
    /// The annotation names interfaces, but not the one of the call.
    #[error("the pod's annotation {annotation} must name {interface} too: it names {}", list(.named))]
    InterfaceNotNamed {
        /// Its key.
        annotation: String,
        /// The interface of the call.
        interface: String,
        /// The interfaces that it names.
        named: Vec<String>,
    },
    /// The annotation has fewer items than the pod has interfaces.
    #[error(
        "the pod's annotation {annotation} must have an item for {interface}, the pod's interface number {number}: it has {items}"
    )]
    InterfaceWithoutItem {
        /// Its key.
        annotation: String,
        /// The interface of the call.
        interface: String,
        /// Its place, the first being 1.
        number: usize,
        /// How many items there are.
        items: usize,
    },
    /// The default route is to go by an interface that the pod does not have.
    #[error("the pod's annotation {annotation} must name one of {}: it names {}", list(.interfaces), brief(.named))]
    NoSuchInterface {
        /// Its key.
        annotation: String,
        /// The interface that it names.
        named: String,
        /// Those that the pod has.
        interfaces: Vec<String>,
    },
    /// A route of the pod's can't be set.
    #[error("the pod's annotation {annotation}: {unroutable}")]
    RouteError {
        /// Its key.
        annotation: String,
        /// Which route, and why.
        unroutable: RouteError,
    },
    /// No pool has the addresses that the claim lists.
    #[error(
        "no pool has {family} addresses that IPClaim {claim} lists: correct its spec.addresses or its spec.vrf"
    )]
    ClaimOutsidePools {
        /// The claim.
        claim: ClaimName,
        /// Of which family.
        family: Family,
    },
    /// The claim is one that the plugin made for an application.
    #[error(
        "IPClaim {claim} is the set of an application, which its pods get by the annotation subnet: name a claim of your own"
    )]
    DerivedClaim {
        /// The claim.
        claim: ClaimName,
    },
    /// The claim is about another address space.
    #[error(
        "IPClaim {claim} is of vrf \"{found}\", and this network is of vrf \"{wanted}\": correct the one or the other"
    )]
    ClaimOfOtherVrf {
        /// The claim.
        claim: ClaimName,
        /// The vrf of the claim.
        found: Vrf,
        /// The vrf of the CNI configuration.
        wanted: Vrf,
    },
    /// No pool may serve the pod.
    #[error("{}", headline(.families, .trace))]
    NoPool {
        /// The families that have none.
        families: Vec<Family>,
        /// What was considered.
        trace: Box<Trace>,
    },
    /// The requested address is not in a pool that may serve the pod.
    #[error("{address} was requested, and {}", elsewhere(.barred.as_ref(), .candidates))]
    NotInPool {
        /// The address.
        address: IpAddr,
        /// The first pool whose subnet has it, but which does not give it.
        barred: Option<PoolName>,
        /// The pools that may serve the pod.
        candidates: Vec<PoolName>,
        /// What was considered.
        trace: Box<Trace>,
    },
    /// An address of a family that this network does not give.
    #[error("{address} was requested, and this network gives no {} addresses: correct ipFamilies or ipFamilyPolicy", Family::of(*.address))]
    FamilyNotGiven {
        /// The address.
        address: IpAddr,
    },
}

impl Error {
    /// Whether it could be otherwise if the pools had been read a moment later.
    #[must_use]
    pub fn depends_on_pools(&self) -> bool {
        match self {
            Self::NoPool { .. }
            | Self::NotInPool { .. }
            | Self::RouteError { .. }
            | Self::ClaimOutsidePools { .. } => true,
            Self::DerivedClaim { .. }
            | Self::ClaimOfOtherVrf { .. }
            | Self::BadConfig { .. }
            | Self::Malformed { .. }
            | Self::Unserved { .. }
            | Self::InterfaceNotNamed { .. }
            | Self::InterfaceWithoutItem { .. }
            | Self::NoSuchInterface { .. }
            | Self::FamilyNotGiven { .. } => false,
        }
    }

    /// Which pools were considered and why each was rejected, in one line; empty where none was.
    #[must_use]
    pub fn details(&self) -> String {
        match self {
            Self::NoPool { trace, .. } | Self::NotInPool { trace, .. } => trace.summary(DETAILS),
            Self::ClaimOutsidePools { .. }
            | Self::DerivedClaim { .. }
            | Self::ClaimOfOtherVrf { .. }
            | Self::BadConfig { .. }
            | Self::Malformed { .. }
            | Self::Unserved { .. }
            | Self::InterfaceNotNamed { .. }
            | Self::InterfaceWithoutItem { .. }
            | Self::NoSuchInterface { .. }
            | Self::RouteError { .. }
            | Self::FamilyNotGiven { .. } => String::new(),
        }
    }
}

/// What to do, in one line.
fn headline(families: &[Family], trace: &Trace) -> String {
    let names: Vec<String> = families.iter().map(ToString::to_string).collect();
    let failed = |f: &&FamilyTrace| families.contains(&f.family);
    // Who named a pool for one family did not mean the other, which is then searched for among the
    // default pools.
    let meant = trace
        .families
        .iter()
        .filter(failed)
        .min_by_key(|f| f.considered.is_empty());
    let noun = meant.map_or("pool", |f| f.level.noun());
    let remedy = meant.map(remedy).unwrap_or_default();
    let text = format!("no {} {noun} for this pod: {remedy}", names.join(" or "));
    truncated(&text, HEADLINE)
}

fn remedy(trace: &FamilyTrace) -> String {
    let rejected = trace
        .considered
        .iter()
        .find_map(|considered| match considered {
            Considered::Rejected(pool, reasons) => Some((pool, reasons.first()?)),
            Considered::Fits(_) | Considered::Missing(_) | Considered::Unmatched(_) => None,
        });
    match (rejected, trace.considered.first()) {
        (Some((pool, reason)), _) => reason.remedy(&object(pool.as_str()), trace.level.noun()),
        (None, Some(missing)) => {
            format!(
                "create {} or correct {}",
                object(missing.name()),
                trace.source()
            )
        }
        (None, None) => format!(
            "set \"default: true\" in an IPPool with {} addresses, or name one in the pod's annotation ipam.leasehold.io/ippool",
            trace.family
        ),
    }
}

fn elsewhere(barred: Option<&PoolName>, candidates: &[PoolName]) -> String {
    if let Some(pool) = barred {
        let pool = brief(pool.as_str());
        return format!(
            "pool {pool} does not give it: correct its ips and excludeIPs, the ReservedIPs and the gateway, or request another"
        );
    }
    let names: Vec<String> = candidates.iter().map(|pool| brief(pool.as_str())).collect();
    format!(
        "no pool of this pod has it: request one of {}",
        list(&names)
    )
}

/// A pool by its kind and name.
fn object(name: &str) -> String {
    match PoolName::from(name).subnet() {
        Some(subnet) => format!("Subnet {}", brief(subnet)),
        None => format!("IPPool {}", brief(name)),
    }
}

/// The first few names.
fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| brief(name)).collect();
    first_few(&names)
}
