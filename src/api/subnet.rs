//! A layer-2 segment, as a network engineer describes it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{IPPoolStatus, LabelSelector, rules, schema};

/// A segment: a pool of the same subnet and VRF inherits what it does not set itself.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "leasehold.io",
    version = "v1alpha1",
    kind = "Subnet",
    plural = "subnets",
    shortname = "lhsubnet",
    category = "leasehold",
    status = "IPPoolStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A Subnet describes a layer-2 segment once, for all IPPools in it.",
    printcolumn(name = "Subnet", type_ = "string", json_path = ".spec.subnet"),
    printcolumn(name = "Gateway", type_ = "string", json_path = ".spec.gateway"),
    printcolumn(name = "VRF", type_ = "string", json_path = ".spec.vrf"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Free",
        type_ = "integer",
        json_path = ".status.free",
        description = "addresses without a lease, as the collector counted last",
        priority = 1
    ),
    printcolumn(
        name = "Capacity",
        type_ = "integer",
        json_path = ".status.capacity",
        description = "addresses that sets may have at all",
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
pub struct SubnetSpec {
    /// The segment as a CIDR in canonical form, for example `10.6.0.0/16` or `fd00:6::/64`. Pools
    /// of the same CIDR and VRF inherit from this object. Immutable.
    #[schemars(schema_with = "schema::subnet")]
    pub subnet: String,

    /// The addresses that sets are made of, for pods that name this Subnet: addresses (`10.6.0.9`),
    /// ranges (`10.6.0.10-10.6.0.99`) or CIDRs (`10.6.1.0/24`) inside the subnet. Default: the
    /// whole subnet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::spans")]
    pub ips: Vec<String>,

    /// Addresses of `ips` that no set gets, in the same forms. Default: none.
    #[serde(rename = "excludeIPs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::spans")]
    pub exclude_ips: Vec<String>,

    /// The address of the router, inside the subnet or link-local in IPv6 (`fe80::1`), for pools
    /// that set none. An edit applies to pods that start after it. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::address")]
    pub gateway: Option<String>,

    /// Further routes, for all pools of the segment that have none to the same destination. An edit
    /// applies to pods that start after it. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = schema::MAX_ROUTES),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["dst"])
    )]
    pub routes: Vec<RouteSpec>,

    /// Makes sets only for namespaces with such labels. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub namespace_affinity: Option<LabelSelector>,

    /// Makes sets only for pods on nodes with such labels: of several Subnets that a pod names, the
    /// one of its zone. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub node_affinity: Option<LabelSelector>,

    /// The address space of the segment: a DNS label that begins with a letter. Default: `""`, the
    /// cluster's own. Immutable.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "schema::vrf_of_its_own")]
    pub vrf: String,
}

/// A route that a pod gets with its address.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RouteSpec {
    /// The destination as a CIDR in canonical form, for example `192.168.0.0/16`; each one once in
    /// a list. Not a default route: set `gateway` instead.
    #[schemars(schema_with = "schema::destination")]
    pub dst: String,

    /// The next hop: an address inside the subnet, or a link-local one in IPv6.
    #[schemars(schema_with = "schema::address")]
    pub gw: String,
}
