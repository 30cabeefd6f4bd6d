//! A node: its object, its identity, and where its plugins run.
//!
//! There is no kubelet; what acts on a node's behalf here has a node's rights at the API server and
//! no more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node as NodeObject;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::kubeconfig::Kubeconfig;
use crate::netns::Netns;
use crate::segment::{Segment, Uplink};

/// A node that is registered with the API server. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Node {
    cluster: Cluster,
    name: String,
    kubeconfig: PathBuf,
    uplink: Option<Arc<Uplink>>,
    cache: Option<PathBuf>,
}

/// A node to be registered.
#[derive(Clone, Debug)]
pub struct NodeBuilder {
    cluster: Cluster,
    name: String,
    labels: BTreeMap<String, String>,
    segment: Option<Segment>,
    own_cache: bool,
}

impl NodeBuilder {
    pub(crate) fn new(cluster: Cluster, name: &str) -> Self {
        Self {
            cluster,
            name: name.to_owned(),
            labels: BTreeMap::new(),
            segment: None,
            own_cache: false,
        }
    }

    /// With this label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With a network namespace of its own, whose `eth0` is on this segment. Its plugins run there.
    #[must_use]
    pub fn on(mut self, segment: &Segment) -> Self {
        self.segment = Some(segment.clone());
        self
    }

    /// With `/run/leasehold` for itself. Its calls leave notes for each other there; else all nodes
    /// share the machine's.
    #[must_use]
    pub fn own_cache(mut self) -> Self {
        self.own_cache = true;
        self
    }

    /// Registers it, ready. Registered already is fine: its labels are then these.
    pub async fn create(self) -> Result<Node> {
        let Self {
            cluster,
            name,
            labels,
            segment,
            own_cache,
        } = self;
        ensure!(
            cluster.knows_node(&name),
            "no token for node {name}: name it to the cluster's builder"
        );
        let nodes: Api<NodeObject> = Api::all(cluster.admin().await?);
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
        let params = PatchParams::apply("testbed").force();
        nodes
            .patch(&name, &params, &Patch::Apply(object))
            .await
            .context("register a node")?;
        set_ready(&nodes, &name, "True").await?;
        let folder = cluster.dir().join("nodes").join(&name);
        let path = folder.join("kubeconfig");
        let kubeconfig = cluster.plane().node(0, &name).write(&path)?;
        let uplink = segment
            .map(|segment| segment.join(&cluster).map(Arc::new))
            .transpose()?;
        let cache = own_cache.then(|| folder.join("cache"));
        if let Some(cache) = &cache {
            std::fs::create_dir_all(cache).context("make a node's folder of notes")?;
        }
        Ok(Node {
            cluster,
            name,
            kubeconfig,
            uplink,
            cache,
        })
    }
}

/// Sets the condition that a kubelet keeps.
async fn set_ready(nodes: &Api<NodeObject>, name: &str, status: &str) -> Result<()> {
    let ready =
        Patch::Merge(json!({"status": {"conditions": [{"type": "Ready", "status": status}]}}));
    nodes
        .patch_status(name, &PatchParams::default(), &ready)
        .await
        .context("report whether a node is ready")?;
    Ok(())
}

impl Node {
    /// Reports in its condition `Ready` that it is (`True`), is not (`False`), or that it is
    /// unknown (`Unknown`).
    pub async fn report_ready(&self, status: &str) -> Result<()> {
        set_ready(&Api::all(self.cluster.admin().await?), &self.name, status).await
    }

    /// Reports these as its `status.addresses`.
    pub async fn report_addresses(&self, addresses: &Value) -> Result<()> {
        let nodes: Api<NodeObject> = Api::all(self.cluster.admin().await?);
        let patch = Patch::Merge(json!({"status": {"addresses": addresses}}));
        nodes
            .patch_status(&self.name, &PatchParams::default(), &patch)
            .await
            .context("report a node's addresses")?;
        Ok(())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its user name at the API server, by which the audit log knows it.
    #[must_use]
    pub fn user(&self) -> String {
        format!("system:node:{}", self.name)
    }

    /// The cluster that it is a node of.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Its kubeconfig, the file: first API server, token.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// What is in its kubeconfig, to be varied: another server, another way to say who it is.
    #[must_use]
    pub fn identity(&self) -> Kubeconfig {
        self.identity_at(0)
    }

    /// The same for one of the API servers.
    #[must_use]
    pub fn identity_at(&self, server: usize) -> Kubeconfig {
        self.cluster.plane().node(server, &self.name)
    }

    /// Its token, for a token file or a program that prints it.
    #[must_use]
    pub fn token(&self) -> String {
        self.cluster.plane().node_token(&self.name)
    }

    /// Writes another kubeconfig into the node's folder.
    pub fn write_kubeconfig(&self, name: &str, content: &Kubeconfig) -> Result<PathBuf> {
        content.write(&self.kubeconfig.with_file_name(name))
    }

    /// A client with the node's rights, of the runtime that calls this.
    pub async fn client(&self) -> Result<kube::Client> {
        self.identity().client().await
    }

    /// Its network namespace, where it has one of its own; else it is the machine's.
    #[must_use]
    pub fn netns(&self) -> Option<&Netns> {
        self.uplink.as_ref().map(|uplink| uplink.netns())
    }

    /// What is `/run/leasehold` for its calls, where it has that for itself.
    #[must_use]
    pub fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// Deletes its object.
    pub async fn delete(&self) -> Result<()> {
        let nodes: Api<NodeObject> = Api::all(self.cluster.admin().await?);
        nodes
            .delete(&self.name, &DeleteParams::default())
            .await
            .context("delete a node")?;
        Ok(())
    }
}
