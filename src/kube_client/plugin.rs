//! What the plugin reads over the wire: each call of [`Api`] and [`Objects`] as a request.

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::Resource;
use kube::core::Request as Path;
use kube::core::params::{GetParams, ListParams, PostParams};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::KubeClient;
use super::labeled::LabeledObject;
use super::pod::PodObject;
use super::request::{api_error, built, list_params};
use crate::api::{IPPool, ReservedIP, Subnet};
use crate::cni::PodRef;
use crate::gather::Objects;
use crate::lease::Freshness;
use crate::plugin::{Api, PodSnapshot};
use crate::retry::{ApiError, ErrorKind};
use crate::select::ObjectMetadata;

/// The user names of kubelets (Kubernetes, "Using Node Authorization").
const NODE_USER: &str = "system:node:";

impl Api for KubeClient {
    async fn pod(&self, pod: &PodRef) -> Result<Option<PodSnapshot>, ApiError> {
        let path = Path::new(Pod::url_path(&(), Some(&pod.namespace)));
        let request = built(path.get(&pod.name, &GetParams::default()))?;
        match self.send(request).await {
            Ok((what, answer)) => Ok(answer.object::<PodObject>(&what)?.map(PodSnapshot::from)),
            // The Node authorizer denies a pod of another node and one that does not exist alike:
            // only a list distinguishes them, which a node may make of its own pods.
            Err(denied) if denied.kind == ErrorKind::Denied => {
                let node = match self.own_node().await {
                    Ok(node) => node,
                    // Credentials that the server does not know were denied already.
                    Err(error) if error.kind == ErrorKind::Denied => return Err(denied),
                    Err(error) => return Err(error),
                };
                let mine = format!("spec.nodeName={node},metadata.name={}", pod.name);
                let (what, answer) = self
                    .send(built(path.list(&ListParams::default().fields(&mine)))?)
                    .await?;
                let list = answer.object::<List<PodObject>>(&what)?;
                let pod = list.and_then(|list| list.items.into_iter().next());
                self.authorizer_lags.set(pod.is_some());
                Ok(pod.map(PodSnapshot::from))
            }
            Err(error) => Err(error),
        }
    }

    async fn own_node(&self) -> Result<String, ApiError> {
        let path = Path::new(SelfSubjectReview::url_path(&(), None));
        let body = serde_json::json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let request = path.create(&PostParams::default(), body.to_string().into_bytes());
        let (what, answer) = self.send(built(request)?).await?;
        let review = answer.object::<SelfSubjectReview>(&what)?;
        let user = review
            .and_then(|review| review.status?.user_info?.username)
            .unwrap_or_default();
        match user.strip_prefix(NODE_USER) {
            Some(node) => Ok(node.to_owned()),
            None => Err(api_error(
                &what,
                ErrorKind::Denied,
                format!("the kubeconfig's user is {user:?}, not a {NODE_USER}<name>"),
            )),
        }
    }
}

impl Objects for KubeClient {
    async fn namespace(
        &self,
        name: &str,
        freshness: Freshness,
    ) -> Result<Option<ObjectMetadata>, ApiError> {
        let path = Path::new(Namespace::url_path(&(), None));
        self.metadata(&path, name, freshness).await
    }

    async fn node(
        &self,
        name: &str,
        freshness: Freshness,
    ) -> Result<Option<ObjectMetadata>, ApiError> {
        let path = Path::new(Node::url_path(&(), None));
        self.metadata(&path, name, freshness).await
    }

    async fn pools(&self, freshness: Freshness) -> Result<Vec<IPPool>, ApiError> {
        self.list(IPPool::url_path(&(), None), freshness).await
    }

    async fn reserved(&self, freshness: Freshness) -> Result<Vec<ReservedIP>, ApiError> {
        self.list(ReservedIP::url_path(&(), None), freshness).await
    }

    async fn subnets(&self, freshness: Freshness) -> Result<Vec<Subnet>, ApiError> {
        self.list(Subnet::url_path(&(), None), freshness).await
    }
}

impl KubeClient {
    /// Labels and annotations.
    async fn metadata(
        &self,
        path: &Path,
        name: &str,
        freshness: Freshness,
    ) -> Result<Option<ObjectMetadata>, ApiError> {
        let params = match freshness {
            Freshness::Cached => GetParams::at("0"),
            Freshness::Consistent => GetParams::default(),
        };
        let request = built(path.get_metadata(name, &params))?;
        let (what, answer) = self.send(request).await?;
        Ok(answer
            .object::<LabeledObject>(&what)?
            .map(ObjectMetadata::from))
    }

    async fn list<T: DeserializeOwned>(
        &self,
        path: String,
        freshness: Freshness,
    ) -> Result<Vec<T>, ApiError> {
        let (what, answer) = self
            .send(built(Path::new(path).list(&list_params(freshness)))?)
            .await?;
        match answer.object::<List<T>>(&what)? {
            Some(list) => Ok(list.items),
            None => Err(api_error(&what, ErrorKind::NotInstalled, "404 Not Found")),
        }
    }
}

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}
