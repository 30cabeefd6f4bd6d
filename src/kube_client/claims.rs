//! Claims over the wire: each call of [`Claims`] as a request.

use kube::Resource;
use kube::core::Request as Path;
use kube::core::params::GetParams;

use super::KubeClient;
use super::request::{api_error, built};
use crate::api::IPClaim;
use crate::claim::{Claim, ClaimName, Unusable};
use crate::lease::Claims;
use crate::retry::{ApiError, ErrorKind};

impl Claims for KubeClient {
    async fn read_claim(&self, name: &ClaimName) -> Result<Option<Claim>, ApiError> {
        let path = Path::new(IPClaim::url_path(&(), Some(&name.namespace)));
        let request = built(path.get(&name.name, &GetParams::default()))?;
        let (what, answer) = self.send(request).await?;
        answer
            .object::<IPClaim>(&what)?
            .map(|object| understood(&what, name, object))
            .transpose()
    }
}

fn understood(what: &str, name: &ClaimName, object: IPClaim) -> Result<Claim, ApiError> {
    Claim::try_from(object).map_err(|error| {
        let error = Unusable::Invalid(name.clone(), Box::new(error));
        api_error(what, ErrorKind::Refused, error)
    })
}
