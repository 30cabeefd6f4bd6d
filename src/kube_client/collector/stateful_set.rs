//! What is read of a StatefulSet: which pods it makes.

use serde::Deserialize;

use crate::annotations::{Annotations, retains_when_scaled};
use crate::collector::{StatefulSetName, StatefulSetSnapshot};

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
    annotations: Annotations,
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
        let set = StatefulSetSnapshot {
            start: self.spec.ordinals.map_or(0, |ordinals| ordinals.start),
            replicas: self.spec.replicas.unwrap_or(1),
            retains: retains_when_scaled(&self.metadata.annotations),
        };
        ((self.metadata.namespace, self.metadata.name), set)
    }
}
