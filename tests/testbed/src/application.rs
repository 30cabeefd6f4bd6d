//! An application: a Deployment whose pods are the test's to make. No controller acts on it.

use anyhow::Result;
use serde_json::json;

use crate::cluster::Cluster;
use crate::pod::PodBuilder;

/// What its only `ReplicaSet` is called by, after it.
const HASH: &str = "7d9f8";

impl Cluster {
    /// Makes a Deployment that wants so many pods, in a namespace that exists; or changes that
    /// number.
    pub async fn deployment(&self, namespace: &str, name: &str, replicas: u32) -> Result<()> {
        let labels = json!({"app": name});
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "main", "image": "local.test/none"}]},
                },
            },
        });
        self.apply_yaml(&object.to_string()).await
    }
}

impl PodBuilder {
    /// Made for this Deployment, as the real controllers mark its pods.
    #[must_use]
    pub fn of_deployment(self, name: &str) -> Self {
        self.label("pod-template-hash", HASH).owner(json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}-{HASH}"),
            "uid": "0b5cf4ce-9a1b-4f0e-9a57-6b1a3c5f9a11", "controller": true,
        }))
    }
}
