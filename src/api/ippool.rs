//! Where addresses come from.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, LabelSelector, MicroTime, RouteSpec, rules, schema};

/// What a pool gives, and to whom.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "leasehold.io",
    version = "v1alpha1",
    kind = "IPPool",
    plural = "ippools",
    shortname = "lhpool",
    category = "leasehold",
    status = "IPPoolStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "An IPPool defines which addresses of a subnet pods may have, and which pods.",
    printcolumn(name = "Subnet", type_ = "string", json_path = ".spec.subnet"),
    printcolumn(
        name = "Free",
        type_ = "integer",
        json_path = ".status.free",
        description = "addresses without a lease, as the collector counted last"
    ),
    printcolumn(
        name = "Held",
        type_ = "integer",
        json_path = ".status.held",
        description = "addresses that pods have"
    ),
    printcolumn(
        name = "Capacity",
        type_ = "integer",
        json_path = ".status.capacity",
        description = "addresses that the pool may give at all"
    ),
    printcolumn(
        name = "Default",
        type_ = "boolean",
        json_path = ".spec.default",
        description = "whether it serves pods that name no pool"
    ),
    printcolumn(
        name = "Disabled",
        type_ = "boolean",
        json_path = ".spec.disable",
        description = "whether it gives no new address"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Waiting",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"LeasesKept\")].message",
        description = "leases of pods that are gone which wait for a person: on which node, and what to do"
    ),
    printcolumn(name = "VRF", type_ = "string", json_path = ".spec.vrf", priority = 1),
    printcolumn(
        name = "Gateway",
        type_ = "string",
        json_path = ".spec.gateway",
        priority = 1
    ),
    printcolumn(
        name = "Cooling",
        type_ = "integer",
        json_path = ".status.cooling",
        priority = 1
    ),
    printcolumn(
        name = "Retained",
        type_ = "integer",
        json_path = ".status.retained",
        priority = 1
    ),
    printcolumn(
        name = "Quarantined",
        type_ = "integer",
        json_path = ".status.quarantined",
        priority = 1
    ),
    printcolumn(
        name = "Observed",
        type_ = "date",
        json_path = ".status.observedAt",
        description = "how old the numbers are",
        priority = 1
    )
)]
#[x_kube(
    validation = rules::ips_inside_subnet(),
    validation = rules::exclude_ips_inside_subnet(),
    validation = rules::gateway_on_the_link(),
    validation = rules::destinations_of_the_subnets_family(),
    validation = rules::next_hops_on_the_link(),
)]
#[serde(rename_all = "camelCase")]
pub struct IPPoolSpec {
    /// The layer-2 subnet as a CIDR in canonical form, for example `10.6.0.0/16` or `fd00:6::/64`.
    /// Its family is the pool's, and every address is given with its prefix length. Immutable.
    #[schemars(schema_with = "schema::subnet")]
    pub subnet: String,

    /// What the pool may give: addresses (`10.6.0.9`), ranges (`10.6.0.10-10.6.0.99`) or CIDRs
    /// (`10.6.1.0/24`) inside the subnet. Empty, as by default: the whole subnet. The network and
    /// broadcast addresses of an IPv4 subnet, the subnet-router anycast address of an IPv6 subnet,
    /// the gateway and what a ReservedIP lists are never given, whatever stands here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::spans")]
    pub ips: Vec<String>,

    /// What of the above is not given, in the same forms. Default: nothing.
    #[serde(rename = "excludeIPs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::spans")]
    pub exclude_ips: Vec<String>,

    /// The address of the router, inside the subnet or link-local in IPv6 (`fe80::1`): the pods'
    /// default route goes there, and no pod ever has it. Default: the gateway of the Subnet object
    /// of this subnet, if there is one, else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub gateway: Option<String>,

    /// Further routes that a pod gets with its address, besides those of the Subnet object of this
    /// subnet, if there is one; of two routes to one destination the pool's counts. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = schema::MAX_ROUTES),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["dst"])
    )]
    pub routes: Vec<RouteSpec>,

    /// Whether the pool serves pods that name no pool, and whose namespace and CNI configuration
    /// name none. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub default: bool,

    /// Whether the pool gives no new address. Pods that have one keep it, and give it back as ever.
    /// Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub disable: bool,

    /// Serves only pods with such labels. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub pod_affinity: Option<LabelSelector>,

    /// Serves only namespaces with such labels; ignored where `namespaceName` is set. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub namespace_affinity: Option<LabelSelector>,

    /// Serves only nodes with such labels; ignored where `nodeName` is set. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub node_affinity: Option<LabelSelector>,

    /// Serves only these namespaces, each by its exact name. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::namespaces")]
    pub namespace_name: Vec<String>,

    /// Serves only these nodes, each by its exact name. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::nodes")]
    pub node_name: Vec<String>,

    /// Serves only these network attachments: `namespace/name`, or `name` for one of that name in
    /// any namespace. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::attachments")]
    pub multus_name: Vec<String>,

    /// The address space in which the addresses are unique: a DNS label that begins with a letter.
    /// The same address may be used once in each. Default: `""`, the cluster's own. Immutable.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "schema::vrf_of_its_own")]
    pub vrf: String,

    /// For how many seconds a released address rests before another pod gets it, as long as another
    /// one is free. 0: not at all. Default: 30.
    #[serde(default = "super::cooldown_seconds")]
    #[schemars(range(min = 0, max = schema::MAX_COOLDOWN_SECONDS))]
    pub cooldown_seconds: i64,
}

impl Default for IPPoolSpec {
    fn default() -> Self {
        Self {
            subnet: String::new(),
            ips: Vec::new(),
            exclude_ips: Vec::new(),
            gateway: None,
            routes: Vec::new(),
            default: false,
            disable: false,
            pod_affinity: None,
            namespace_affinity: None,
            node_affinity: None,
            namespace_name: Vec::new(),
            node_name: Vec::new(),
            multus_name: Vec::new(),
            vrf: String::new(),
            cooldown_seconds: super::COOLDOWN_SECONDS,
        }
    }
}

/// What the collector last saw of the pool. Nothing decides by it: an address is given or not by
/// its lease.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct IPPoolStatus {
    /// How many addresses the pool may give at all; 9223372036854775807 stands for that many or
    /// more.
    pub capacity: i64,

    /// How many of them pods have.
    pub held: i64,

    /// How many were released and rest: they are given when nothing else is free.
    pub cooling: i64,

    /// How many are kept for a claim while no pod runs on them.
    pub retained: i64,

    /// How many are left alone because a machine outside the cluster answers for them.
    pub quarantined: i64,

    /// How many have no lease; 9223372036854775807 stands for that many or more.
    pub free: i64,

    /// Some of the addresses without a lease, where most of the pool is taken: a pod that needs one
    /// tries these first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::sample")]
    pub sample: Vec<String>,

    /// How many the collector released from pods that were gone, since the pool exists.
    pub reclaimed: i64,

    /// How many leases of pods that look dead are kept, by what keeps them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub kept: BTreeMap<String, i64>,

    /// What is wrong with the pool, if anything: `Exhausted` (no address is left, cooling ones
    /// included), `Overlapping` (another pool of the same vrf may give some of its addresses;
    /// harmless, but seldom meant), `OutOfRange` (pods have addresses that the pool would not give
    /// today), `LeasesKept` (addresses of dead pods wait for a person), `AddressContested` (two
    /// living pods use one address).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The generation of the spec that was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// When the collector counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<MicroTime>,
}
