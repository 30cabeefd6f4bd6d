//! Objects from YAML, applied or created as the admin.
//!
//! [`apply`] returns when what it applied acts; how that is found out is
//! [`in_force`](crate::in_force)'s business.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::in_force;

/// The API server's refusal of an object.
#[derive(Debug)]
pub struct Refused {
    /// The HTTP status; 0 if the object did not get as far as the API server.
    pub code: u16,
    /// The reason in one word, such as `Invalid` or `Forbidden`.
    pub reason: String,
    /// The message that a user would see.
    pub message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for Refused {}

impl From<kube::Error> for Refused {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = error {
            let status = *status;
            return Self {
                code: status.code,
                reason: status.reason,
                message: status.message,
            };
        }
        anyhow::Error::new(error).into()
    }
}

impl From<anyhow::Error> for Refused {
    fn from(error: anyhow::Error) -> Self {
        Self {
            code: 0,
            reason: String::new(),
            message: format!("{error:#}"),
        }
    }
}

impl Cluster {
    /// Creates one object as the admin.
    pub async fn create_yaml(&self, yaml: &str) -> Result<DynamicObject, Refused> {
        let client = self.admin().await?;
        let object = one(yaml)?;
        let api = api(&client, &object).await?;
        Ok(api.create(&PostParams::default(), &object).await?)
    }

    /// Replaces one object as the admin, at whatever version it has, with what the YAML says.
    pub async fn replace_yaml(&self, yaml: &str) -> Result<DynamicObject, Refused> {
        let client = self.admin().await?;
        let mut object = one(yaml)?;
        let api = api(&client, &object).await?;
        let name = object.metadata.name.clone().unwrap_or_default();
        object.metadata.resource_version = api.get_metadata(&name).await?.metadata.resource_version;
        Ok(api.replace(&name, &PostParams::default(), &object).await?)
    }
}

/// The text of a file, or of all YAML files of a folder: those that its kustomization lists, else
/// in the order of their names.
pub(crate) fn read(path: &Path) -> Result<String> {
    if !path.is_dir() {
        return std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
    }
    let mut files: Vec<_> = std::fs::read_dir(path)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    let kustomization = path.join("kustomization.yaml");
    if kustomization.exists() {
        let listed: Kustomization = serde_norway::from_str(&read(&kustomization)?)
            .with_context(|| format!("read {}", kustomization.display()))?;
        files = listed
            .resources
            .iter()
            .map(|file| path.join(file))
            .collect();
    }
    let texts: Vec<String> = files.iter().map(|file| read(file)).collect::<Result<_>>()?;
    Ok(texts.join("\n---\n"))
}

/// What is read of a kustomization.
#[derive(serde::Deserialize)]
struct Kustomization {
    resources: Vec<String>,
}

/// Applies all objects: the kinds first, since others may be of them.
pub(crate) async fn apply(
    client: &kube::Client,
    cluster: &Cluster,
    objects: Vec<DynamicObject>,
) -> Result<()> {
    let (kinds, others): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .partition(|object| kind(object) == "CustomResourceDefinition");
    for object in &kinds {
        apply_one(client, object).await?;
    }
    for object in &kinds {
        in_force::until_served(cluster, &object.data["spec"]).await?;
    }
    for object in &others {
        apply_one(client, object).await?;
    }
    for object in others
        .iter()
        .filter(|object| kind(object) == "ClusterRoleBinding")
    {
        in_force::until_granted(cluster, object).await?;
    }
    if others
        .iter()
        .any(|object| kind(object) == "ValidatingAdmissionPolicyBinding")
    {
        in_force::until_policies_decide(client, cluster).await?;
    }
    Ok(())
}

/// Applies one object, and does not wait.
pub(crate) async fn apply_one(client: &kube::Client, object: &DynamicObject) -> Result<()> {
    let name = object
        .metadata
        .name
        .as_deref()
        .context("an object without a name")?;
    let params = PatchParams::apply("testbed").force();
    let done = api(client, object)
        .await?
        .patch(name, &params, &Patch::Apply(object))
        .await;
    done.map(drop)
        .map_err(Refused::from)
        .with_context(|| format!("apply {} {name}", kind(object)))
}

fn kind(object: &DynamicObject) -> &str {
    object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str())
}

fn one(yaml: &str) -> Result<DynamicObject> {
    let mut objects = parse(yaml)?;
    ensure!(
        objects.len() == 1,
        "{} objects where one is expected",
        objects.len()
    );
    Ok(objects.remove(0))
}

pub(crate) fn parse(yaml: &str) -> Result<Vec<DynamicObject>> {
    let documents = serde_norway::Deserializer::from_str(yaml).map(Value::deserialize);
    let values: Vec<Value> = documents.collect::<Result<_, _>>().context("read YAML")?;
    let objects = values.into_iter().filter(|value| !value.is_null());
    objects
        .map(|value| serde_json::from_value(value).context("an object without apiVersion or kind"))
        .collect()
}

/// The door to objects of this object's kind and namespace.
pub(crate) async fn api(
    client: &kube::Client,
    object: &DynamicObject,
) -> Result<Api<DynamicObject>> {
    let types = object
        .types
        .as_ref()
        .context("an object without apiVersion or kind")?;
    let gvk = GroupVersionKind::try_from(types)?;
    let (resource, capabilities) = pinned_kind(client, &gvk)
        .await
        .with_context(|| format!("ask for the kind {} of {}", types.kind, types.api_version))?;
    let namespace = object.metadata.namespace.as_deref().unwrap_or("default");
    Ok(match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
    })
}
