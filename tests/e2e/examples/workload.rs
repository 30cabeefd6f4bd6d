//! What an example says of its pods, whom no controller makes here.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;
use testbed::{Cluster, PodBuilder};

/// The template of a Deployment or a StatefulSet, or a Pod.
pub struct Workload {
    objects: Vec<Value>,
    name: String,
    namespace: String,
    is_deployment: bool,
    /// Labels and annotations.
    metadata: Value,
}

impl Workload {
    /// The one of this name in an example; an empty name: one that says nothing.
    pub fn of(file: &Path, name: &str) -> Result<Self> {
        let text = std::fs::read_to_string(file)?;
        let documents = serde_norway::Deserializer::from_str(&text).map(Value::deserialize);
        let objects: Vec<Value> = documents.collect::<Result<_, _>>()?;
        let meant = |object: &&Value| {
            let runs = ["Deployment", "StatefulSet", "Pod"]
                .iter()
                .any(|kind| object["kind"] == *kind);
            runs && object["metadata"]["name"] == name
        };
        let object = objects.iter().find(meant).cloned().unwrap_or_default();
        let template = &object["spec"]["template"]["metadata"];
        let metadata = if template.is_object() {
            template
        } else {
            &object["metadata"]
        };
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or("default");
        Ok(Self {
            name: if name.is_empty() { "any" } else { name }.to_owned(),
            namespace: namespace.to_owned(),
            is_deployment: object["kind"] == "Deployment",
            metadata: metadata.clone(),
            objects,
        })
    }

    /// A pod of it.
    pub fn pod(&self, cluster: &Cluster, number: usize) -> PodBuilder {
        let mut pod = cluster.pod(&self.namespace, &format!("{}-{number}", self.name));
        if self.is_deployment {
            pod = pod.of_deployment(&self.name);
        }
        for (key, value) in self.texts("labels") {
            pod = pod.label(key, value);
        }
        for (key, value) in self.texts("annotations") {
            pod = pod.annotation(key, value);
        }
        pod
    }

    /// The configuration with which Multus calls the plugins for `net1`, `net2`, …; none for the
    /// first interface.
    pub fn network(&self, interface: &str) -> Result<Option<Value>> {
        let Some(number) = interface.strip_prefix("net") else {
            return Ok(None);
        };
        let networks = self.metadata["annotations"]["k8s.v1.cni.cncf.io/networks"].as_str();
        let name = networks
            .and_then(|networks| networks.split(',').nth(number.parse::<usize>().ok()? - 1))
            .context("no such network")?
            .trim();
        let definition = self.objects.iter().find(|object| {
            object["kind"] == "NetworkAttachmentDefinition"
                && object["metadata"]["name"] == name
                && object["metadata"]["namespace"] == self.namespace
        });
        let config = definition.context("no such definition")?["spec"]["config"].as_str();
        Ok(Some(serde_json::from_str(
            config.context("no configuration")?,
        )?))
    }

    fn texts(&self, field: &str) -> impl Iterator<Item = (&str, &str)> {
        let texts = self.metadata[field].as_object().into_iter().flatten();
        texts.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
    }
}
