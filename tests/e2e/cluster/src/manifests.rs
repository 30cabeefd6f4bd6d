//! Objects from YAML, applied or created as the admin; and when they are in force.
//!
//! The API server answers before what was written acts: a kind is served, and a role grants, only once watches have brought
//! the news. [`apply`] waits for both, at every API server, so that no test has to.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::control_plane::ok;

const PATIENCE: Duration = Duration::from_mins(1);

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

/// The text of a file, or of all YAML files of a folder in the order of their names.
pub(crate) fn read(path: &Path) -> Result<String> {
    if !path.is_dir() {
        return std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()));
    }
    let mut files: Vec<_> = std::fs::read_dir(path)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    let texts: Vec<String> = files.iter().map(|file| read(file)).collect::<Result<_>>()?;
    Ok(texts.join("\n---\n"))
}

/// Applies all objects: the kinds first, since others may be of them.
pub(crate) async fn apply(cluster: &Cluster, yaml: &str) -> Result<()> {
    let (kinds, others): (Vec<_>, Vec<_>) = parse(yaml)?
        .into_iter()
        .partition(|object| kind(object) == "CustomResourceDefinition");
    for object in &kinds {
        apply_one(cluster, object).await?;
    }
    for object in &kinds {
        until_served(cluster, &object.data["spec"]).await?;
    }
    for object in &others {
        apply_one(cluster, object).await?;
    }
    for object in others
        .iter()
        .filter(|object| kind(object) == "ClusterRoleBinding")
    {
        until_granted(cluster, object).await?;
    }
    Ok(())
}

async fn apply_one(cluster: &Cluster, object: &DynamicObject) -> Result<()> {
    let client = cluster.admin().await?;
    let name = object
        .metadata
        .name
        .as_deref()
        .context("an object without a name")?;
    let params = PatchParams::apply("testbed").force();
    let done = api(&client, object)
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

fn parse(yaml: &str) -> Result<Vec<DynamicObject>> {
    let documents = serde_norway::Deserializer::from_str(yaml).map(Value::deserialize);
    let values: Vec<Value> = documents.collect::<Result<_, _>>().context("read YAML")?;
    let objects = values.into_iter().filter(|value| !value.is_null());
    objects
        .map(|value| serde_json::from_value(value).context("an object without apiVersion or kind"))
        .collect()
}

async fn api(client: &kube::Client, object: &DynamicObject) -> Result<Api<DynamicObject>> {
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

/// Waits until every API server serves lists of a new kind, from etcd and from its watch cache.
async fn until_served(cluster: &Cluster, spec: &Value) -> Result<()> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let group = word(&spec["group"]);
    let plural = word(&spec["names"]["plural"]);
    let versions = spec["versions"].as_array().into_iter().flatten();
    for version in versions.filter(|version| version["served"] == true) {
        let list = format!("/apis/{group}/{}/{plural}", word(&version["name"]));
        let cached = format!("{list}?resourceVersion=0");
        for server in 0..cluster.api_servers() {
            let client = cluster.admin_of(server).await?;
            let deadline = Instant::now() + PATIENCE;
            while !(ok(&client, &list).await && ok(&client, &cached).await) {
                ensure!(
                    Instant::now() < deadline,
                    "{plural}.{group} is not served after {PATIENCE:?}"
                );
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    Ok(())
}

/// Waits until every API server lets the subjects of a binding do what the last rule of its role says.
async fn until_granted(cluster: &Cluster, binding: &DynamicObject) -> Result<()> {
    let role = binding.data["roleRef"]["name"].as_str().unwrap_or_default();
    let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{role}");
    let request = http::Request::get(path).body(Vec::new())?;
    let role: Value = cluster
        .admin()
        .await?
        .request(request)
        .await
        .with_context(|| format!("read the role {role}"))?;
    let mut rules = role["rules"].as_array().into_iter().flatten();
    let Some(last) = rules.rfind(|rule| rule["resources"].is_array()) else {
        return Ok(());
    };
    for subject in binding.data["subjects"].as_array().into_iter().flatten() {
        let spec = review(subject, last);
        until_allowed(cluster, &spec)
            .await
            .with_context(|| format!("wait for {subject} to be granted {last}"))?;
    }
    Ok(())
}

fn review(subject: &Value, rule: &Value) -> Value {
    let resource = rule["resources"][0].as_str().unwrap_or_default();
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let name = subject["name"].as_str().unwrap_or_default();
    let (user, group) = match subject["kind"].as_str() {
        Some("Group") => ("testbed".to_owned(), name),
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().unwrap_or_default();
            (format!("system:serviceaccount:{namespace}:{name}"), "")
        }
        _ => (name.to_owned(), ""),
    };
    json!({
        "user": user,
        "groups": [group],
        "resourceAttributes": {
            "group": rule["apiGroups"][0],
            "resource": resource,
            "subresource": subresource,
            "name": rule["resourceNames"][0].as_str().unwrap_or_default(),
            "verb": rule["verbs"][0],
        },
    })
}

/// Waits until every API server's authorizer allows this.
pub(crate) async fn until_allowed(cluster: &Cluster, spec: &Value) -> Result<()> {
    let review: SubjectAccessReview = serde_json::from_value(json!({"spec": spec}))?;
    for server in 0..cluster.api_servers() {
        let reviews: Api<SubjectAccessReview> = Api::all(cluster.admin_of(server).await?);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = reviews
                .create(&PostParams::default(), &review)
                .await
                .context("ask the authorizer")?;
            if answer.status.is_some_and(|status| status.allowed) {
                break;
            }
            ensure!(Instant::now() < deadline, "not allowed after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    Ok(())
}
