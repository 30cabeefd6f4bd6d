//! Where the objects of a kind are, and whether they say how many pods they want.
//!
//! Kubernetes' own kinds are known; any other is found by discovery, once. Group, kind and name come
//! out of objects that others write: what would lead a request elsewhere is no kind and no name.

use std::rc::Rc;

use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResourceList};
use kube::core::Request as Path;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::KubeClient;
use super::request::{api_error, built};
use crate::api::ClaimOwner;
use crate::retry::{ApiError, ErrorKind};

/// A kind whose objects are in namespaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServedKind {
    /// The path of its group and version: `/apis/apps/v1`.
    root: String,
    /// Its name in a path: `deployments`.
    plural: String,
    /// Whether its objects have the subresource `scale`.
    pub has_scale: bool,
}

impl ServedKind {
    /// The path of its objects in a namespace.
    pub(super) fn path(&self, namespace: &str) -> String {
        let Self { root, plural, .. } = self;
        format!("{root}/namespaces/{namespace}/{plural}")
    }
}

/// How large an application is to be, and is (autoscaling/v1).
#[derive(Deserialize)]
pub(super) struct Scale {
    #[serde(default)]
    pub spec: ScaleReplicas,
    #[serde(default)]
    pub status: ScaleReplicas,
}

#[derive(Default, Deserialize)]
pub(super) struct ScaleReplicas {
    #[serde(default)]
    pub replicas: u32,
}

/// The kinds that were found: `None`, where the API server has no such kind.
pub(super) type Kinds = Vec<((String, String), Option<Rc<ServedKind>>)>;

/// Kubernetes' own: group, version, kind, name in a path, and whether they have `scale`.
const BUILT_IN: [(&str, &str, &str, &str, bool); 7] = [
    ("apps", "v1", "Deployment", "deployments", true),
    ("apps", "v1", "ReplicaSet", "replicasets", true),
    ("apps", "v1", "StatefulSet", "statefulsets", true),
    ("apps", "v1", "DaemonSet", "daemonsets", false),
    ("batch", "v1", "Job", "jobs", false),
    ("batch", "v1", "CronJob", "cronjobs", false),
    (
        "",
        "v1",
        "ReplicationController",
        "replicationcontrollers",
        true,
    ),
];

impl KubeClient {
    /// The kind of an application; `None`: the API server has none of that name.
    pub(super) async fn kind_of(
        &self,
        application: &ClaimOwner,
    ) -> Result<Option<Rc<ServedKind>>, ApiError> {
        let ClaimOwner {
            group, kind, name, ..
        } = application;
        if !is_segment(name) || !(group.is_empty() || is_segment(group)) {
            return Ok(None);
        }
        let built_in = BUILT_IN
            .iter()
            .find(|(of, _, it, ..)| of == group && it == kind);
        if let Some((group, version, _, plural, has_scale)) = built_in {
            return Ok(Some(Rc::new(ServedKind {
                root: root(group, version),
                plural: (*plural).to_owned(),
                has_scale: *has_scale,
            })));
        }
        let known = |kinds: &Kinds| {
            let found = kinds.iter().find(|((of, it), _)| of == group && it == kind);
            found.map(|(_, served)| served.clone())
        };
        if let Some(served) = known(&self.kinds.borrow()) {
            return Ok(served);
        }
        let served = self.discover(group, kind).await?.map(Rc::new);
        let key = (group.clone(), kind.clone());
        self.kinds.borrow_mut().push((key, served.clone()));
        Ok(served)
    }

    /// How many pods an application of such a kind is to have and has; `None`: it does not exist.
    pub(super) async fn scale(
        &self,
        kind: &ServedKind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Scale>, ApiError> {
        let path = Path::new(kind.path(namespace));
        let (what, answer) = self
            .send(built(path.get_subresource("scale", name))?)
            .await?;
        answer.object(&what)
    }

    async fn discover(&self, group: &str, kind: &str) -> Result<Option<ServedKind>, ApiError> {
        for version in self.versions(group).await? {
            let root = root(group, &version);
            let Some(list) = self.found::<APIResourceList>(&root).await? else {
                continue;
            };
            let resources = &list.resources;
            let is_kind = |name: &str| !name.contains('/');
            let found = resources
                .iter()
                .find(|it| it.kind == kind && it.namespaced && is_kind(&it.name));
            if let Some(found) = found {
                let scale = format!("{}/scale", found.name);
                return Ok(Some(ServedKind {
                    root,
                    plural: found.name.clone(),
                    has_scale: resources.iter().any(|it| it.name == scale),
                }));
            }
        }
        Ok(None)
    }

    /// The versions of a group, the preferred one first.
    async fn versions(&self, group: &str) -> Result<Vec<String>, ApiError> {
        if group.is_empty() {
            return Ok(vec!["v1".to_owned()]);
        }
        let Some(found) = self.found::<APIGroup>(&format!("/apis/{group}")).await? else {
            return Ok(Vec::new());
        };
        let preferred = found.preferred_version.into_iter();
        let versions = preferred.chain(found.versions).map(|it| it.version);
        Ok(versions.collect())
    }

    async fn found<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, ApiError> {
        let request = Request::get(path).body(Vec::new());
        let request = request.map_err(|error| api_error(path, ErrorKind::Refused, error))?;
        match self.send(built(Ok(request))?).await {
            Ok((what, answer)) => answer.object(&what),
            Err(error) if error.kind == ErrorKind::NotInstalled => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn root(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    }
}

/// Whether a text is one segment of a path, as names and groups are.
fn is_segment(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    !text.is_empty() && text.bytes().all(is_plain) && !text.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_elsewhere_is_no_name() {
        for (text, is_name) in [
            ("web", true),
            ("web-1.x", true),
            ("argoproj.io", true),
            ("", false),
            (".", false),
            ("..", false),
            ("../secrets/x", false),
            ("web?watch=true", false),
            ("web%2f", false),
            ("web/status", false),
        ] {
            assert_eq!(is_segment(text), is_name, "{text:?}");
        }
    }
}
