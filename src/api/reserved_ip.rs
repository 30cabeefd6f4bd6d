//! Addresses in use outside the cluster.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Addresses that no pool of the same VRF gives from now on. A pod that has one already keeps it.
#[derive(CustomResource, JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[kube(
    group = "leasehold.io",
    version = "v1alpha1",
    kind = "ReservedIP",
    plural = "reservedips",
    shortname = "lhreserved",
    category = "leasehold",
    derive = "PartialEq",
    derive = "Default",
    doc = "A ReservedIP keeps addresses out of every IPPool, because something outside the cluster uses them.",
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason"),
    printcolumn(name = "VRF", type_ = "string", json_path = ".spec.vrf"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(name = "IPs", type_ = "string", json_path = ".spec.ips", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct ReservedIPSpec {
    /// The addresses: single ones (`10.6.0.9`), ranges (`10.6.0.10-10.6.0.99`) or CIDRs
    /// (`10.6.1.0/24`), of both families.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::spans")]
    pub ips: Vec<String>,

    /// The address space in which they are reserved. Default: `""`, the cluster's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(schema_with = "schema::vrf")]
    pub vrf: String,

    /// Who uses them, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}
