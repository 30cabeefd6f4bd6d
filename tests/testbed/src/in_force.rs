//! When something that was written acts.
//!
//! The API server answers before that: a kind is served, a role grants and a policy refuses only
//! once watches have brought the news to what decides, in each API server by itself. What waits
//! here waits for all of them, so that no test has to.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::control_plane::ok;
use crate::manifests;

const PATIENCE: Duration = Duration::from_mins(1);

/// Time that is running out.
struct Waiting<'a> {
    what: &'a str,
    deadline: Instant,
}

impl<'a> Waiting<'a> {
    fn until(what: &'a str) -> Self {
        Self {
            what,
            deadline: Instant::now() + PATIENCE,
        }
    }

    async fn a_moment(&self) -> Result<()> {
        ensure!(
            Instant::now() < self.deadline,
            "{}: not so after {PATIENCE:?}",
            self.what
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(())
    }
}

/// Waits until lists of a new kind are served, from etcd and from the watch cache. `spec` is its
/// definition's.
pub(crate) async fn until_served(cluster: &Cluster, spec: &Value) -> Result<()> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let versions = spec["versions"].as_array().into_iter().flatten();
    for version in versions.filter(|version| version["served"] == true) {
        let (group, version, plural) = (
            word(&spec["group"]),
            word(&version["name"]),
            word(&spec["names"]["plural"]),
        );
        let list = format!("/apis/{group}/{version}/{plural}");
        let cached = format!("{list}?resourceVersion=0");
        let waiting = Waiting::until(&list);
        for server in 0..cluster.api_servers() {
            let client = cluster.admin_of(server).await?;
            while !(ok(&client, &list).await && ok(&client, &cached).await) {
                waiting.a_moment().await?;
            }
        }
    }
    Ok(())
}

/// Waits until the subjects of a binding may do what the last rule of its role says.
pub(crate) async fn until_granted(cluster: &Cluster, binding: &DynamicObject) -> Result<()> {
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
        until_allowed(cluster, &question(subject, last)).await?;
    }
    Ok(())
}

/// Whether the subject may do the first thing that the rule says.
fn question(subject: &Value, rule: &Value) -> Value {
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

/// Waits until the authorizer allows this: the `spec` of a `SubjectAccessReview`.
pub(crate) async fn until_allowed(cluster: &Cluster, question: &Value) -> Result<()> {
    let review: SubjectAccessReview = serde_json::from_value(json!({"spec": question}))?;
    let what = format!("allowed: {question}");
    let waiting = Waiting::until(&what);
    for server in 0..cluster.api_servers() {
        let reviews: Api<SubjectAccessReview> = Api::all(cluster.admin_of(server).await?);
        loop {
            let answer = reviews
                .create(&PostParams::default(), &review)
                .await
                .context("ask the authorizer")?;
            if answer.status.is_some_and(|status| status.allowed) {
                break;
            }
            waiting.a_moment().await?;
        }
    }
    Ok(())
}

/// Waits until the admission policies that exist by now decide.
///
/// An API server takes over all policies at a time, a second at the most after a change. So one
/// more policy is written, which refuses something harmless; when it does, those before it decide
/// too.
pub(crate) async fn until_policies_decide(admin: &kube::Client, cluster: &Cluster) -> Result<()> {
    let name = format!("testbed-{:016x}", rand::random::<u64>());
    let canary = canary(&name)?;
    for object in &canary {
        manifests::apply_one(admin, object).await?;
    }
    let probe: ConfigMap = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let waiting = Waiting::until("admission policies decide");
    for server in 0..cluster.api_servers() {
        let configs: Api<ConfigMap> = Api::namespaced(cluster.admin_of(server).await?, "default");
        loop {
            match configs.create(&dry_run, &probe).await {
                Ok(_) => waiting.a_moment().await?,
                Err(kube::Error::Api(status)) if status.message.contains(&name) => break,
                Err(e) => return Err(e).context("try the policy"),
            }
        }
    }
    for object in &canary {
        manifests::api(admin, object)
            .await?
            .delete(&name, &DeleteParams::default())
            .await
            .context("delete a policy")?;
    }
    Ok(())
}

/// A policy of this name that refuses a `ConfigMap` of this name.
fn canary(name: &str) -> Result<[DynamicObject; 2]> {
    let api = "admissionregistration.k8s.io/v1";
    let policy = json!({
        "apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
            ]},
            "validations": [{"expression": format!("object.metadata.name != '{name}'")}],
        },
    });
    let binding = json!({
        "apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    Ok([
        serde_json::from_value(policy)?,
        serde_json::from_value(binding)?,
    ])
}
