//! What is read of a node and of its heartbeat.

use serde::Deserialize;

use crate::collector::NodeSnapshot;
use crate::ip;

/// By which an administrator vouches that a node is shut down (Kubernetes, "Non-graceful node
/// shutdown").
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Box<str>,
    resource_version: Box<str>,
}

#[derive(Deserialize)]
pub(super) struct NodeObject {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    taints: Vec<Taint>,
}

#[derive(Deserialize)]
struct Taint {
    key: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    addresses: Vec<Address>,
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "type")]
    kind: String,
    address: String,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl NodeObject {
    pub fn named(self) -> (Box<str>, NodeSnapshot) {
        let internal = self
            .status
            .addresses
            .iter()
            .filter(|a| a.kind == "InternalIP");
        let ready = |c: &Condition| c.kind == "Ready" && c.status == "True";
        let node = NodeSnapshot {
            addresses: internal.filter_map(|a| ip::reported(&a.address)).collect(),
            out_of_service: self.spec.taints.iter().any(|t| t.key == OUT_OF_SERVICE),
            ready: self.status.conditions.iter().any(ready),
        };
        (self.metadata.name, node)
    }
}

#[derive(Deserialize)]
pub(super) struct HeartbeatObject {
    metadata: Metadata,
}

impl HeartbeatObject {
    /// The node's name, and the version of its heartbeat.
    pub fn named(self) -> (Box<str>, Box<str>) {
        (self.metadata.name, self.metadata.resource_version)
    }
}
