//! What is read of an application: whether it exists, and how many pods it is to have.

use kube::core::Request as Path;
use kube::core::params::GetParams;
use serde::de::IgnoredAny;

use crate::api::ClaimOwner;
use crate::collector::ApplicationSnapshot;
use crate::kube_client::KubeClient;
use crate::kube_client::request::built;
use crate::retry::ApiError;

impl KubeClient {
    /// By its `scale` where its kind has that, else by its metadata: its templates, which may hold
    /// what is no business of the collector, are not read.
    pub(super) async fn read_application(
        &self,
        namespace: &str,
        application: &ClaimOwner,
    ) -> Result<ApplicationSnapshot, ApiError> {
        let Some(kind) = self.kind_of(application).await? else {
            return Ok(ApplicationSnapshot::UnknownKind);
        };
        let name = &application.name;
        let found = if kind.has_scale {
            let scale = self.scale(&kind, namespace, name).await?;
            scale.map(|scale| Some(scale.spec.replicas))
        } else {
            let request = Path::new(kind.path(namespace)).get_metadata(name, &GetParams::default());
            let (what, answer) = self.send(built(request)?).await?;
            answer.object::<IgnoredAny>(&what)?.map(|_| None)
        };
        Ok(found.map_or(ApplicationSnapshot::Gone, ApplicationSnapshot::Exists))
    }
}
