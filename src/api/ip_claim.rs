//! A set of addresses, and who may use it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, rules, schema};

/// Which addresses a claim has: listed ones, so many of some pools, or, for a derived claim, so
/// many of a Subnet as its owner needs.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "leasehold.io",
    version = "v1alpha1",
    kind = "IPClaim",
    plural = "ipclaims",
    shortname = "lhclaim",
    category = "leasehold",
    namespaced,
    status = "IPClaimStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "An IPClaim is a set of addresses for an application of its namespace, kept while no pod uses them.",
    validation = rules::derived_name(),
    printcolumn(
        name = "Size",
        type_ = "integer",
        json_path = ".status.size",
        description = "how many addresses are in the set"
    ),
    printcolumn(
        name = "Used",
        type_ = "integer",
        json_path = ".status.used",
        description = "how many of them pods have, as the collector counted last"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner.name"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Addresses",
        type_ = "string",
        json_path = ".status.addresses",
        priority = 1
    ),
    printcolumn(
        name = "Confirmed",
        type_ = "string",
        json_path = ".status.confirmed",
        description = "what a firewall may be opened for",
        priority = 1
    ),
    printcolumn(name = "VRF", type_ = "string", json_path = ".spec.vrf", priority = 1)
)]
#[x_kube(
    validation = rules::one_way_to_name_addresses(),
    validation = rules::size_of_pools(),
    validation = rules::owner_for_ever(),
)]
#[serde(rename_all = "camelCase")]
pub struct IPClaimSpec {
    /// The addresses of the set: single ones (`10.6.0.9`), ranges (`10.6.0.10-10.6.0.19`) or CIDRs
    /// (`10.6.1.0/28`), at most 1,024 of each family. Each must be one that a pool may give to the
    /// namespace. With one address, it is the fixed address of a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::spans")]
    pub addresses: Vec<String>,

    /// How many addresses the set has, of each family that `pools` have. The collector chooses
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = schema::MAX_CLAIM_SIZE))]
    pub size: Option<i64>,

    /// The pools that `size` addresses come out of, in order of preference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::pool_names")]
    pub pools: Vec<String>,

    /// The address space of the addresses. Default: `""`, the cluster's own. Immutable.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "schema::vrf_of_its_own")]
    pub vrf: String,

    /// Of a derived claim, which the plugin makes for the annotations `subnet` and `subnets`: the
    /// application that it is for. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<SetOwner>,

    /// Whether the collector deletes a derived claim some time after its owner; `false` where the
    /// pods' annotation `ippool-reclaim` says so. Default: true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reclaim: Option<bool>,
}

/// An application, by the object that its pods go back to, and what its set is for.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SetOwner {
    /// The API group of the owner, for example `apps`; empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub group: String,

    /// The kind of the owner, for example `Deployment`.
    #[schemars(length(max = 63))]
    pub kind: String,

    /// The name of the owner.
    #[schemars(length(max = 253))]
    pub name: String,

    /// The interface of the pods that the addresses are for.
    #[schemars(length(max = 15))]
    pub interface: String,

    /// The `name` of the CNI configuration.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub network: String,

    /// The Subnet that the addresses come out of.
    #[schemars(length(max = 253))]
    pub subnet: String,
}

/// The set as it is. Only the leases say who has an address.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct IPClaimStatus {
    /// The set: an address is a member while it is listed here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::members")]
    pub addresses: Vec<String>,

    /// The members that no pod but the set's own can have any more: what a firewall may be opened
    /// for. Written by the collector alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::members")]
    pub confirmed: Vec<String>,

    /// Members that no pod takes any more, because they are to leave the set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::members")]
    pub leaving: Vec<String>,

    /// How many addresses are listed.
    pub size: i64,

    /// How many of them pods have, as the collector counted last.
    pub used: i64,

    /// Which pod's call makes the set or enlarges it, until it has written `addresses`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maker: Option<ClaimWriter>,

    /// Which pod's call wrote last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer: Option<ClaimWriter>,

    /// `Ready`: whether all addresses that the spec asks for are confirmed; if not, because of
    /// `PoolFull`, `Incomplete` or `NotAllowed`. `OwnerGone`: whether the owner of a derived claim
    /// does not exist. `Unused`: whether no pod of it asks for the claim any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that the collector has resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A call for a pod of the claim's namespace.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClaimWriter {
    /// The pod's name.
    #[schemars(length(max = 253))]
    pub pod: String,

    /// The node that the pod runs on.
    #[schemars(length(max = 253))]
    pub node: String,

    /// The sandbox that the call is for.
    #[schemars(length(max = 253))]
    pub container: String,

    /// How often a maker has said that it is still at work.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub renewals: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}
