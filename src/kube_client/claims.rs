//! Claims over the wire: each call of [`Claims`] as a request.

use kube::Resource;
use kube::core::Request as Path;
use kube::core::params::{GetParams, PostParams};

use super::KubeClient;
use super::answer::Response;
use super::request::{api_error, body, built, parse};
use crate::api::{ClaimOwner, IPClaim, IPClaimStatus};
use crate::claim::{Claim, ClaimName, Unusable};
use crate::lease::{Claims, Replicas};
use crate::retry::{ApiError, Commit, ErrorKind};

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
        let kind = self.kind_of(application).await?;
        let Some(kind) = kind.filter(|kind| kind.has_scale) else {
            return Ok(Replicas::Unscalable);
        };
        match self.scale(&kind, namespace, &application.name).await {
            Ok(Some(scale)) => Ok(Replicas::Wanted {
                replicas: scale.spec.replicas,
                existing: scale.status.replicas,
            }),
            Ok(None) => Ok(Replicas::NotFound),
            Err(error) if error.kind == ErrorKind::NotInstalled => Ok(Replicas::Unscalable),
            Err(error) => Err(error),
        }
    }
}

fn path(namespace: &str) -> Path {
    Path::new(IPClaim::url_path(&(), Some(namespace)))
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
