//! The keys of all annotations that are read, and those of our prefixes that are refused.
//!
//! An annotation asks for something. One that leasehold does not serve is refused by name, because
//! a pod without it would run with an address that it was not meant to have.

use super::{Annotations, json};
use crate::json::hint;
use crate::text::both_ends;

/// Our prefix, and that of workloads that come from Spiderpool.
pub(super) const PREFIXES: [&str; 2] = [OURS, SPIDERPOOL];
const OURS: &str = "ipam.leasehold.io/";
const SPIDERPOOL: &str = "ipam.spidernet.io/";

pub(super) const IPPOOL: &str = "ippool";
pub(super) const IPPOOLS: &str = "ippools";
pub(super) const CLAIM: &str = "claim";
const SUBNET: &str = "subnet";
const SUBNETS: &str = "subnets";
const IPPOOL_IP_NUMBER: &str = "ippool-ip-number";
const IPPOOL_RECLAIM: &str = "ippool-reclaim";
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
const POD: [&str; 6] = [IPPOOL, IPPOOLS, ROUTES, DEFAULT_ROUTE_NIC, CLAIM, STICKY];
/// What a namespace may ask for.
const NAMESPACE: [&str; 2] = [DEFAULT_IPV4_IPPOOL, DEFAULT_IPV6_IPPOOL];
/// What a later version serves: addresses that outlive a pod.
const LATER: [&str; 4] = [SUBNETS, SUBNET, IPPOOL_IP_NUMBER, IPPOOL_RECLAIM];
/// What workloads of Spiderpool carry besides, and what has no effect there by itself: settings of
/// a `subnet`, which is refused itself, and what Spiderpool never read or wrote for people to read.
const WITHOUT_EFFECT: [&str; 5] = [
    IPPOOL_IP_NUMBER,
    IPPOOL_RECLAIM,
    "dns",
    "cdi-version",
    "network-status",
];
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
        } else if known.contains(&name) || theirs && is_without_effect(name, others) {
            continue;
        } else if LATER.contains(&name) {
            let hidden = theirs && annotations.contains_key(&format!("{OURS}{name}"));
            if hidden || json::names_nothing(text) {
                continue;
            }
            "is not served by this version; name pools in ippool or ippools".to_owned()
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

/// Whether Spiderpool's annotation `name` has no effect on such an object there either.
fn is_without_effect(name: &str, others: &[&str]) -> bool {
    WITHOUT_EFFECT.contains(&name) || name.starts_with(ASSIGNED) || others.contains(&name)
}
