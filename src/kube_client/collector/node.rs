//! What is read of a node and of its heartbeat.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Deserialize;

use crate::collector::NodeSnapshot;

/// By which somebody vouches that a node is shut down (Kubernetes, "Non-graceful node shutdown").
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

#[derive(Deserialize)]
struct Metadata {
    name: Box<str>,
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
        let seen = NodeSnapshot {
            addresses: internal
                .filter_map(|a| a.address.parse::<IpAddr>().ok())
                .collect(),
            out_of_service: self.spec.taints.iter().any(|t| t.key == OUT_OF_SERVICE),
            ready: self.status.conditions.iter().any(ready),
        };
        (self.metadata.name, seen)
    }
}

#[derive(Deserialize)]
pub(super) struct HeartbeatObject {
    metadata: Metadata,
    #[serde(default)]
    spec: Renewal,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Renewal {
    renew_time: Option<Timestamp>,
}

impl HeartbeatObject {
    /// `None` for one that was never renewed.
    pub fn named(self) -> Option<(Box<str>, Timestamp)> {
        Some((self.metadata.name, self.spec.renew_time?))
    }
}
