//! The kinds of the group `leasehold.io`, as they are written.
//!
//! Here a value is what the API server stores: text that the schema has checked, and nothing more.
//! What the text means (an address, a span, a selector) is for those who read it. The definitions
//! in `crds/` are made from these types, so that the documentation of a field is also what
//! `kubectl explain` shows.
//!
//! # Invariants
//!
//! The schema admits an [`IPLease`] only under the name that [`lease_name`] gives to its address:
//! two leases of one address can't exist, and everything else rests on that.

#![expect(
    clippy::duplicated_attributes,
    reason = "two printer columns of one type are two columns"
)]

mod definitions;
mod ip_claim;
mod ip_lease;
mod ippool;
mod reserved_ip;
mod rules;
mod schema;
mod subnet;
mod time;

pub use definitions::definitions;
pub use ip_claim::{ClaimWriter, IPClaim, IPClaimSpec, IPClaimStatus, SetOwner};
pub use ip_lease::{
    ClaimKind, ClaimOwner, ClaimRef, Holder, IPLease, IPLeaseSpec, State, lease_name,
};
pub use ippool::{IPPool, IPPoolSpec, IPPoolStatus};
pub use reserved_ip::{ReservedIP, ReservedIPSpec};
pub use schema::MAX_CLAIM_SIZE;
pub use subnet::{RouteSpec, Subnet, SubnetSpec};

pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    Condition, LabelSelector, LabelSelectorRequirement, MicroTime, Time,
};
pub use kube::ResourceExt;
pub use kube::core::{Expression, ParseExpressionError, Selector, SelectorExt};

/// How long a released address rests by default, in seconds.
///
/// Neighbors keep an address in their ARP and NDP caches for some tens of seconds.
pub const COOLDOWN_SECONDS: i64 = 30;

fn cooldown_seconds() -> i64 {
    COOLDOWN_SECONDS
}

/// How long a pod may take to end by default, in seconds (Kubernetes, `PodSpec`).
pub const TERMINATION_GRACE_PERIOD_SECONDS: i64 = 30;

/// A pod may have any number of seconds there; more than a year counts as a year.
pub const MAX_TERMINATION_GRACE_PERIOD_SECONDS: i64 = 365 * 86_400;

fn termination_grace_period_seconds() -> i64 {
    TERMINATION_GRACE_PERIOD_SECONDS
}

#[cfg(test)]
mod tests;
