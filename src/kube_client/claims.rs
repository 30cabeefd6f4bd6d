//! Claims over the wire: each call of [`Claims`] as a request.

use kube::Resource;
use kube::core::Request as Path;
use kube::core::params::{GetParams, PostParams};
use serde::Deserialize;

use super::KubeClient;
use super::answer::Response;
use super::request::{api_error, built, parse};
use crate::api::{ClaimOwner, IPClaim, IPClaimStatus};
use crate::claim::{Claim, ClaimName, Unusable};
use crate::lease::{Claims, Replicas};
use crate::retry::{ApiError, Commit, ErrorKind};

/// Where an application is found: its group, version, kind and plural.
const SCALABLE: [(&str, &str, &str, &str); 5] = [
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "ReplicaSet", "replicasets"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("", "v1", "ReplicationController", "replicationcontrollers"),
    ("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
];

impl Claims for KubeClient {
    async fn read_claim(&self, name: &ClaimName) -> Result<Option<Claim>, ApiError> {
        let request = built(path(&name.namespace).get(&name.name, &GetParams::default()))?;
        let (what, answer) = self.send(request).await?;
        answer
            .object::<IPClaim>(&what)?
            .map(|object| understood(&what, object))
            .transpose()
    }

    async fn create_claim(&self, claim: &IPClaim) -> Result<Commit<Claim>, ApiError> {
        let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
        let request = path(namespace).create(&PostParams::default(), body(claim)?);
        let (what, answer) = self.send(built(request)?).await?;
        committed(&what, &answer)
    }

    async fn replace_claim_status(
        &self,
        before: &Claim,
        status: &IPClaimStatus,
    ) -> Result<Commit<Claim>, ApiError> {
        let claim = IPClaim {
            status: Some(status.clone()),
            ..(*before.object).clone()
        };
        let ClaimName { namespace, name } = &before.name;
        let params = PostParams::default();
        let request = path(namespace).replace_subresource("status", name, &params, body(&claim)?);
        let (what, answer) = self.send(built(request)?).await?;
        committed(&what, &answer)
    }

    async fn replicas(
        &self,
        namespace: &str,
        application: &ClaimOwner,
    ) -> Result<Replicas, ApiError> {
        let ClaimOwner {
            group, kind, name, ..
        } = application;
        let known = SCALABLE
            .into_iter()
            .find(|(of, _, it, _)| of == group && it == kind);
        let Some((group, version, _, plural)) = known else {
            return Ok(Replicas::Unscalable);
        };
        let root = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        let path = Path::new(format!("{root}/namespaces/{namespace}/{plural}"));
        let request = built(path.get_subresource("scale", name))?;
        let (what, answer) = match self.send(request).await {
            Err(error) if error.kind == ErrorKind::NotInstalled => return Ok(Replicas::Unscalable),
            sent => sent?,
        };
        Ok(match answer.object::<Scale>(&what)? {
            Some(scale) => Replicas::Wanted(scale.spec.replicas),
            None => Replicas::NotFound,
        })
    }
}

/// How large an application is to be (autoscaling/v1).
#[derive(Deserialize)]
struct Scale {
    #[serde(default)]
    spec: ScaleSpec,
}

#[derive(Default, Deserialize)]
struct ScaleSpec {
    #[serde(default)]
    replicas: u32,
}

fn path(namespace: &str) -> Path {
    Path::new(IPClaim::url_path(&(), Some(namespace)))
}

fn body(claim: &IPClaim) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(claim).map_err(|error| api_error("a claim", ErrorKind::Refused, error))
}

/// An absent object is a lost race as much as a changed one.
fn committed(what: &str, answer: &Response) -> Result<Commit<Claim>, ApiError> {
    match answer {
        Response::Done(body) => understood(what, parse(what, body)?).map(Commit::Won),
        Response::Absent | Response::Conflict => Ok(Commit::Lost),
    }
}

fn understood(what: &str, object: IPClaim) -> Result<Claim, ApiError> {
    let name = ClaimName {
        namespace: object.metadata.namespace.clone().unwrap_or_default(),
        name: object.metadata.name.clone().unwrap_or_default(),
    };
    Claim::try_from(object).map_err(|error| {
        let error = Unusable::Invalid(name, Box::new(error));
        api_error(what, ErrorKind::Refused, error)
    })
}
