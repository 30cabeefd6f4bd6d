//! The keys of all annotations that are read, and those of our prefixes that are refused.
//!
//! An annotation asks for something. One that leasehold does not serve is refused by name, because
//! a pod without it would run with an address that it was not meant to have.

use super::{Annotations, find, json};
use crate::json::hint;
use crate::text::both_ends;

/// Our prefix, and that of workloads that come from Spiderpool.
pub(super) const PREFIXES: [&str; 2] = [OURS, SPIDERPOOL];
const OURS: &str = "ipam.leasehold.io/";
const SPIDERPOOL: &str = "ipam.spidernet.io/";

pub(super) const IPPOOL: &str = "ippool";
pub(super) const IPPOOLS: &str = "ippools";
pub(super) const CLAIM: &str = "claim";
pub(super) const SUBNET: &str = "subnet";
pub(super) const SUBNETS: &str = "subnets";
pub(super) const IPPOOL_IP_NUMBER: &str = "ippool-ip-number";
pub(super) const IPPOOL_RECLAIM: &str = "ippool-reclaim";
pub(super) const STICKY: &str = "sticky";
pub(super) const WHEN_SCALED: &str = "when-scaled";
pub(super) const ROUTES: &str = "routes";
pub(super) const DEFAULT_ROUTE_NIC: &str = "default-route-nic";
pub(super) const DEFAULT_IPV4_IPPOOL: &str = "default-ipv4-ippool";
pub(super) const DEFAULT_IPV6_IPPOOL: &str = "default-ipv6-ippool";

/// Of the Network Plumbing Working Group and of Multus.
pub(super) const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
pub(super) const DEFAULT_NETWORK: &str = "v1.multus-cni.io/default-network";

/// What a pod may ask for.
const POD: [&str; 10] = [
    IPPOOL,
    IPPOOLS,
    SUBNET,
    SUBNETS,
    IPPOOL_IP_NUMBER,
    IPPOOL_RECLAIM,
    ROUTES,
    DEFAULT_ROUTE_NIC,
    CLAIM,
    STICKY,
];
/// What a namespace may ask for.
const NAMESPACE: [&str; 2] = [DEFAULT_IPV4_IPPOOL, DEFAULT_IPV6_IPPOOL];
/// Settings of the sets that `subnet` and `subnets` ask for.
const OF_SETS: [&str; 2] = [IPPOOL_IP_NUMBER, IPPOOL_RECLAIM];
/// What workloads of Spiderpool carry besides, and what it never read or wrote for people to read.
const WITHOUT_EFFECT: [&str; 3] = ["dns", "cdi-version", "network-status"];
/// In its older versions, followed by the name of an interface.
const ASSIGNED: &str = "assigned-";

/// The key of an annotation that only leasehold has.
pub(super) fn ours(name: &str) -> String {
    format!("{OURS}{name}")
}

/// An annotation that asks for what leasehold does not give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("annotation {annotation} {problem}")]
pub struct Unserved {
    /// Its key.
    pub annotation: String,
    /// Why not, and what to write instead.
    pub problem: String,
}

/// Refuses the first annotation of a pod that is not served.
pub fn of_pod(annotations: &Annotations) -> Result<(), Unserved> {
    served(annotations, &POD, (&NAMESPACE, "namespace"))
}

/// Refuses the first annotation of a namespace that is not served.
pub fn of_namespace(annotations: &Annotations) -> Result<(), Unserved> {
    served(annotations, &NAMESPACE, (&POD, "pod"))
}

fn served(
    annotations: &Annotations,
    known: &[&str],
    (others, owner): (&[&str], &str),
) -> Result<(), Unserved> {
    for (key, text) in annotations {
        let Some((prefix, name)) = PREFIXES
            .into_iter()
            .find_map(|prefix| Some((prefix, key.strip_prefix(prefix)?)))
        else {
            continue;
        };
        let theirs = prefix == SPIDERPOOL;
        let problem = if theirs && name == STICKY {
            format!("is not one of Spiderpool's; write {OURS}{STICKY}")
        } else if !theirs
            && known == POD
            && OF_SETS.contains(&name)
            && lacks_subnet(annotations, text)
        {
            format!("has no effect without {SUBNET} or {SUBNETS}: add one, or leave it away")
        } else if known.contains(&name) || theirs && is_without_effect(name, others) {
            continue;
        } else if others.contains(&name) {
            format!("belongs on a {owner}, and has no effect here")
        } else {
            format!("is unknown; {}", hint(name, known))
        };
        return Err(Unserved {
            annotation: both_ends(key),
            problem,
        });
    }
    Ok(())
}

/// Whether a setting of sets, as written, is beside no annotation that asks for one.
fn lacks_subnet(annotations: &Annotations, setting: &str) -> bool {
    !json::names_nothing(setting) && !names_subnet(annotations)
}

/// Whether a pod with these annotations asks for a set of a Subnet.
#[must_use]
pub fn names_subnet(annotations: &Annotations) -> bool {
    let names_any = |name| find(annotations, name).is_some_and(|(_, t)| !json::names_nothing(t));
    names_any(SUBNET) || names_any(SUBNETS)
}

/// Whether Spiderpool's annotation `name` has no effect on such an object there either.
fn is_without_effect(name: &str, others: &[&str]) -> bool {
    WITHOUT_EFFECT.contains(&name) || name.starts_with(ASSIGNED) || others.contains(&name)
}
