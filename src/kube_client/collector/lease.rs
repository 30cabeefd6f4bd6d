//! What is read of a lease.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::collector::{HolderSnapshot, LeaseSnapshot};
use crate::kube_client::plugin::termination;
use crate::lease::State;

#[derive(Deserialize)]
pub(super) struct LeaseObject {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    uid: Box<str>,
    resource_version: Box<str>,
    creation_timestamp: Option<Timestamp>,
    #[serde(default)]
    managed_fields: Vec<Managed>,
}

/// Who wrote which fields; the latest of its times is that of this version (Kubernetes, "Server-Side Apply").
#[derive(Deserialize)]
struct Managed {
    time: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    pool: Box<str>,
    state: State,
    holder: Option<Holder>,
    co_holder: Option<IgnoredAny>,
    claim: Option<Claim>,
    #[serde(default)]
    cooldown_seconds: u64,
    termination_grace_period_seconds: Option<i64>,
    held_since: Option<Timestamp>,
    released_at: Option<Timestamp>,
    quarantined_until: Option<Timestamp>,
    gone_since: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Holder {
    namespace: Box<str>,
    pod: Box<str>,
    uid: Box<str>,
    node: Box<str>,
    interface: Box<str>,
    #[serde(default)]
    network: Box<str>,
}

#[derive(Deserialize)]
struct Claim {
    namespace: Box<str>,
    name: Box<str>,
}

impl LeaseObject {
    /// `None` for a name that is no address.
    pub fn seen(self) -> Option<LeaseSnapshot> {
        let Self { metadata, spec } = self;
        let over = match spec.state {
            State::Cooling => {
                let cooldown = Duration::from_secs(spec.cooldown_seconds);
                // Without a time it was released at any.
                let released = spec.released_at.unwrap_or(Timestamp::MIN);
                released.checked_add(cooldown).ok()
            }
            State::Quarantined => spec.quarantined_until,
            State::Held | State::Retained | State::Unknown => None,
        };
        let times = metadata.managed_fields.iter().filter_map(|m| m.time);
        Some(LeaseSnapshot {
            name: metadata.name.parse().ok()?,
            uid: metadata.uid,
            version: metadata.resource_version,
            written: times.chain(metadata.creation_timestamp).max(),
            state: spec.state,
            pool: spec.pool.into(),
            holder: spec.holder.map(HolderSnapshot::from),
            shared: spec.co_holder.is_some(),
            claim: spec.claim.map(|claim| (claim.namespace, claim.name)),
            held_since: spec.held_since,
            over,
            termination: termination(spec.termination_grace_period_seconds),
            gone_since: spec.gone_since,
        })
    }
}

impl From<Holder> for HolderSnapshot {
    fn from(holder: Holder) -> Self {
        Self {
            namespace: holder.namespace,
            pod: holder.pod,
            uid: holder.uid,
            node: holder.node,
            interface: holder.interface,
            network: holder.network,
        }
    }
}
