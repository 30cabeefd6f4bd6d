//! What is read of a StatefulSet: which pods it makes.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::{StatefulSetName, StatefulSetSnapshot};

/// What becomes of the addresses of pods that it is scaled down by.
const WHEN_SCALED: &str = "ipam.leasehold.io/when-scaled";

#[derive(Deserialize)]
pub(super) struct StatefulSetObject {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    namespace: Box<str>,
    name: Box<str>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Spec {
    replicas: Option<u64>,
    ordinals: Option<Ordinals>,
}

#[derive(Deserialize)]
struct Ordinals {
    #[serde(default)]
    start: u64,
}

impl StatefulSetObject {
    pub fn named(self) -> (StatefulSetName, StatefulSetSnapshot) {
        let when_scaled = self.metadata.annotations.get(WHEN_SCALED);
        let set = StatefulSetSnapshot {
            start: self.spec.ordinals.map_or(0, |ordinals| ordinals.start),
            replicas: self.spec.replicas.unwrap_or(1),
            // What is not understood keeps.
            retains: when_scaled.is_some_and(|value| value != "Delete"),
        };
        ((self.metadata.namespace, self.metadata.name), set)
    }
}
