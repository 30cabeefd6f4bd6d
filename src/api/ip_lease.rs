//! Who holds an address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MicroTime, rules, schema};
use crate::ip::Vrf;

/// One address in use. Only whole leases are written, at the version that was read.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "leasehold.io",
    version = "v1alpha1",
    kind = "IPLease",
    plural = "ipleases",
    shortname = "lhlease",
    category = "leasehold",
    derive = "PartialEq",
    derive = "Default",
    doc = "An IPLease records who holds an address. It is named by the address, so no other pod can hold it too.",
    validation = rules::named_by_its_address(),
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.pool"),
    printcolumn(name = "State", type_ = "string", json_path = ".spec.state"),
    printcolumn(name = "Namespace", type_ = "string", json_path = ".spec.holder.namespace"),
    printcolumn(name = "Pod", type_ = "string", json_path = ".spec.holder.pod"),
    printcolumn(name = "Interface", type_ = "string", json_path = ".spec.holder.interface"),
    printcolumn(name = "Node", type_ = "string", json_path = ".spec.holder.node"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "VRF", type_ = "string", json_path = ".spec.vrf", priority = 1),
    // A string, since of a date a table holds the age alone.
    printcolumn(name = "Released", type_ = "string", json_path = ".spec.releasedAt", priority = 1),
    printcolumn(
        name = "Cooldown",
        type_ = "integer",
        json_path = ".spec.cooldownSeconds",
        priority = 1
    ),
    printcolumn(name = "Claim", type_ = "string", json_path = ".spec.claim.name", priority = 1),
    printcolumn(
        name = "Claim Kind",
        type_ = "string",
        json_path = ".spec.claim.kind",
        priority = 1
    ),
    selectable = ".spec.pool",
    selectable = ".spec.state",
    selectable = ".spec.vrf",
    selectable = ".spec.holder.node",
    selectable = ".spec.holder.namespace",
    selectable = ".spec.holder.uid",
    selectable = ".spec.holder.container",
    selectable = ".spec.claim.name"
)]
#[x_kube(
    validation = rules::held_has_a_holder(),
    validation = rules::cooling_since(),
    validation = rules::cooling_without_a_claim(),
    validation = rules::quarantined_until(),
    validation = rules::second_holder_of_a_claim(),
)]
// One field to track for the server's field managers instead of a dozen: a quarter less to store.
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
#[serde(rename_all = "camelCase")]
pub struct IPLeaseSpec {
    /// The address in canonical form, for example `10.6.0.9` or `fd00:6::9`. Immutable.
    #[schemars(schema_with = "schema::address_of_its_own")]
    pub address: String,

    /// The address space in which the address is unique. Default: `""`, the cluster's own.
    /// Immutable.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "schema::vrf_of_its_own")]
    pub vrf: String,

    /// The IPPool that the address came out of. Empty only where a person made the lease.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub pool: String,

    /// `Held`: the holder has it. `Cooling`: it was released at `releasedAt` and rests; the same
    /// pod and interface may take it back at once. `Retained`: no pod runs on it, and no other pod
    /// gets it. `Quarantined`: a machine outside the cluster answers for it.
    pub state: State,

    /// Who has the address; while it is cooling or retained, who had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,

    /// A second holder of the same claim, while a virtual machine moves from one pod to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub co_holder: Option<Holder>,

    /// What keeps the address beyond the life of a pod. Default: nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimRef>,

    /// For how many seconds the address rests after its release; taken from the pool when the
    /// address was given. 0: it is free at once. Default: 30.
    #[serde(default = "super::cooldown_seconds")]
    #[schemars(range(min = 0, max = schema::MAX_COOLDOWN_SECONDS))]
    pub cooldown_seconds: i64,

    /// For how many seconds the holder's containers may run on after its pod is gone; taken from
    /// the pod when the address was given, and raised where the pod is deleted with more. Default:
    /// 30.
    #[serde(default = "super::termination_grace_period_seconds")]
    #[schemars(range(min = 0, max = super::MAX_TERMINATION_GRACE_PERIOD_SECONDS))]
    pub termination_grace_period_seconds: i64,

    /// When the holder took it, by the clock of the holder's node.
    #[serde(
        default,
        deserialize_with = "super::time::clamped",
        skip_serializing_if = "Option::is_none"
    )]
    pub held_since: Option<MicroTime>,

    /// When it was released, by the clock of the process that released it.
    #[serde(
        default,
        deserialize_with = "super::time::clamped",
        skip_serializing_if = "Option::is_none"
    )]
    pub released_at: Option<MicroTime>,

    /// Whether the holder's attachment failed after the address was given, for example because
    /// another machine answers for it. The same pod then prefers another address. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attachment_failed: bool,

    /// Until when it stays in quarantine.
    #[serde(
        default,
        deserialize_with = "super::time::clamped",
        skip_serializing_if = "Option::is_none"
    )]
    pub quarantined_until: Option<MicroTime>,

    /// The hardware address of the machine outside the cluster that answers for it.
    #[serde(
        rename = "foreignMAC",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(max = 59))]
    pub foreign_mac: Option<String>,

    /// What a newer version wrote here: a replace must not lose it.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, Value>,
}

impl Default for IPLeaseSpec {
    fn default() -> Self {
        Self {
            address: String::new(),
            vrf: String::new(),
            pool: String::new(),
            state: State::default(),
            holder: None,
            co_holder: None,
            claim: None,
            cooldown_seconds: super::COOLDOWN_SECONDS,
            termination_grace_period_seconds: super::TERMINATION_GRACE_PERIOD_SECONDS,
            held_since: None,
            released_at: None,
            attachment_failed: false,
            quarantined_until: None,
            foreign_mac: None,
            unknown: BTreeMap::new(),
        }
    }
}

/// What an address is doing.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[schemars(inline)]
pub enum State {
    /// A pod has it.
    #[default]
    Held,
    /// It was released and rests.
    Cooling,
    /// Kept for a claim, and no pod runs on it.
    Retained,
    /// A machine outside the cluster answers for it.
    Quarantined,
    /// A newer version knows what. Such a lease belongs to another pod: it is read, so that one of
    /// them does not spoil a whole list, and never written.
    #[serde(other, skip_serializing)]
    #[schemars(skip)]
    Unknown,
}

/// The attachment that has an address: one interface of one pod.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The pod's namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,

    /// The pod's name.
    #[schemars(length(max = 253))]
    pub pod: String,

    /// The pod's uid: a pod of the same name made later is another one.
    #[schemars(length(max = 128))]
    pub uid: String,

    /// The node that the pod runs on.
    #[schemars(length(max = 253))]
    pub node: String,

    /// The sandbox, as the container runtime calls it. Empty where the lease was made again from
    /// what the pod reports.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub container: String,

    /// The interface in the pod, for example `eth0`.
    #[schemars(length(max = 15))]
    pub interface: String,

    /// The `name` of the CNI configuration.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub network: String,

    /// What a newer version wrote here: a replace must not lose it.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, Value>,
}

/// What keeps an address when no pod runs on it: a pod's name, or an IPClaim.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClaimRef {
    /// `Pod`: the address is kept for the pod of this name, whatever its uid and its node.
    /// `IPClaim`: it belongs to the set of the IPClaim of this name.
    #[schemars(schema_with = "schema::claim_kind")]
    pub kind: ClaimKind,

    /// The namespace of the pod or the IPClaim.
    #[schemars(length(max = 63))]
    pub namespace: String,

    /// The name of the pod or the IPClaim.
    #[schemars(length(max = 253))]
    pub name: String,

    /// For which interface of the pod the address is kept, for example `eth0`. Empty for an
    /// IPClaim.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 15))]
    pub interface: String,

    /// The `name` of the CNI configuration of that interface. Empty for an IPClaim.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub network: String,

    /// The application that the address is kept for: while it exists, so does the claim. Default:
    /// none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ClaimOwner>,

    /// What a newer version wrote here: a replace must not lose it.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, Value>,
}

/// What kind of thing a claim names.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub enum ClaimKind {
    /// A pod's name, which outlives each pod that bears it.
    #[default]
    Pod,
    /// An IPClaim.
    IPClaim,
    /// What a newer version knows.
    #[serde(untagged)]
    Other(String),
}

/// The object that controls the pods of an application. Its uid does not count: one that is deleted
/// and made again keeps its addresses.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClaimOwner {
    /// Its API group, for example `apps`. Empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub group: String,

    /// Its kind, for example `StatefulSet`.
    #[schemars(length(max = 63))]
    pub kind: String,

    /// Its name, in the claim's namespace.
    #[schemars(length(max = 253))]
    pub name: String,

    /// What a newer version wrote here: a replace must not lose it.
    #[serde(flatten)]
    #[schemars(skip)]
    pub unknown: BTreeMap<String, Value>,
}

/// The name of the lease of `address` in `vrf`.
///
/// An IPv4 address as it is written, an IPv6 address as eight groups without leading zeros joined
/// by `-` (a name may hold no `:`), and `<vrf>.` in front unless it is the default one. A vrf
/// begins with a letter and holds no dot: no two pairs share a name.
#[must_use]
pub fn lease_name(vrf: &Vrf, address: IpAddr) -> String {
    let name = match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join("-"),
    };
    if vrf.is_default() {
        name
    } else {
        format!("{vrf}.{name}")
    }
}
