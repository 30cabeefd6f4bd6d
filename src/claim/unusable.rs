//! Why a set has no address for a pod, in words that say what to do.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::set::{Claim, ClaimName, InvalidClaim, Source};
use crate::ip::Family;
use crate::text::first_few;

/// Why a set has no address for a pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no such claim.
    #[error(
        "IPClaim {0} does not exist: create it, or correct the pod's annotation ipam.leasehold.io/claim"
    )]
    Missing(ClaimName),
    /// It has a deletion timestamp.
    #[error(
        "IPClaim {0} is being deleted: create it again once it is gone, or name another in the pod's annotation ipam.leasehold.io/claim"
    )]
    Deleting(ClaimName),
    /// It can't be understood.
    #[error("correct IPClaim {0}: {1}")]
    Invalid(ClaimName, Box<InvalidClaim>),
    /// Its addresses are not chosen yet.
    #[error(
        "IPClaim {claim} has no {family} addresses yet: the collector chooses them, and its condition Ready says what keeps it from that"
    )]
    Unresolved {
        /// The claim.
        claim: ClaimName,
        /// Of which family.
        family: Family,
    },
    /// Each of its addresses is in use, or not for this pod.
    #[error(
        "IPClaim {claim} is full: {what}; enlarge it or end a pod that has one of its addresses"
    )]
    Full {
        /// The claim.
        claim: ClaimName,
        /// Who has the addresses.
        what: String,
    },
}

impl Unusable {
    /// A set of which no address is left, each of them for that reason.
    #[must_use]
    pub fn full(claim: &Claim, family: Family, unavailable: &BTreeMap<IpAddr, String>) -> Self {
        let name = claim.name.clone();
        if unavailable.is_empty() && !matches!(claim.source, Source::Listed(_)) {
            return Self::Unresolved {
                claim: name,
                family,
            };
        }
        let each: Vec<String> = unavailable
            .iter()
            .map(|(address, why)| format!("{address} is {why}"))
            .collect();
        let what = match each.len() {
            0 => format!("its {family} addresses are to leave it"),
            1 => each.concat(),
            count => format!("of its {count} {family} addresses {}", first_few(&each)),
        };
        Self::Full { claim: name, what }
    }
}
