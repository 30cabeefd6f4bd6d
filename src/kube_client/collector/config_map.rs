//! The collector's own ConfigMaps.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::collector::ConfigMapSnapshot;

#[derive(Deserialize)]
pub(super) struct ConfigMapObject {
    metadata: Metadata,
    #[serde(default)]
    data: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
}

impl From<ConfigMapObject> for ConfigMapSnapshot {
    fn from(ConfigMapObject { metadata, data }: ConfigMapObject) -> Self {
        Self {
            version: Some(metadata.resource_version),
            data,
        }
    }
}

/// As it is written.
pub(super) fn object(namespace: &str, name: &str, content: &ConfigMapSnapshot) -> Value {
    let ConfigMapSnapshot { version, data } = content;
    let mut object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "leasehold", "app.kubernetes.io/component": "gc"},
        },
        "data": data,
    });
    if let Some(version) = version {
        object["metadata"]["resourceVersion"] = version.as_str().into();
    }
    object
}
