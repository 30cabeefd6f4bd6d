//! A pod: a real object, bound to a node. No kubelet acts on it; its sandbox is the test's to make.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::{Namespace, Pod as PodObject};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::in_force::until_allowed;
use crate::manifests::Refused;
use crate::node::Node;

/// A pod that was created. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Pod {
    cluster: Cluster,
    namespace: String,
    name: String,
    uid: String,
}

/// A pod to be created.
#[derive(Clone, Debug)]
pub struct PodBuilder {
    cluster: Cluster,
    namespace: String,
    name: String,
    node: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    owners: Vec<Value>,
    termination: u32,
}

impl PodBuilder {
    pub(crate) fn new(cluster: Cluster, namespace: &str, name: &str) -> Self {
        Self {
            cluster,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            node: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            owners: Vec::new(),
            termination: 0,
        }
    }

    /// Bound to this node.
    #[must_use]
    pub fn on(self, node: &Node) -> Self {
        self.on_node_named(node.name())
    }

    /// Bound to a node of this name, registered or not.
    #[must_use]
    pub fn on_node_named(mut self, name: &str) -> Self {
        self.node = Some(name.to_owned());
        self
    }

    /// With this label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With this annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// With this owner reference, as written in `metadata.ownerReferences`.
    #[must_use]
    pub fn owner(mut self, reference: Value) -> Self {
        self.owners.push(reference);
        self
    }

    /// With this `terminationGracePeriodSeconds`. By default none: nothing runs in it that would
    /// have to end.
    #[must_use]
    pub fn ending_within(mut self, seconds: u32) -> Self {
        self.termination = seconds;
        self
    }

    /// The pod of this uid, which another client has created and which its node may not have heard
    /// of yet.
    #[must_use]
    pub fn made(self, uid: String) -> Pod {
        Pod {
            cluster: self.cluster,
            namespace: self.namespace,
            name: self.name,
            uid,
        }
    }

    /// Creates it, and its namespace where that is missing; returns once its node may read it, at
    /// every API server.
    pub async fn create(self) -> Result<Pod> {
        let Self {
            cluster,
            namespace,
            name,
            node,
            labels,
            annotations,
            owners,
            termination,
        } = self;
        ensure_namespace(&cluster, &namespace).await?;
        let object: PodObject = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": labels, "annotations": annotations, "ownerReferences": owners},
            "spec": {
                "nodeName": node,
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": termination,
                "containers": [{"name": "main", "image": "local.test/none"}],
            },
        }))?;
        let pods: Api<PodObject> = Api::namespaced(cluster.admin().await?, &namespace);
        let made = pods
            .create(&PostParams::default(), &object)
            .await
            .map_err(Refused::from)
            .context("create a pod")?;
        let uid = made.metadata.uid.context("a pod without uid")?;
        let pod = Pod {
            cluster,
            namespace,
            name,
            uid,
        };
        if let Some(node) = node {
            pod.until_readable_by(&node).await?;
        }
        Ok(pod)
    }
}

/// Makes a namespace that may exist already.
async fn ensure_namespace(cluster: &Cluster, name: &str) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(cluster.admin().await?);
    // Looked for first: hundreds of pods are made in one namespace, and a read is the cheaper
    // request.
    if namespaces
        .get_metadata_opt(name)
        .await
        .context("look for a namespace")?
        .is_some()
    {
        return Ok(());
    }
    let object: Namespace = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    match namespaces.create(&PostParams::default(), &object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(e) => Err(Refused::from(e)).context("create a namespace"),
    }
}

impl Pod {
    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its uid.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Deletes it as a user does who gives it time to end: it is marked, and stays until its
    /// kubelet has torn it down, for which see [`force_delete`](Self::force_delete).
    pub async fn delete(&self) -> Result<()> {
        self.delete_within(30).await
    }

    /// The same with so many seconds to end.
    pub async fn delete_within(&self, seconds: u32) -> Result<()> {
        self.delete_with(&DeleteParams::default().grace_period(seconds))
            .await
    }

    /// Deletes its object at once, as a kubelet does in the end, or a user with `--force`.
    pub async fn force_delete(&self) -> Result<()> {
        self.delete_with(&DeleteParams::default().grace_period(0))
            .await
    }

    async fn delete_with(&self, params: &DeleteParams) -> Result<()> {
        // This pod, not one that has its name since.
        let this = Preconditions {
            uid: Some(self.uid.clone()),
            resource_version: None,
        };
        let params = params.clone().preconditions(this);
        self.api()
            .await?
            .delete(&self.name, &params)
            .await
            .context("delete a pod")?;
        Ok(())
    }

    /// Merges this into its status.
    pub async fn patch_status(&self, status: Value) -> Result<()> {
        let patch = Patch::Merge(json!({"status": status}));
        let done = self
            .api()
            .await?
            .patch_status(&self.name, &PatchParams::default(), &patch)
            .await;
        done.map(drop).context("patch a pod's status")
    }

    /// Reports these addresses in its status, as kubelet does once a sandbox stands.
    pub async fn report_addresses(&self, addresses: &[std::net::IpAddr]) -> Result<()> {
        let all: Vec<Value> = addresses
            .iter()
            .map(|address| json!({"ip": address}))
            .collect();
        self.patch_status(json!({"phase": "Running", "podIP": addresses.first(), "podIPs": all}))
            .await
    }

    /// Merges this into the pod: labels, annotations.
    pub async fn patch(&self, patch: Value) -> Result<()> {
        let patch = Patch::Merge(patch);
        let done = self
            .api()
            .await?
            .patch(&self.name, &PatchParams::default(), &patch)
            .await;
        done.map(drop).context("patch a pod")
    }

    /// The pod as it is now; `None` if it is gone, or another one has its name.
    pub async fn get(&self) -> Result<Option<PodObject>> {
        let found = self
            .api()
            .await?
            .get_opt(&self.name)
            .await
            .context("read a pod")?;
        Ok(found.filter(|pod| pod.metadata.uid.as_deref() == Some(self.uid.as_str())))
    }

    async fn api(&self) -> Result<Api<PodObject>> {
        Ok(Api::namespaced(
            self.cluster.admin().await?,
            &self.namespace,
        ))
    }

    /// The node authorizer learns of pods by a watch. A kubelet does too, so that no plugin of it
    /// is ever too early.
    async fn until_readable_by(&self, node: &str) -> Result<()> {
        let read = json!({
            "user": format!("system:node:{node}"),
            "groups": ["system:nodes", "system:authenticated"],
            "resourceAttributes": {"resource": "pods", "verb": "get", "namespace": self.namespace, "name": self.name},
        });
        until_allowed(&self.cluster, &read).await.map_err(|e| {
            anyhow!(
                "{node} may not read its pod {}/{}: {e:#}",
                self.namespace,
                self.name
            )
        })
    }
}
