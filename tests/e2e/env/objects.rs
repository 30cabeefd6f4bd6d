//! What an administrator makes: pools, Subnets, reservations, namespaces.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, VersionMatch};
use kube::core::{ApiResource, Resource};
use leasehold::api::{IPPool, ReservedIP, Subnet};
use serde_json::{Value, json};

use super::{TestEnv, with};

impl TestEnv {
    /// Makes or edits a pool, whose name follows the environment's; returns the whole name.
    pub async fn pool(&self, name: &str, spec: Value) -> Result<String> {
        let name = format!("{}-{name}", self.name());
        self.apply_spec::<IPPool>(&name, spec).await?;
        Ok(name)
    }

    /// Makes or edits a pool of exactly this name and subnet.
    pub async fn pool_of(&self, name: &str, subnet: &str, spec: Value) -> Result<()> {
        let spec = with(spec, &json!({"subnet": subnet}));
        self.apply_spec::<IPPool>(name, spec).await
    }

    /// Makes a default pool of so many addresses, which are free as soon as they are released.
    pub async fn default_pool(&self, addresses: u32) -> Result<()> {
        let ips = format!("10.0.0.1-10.0.{}.{}", addresses / 256, addresses % 256);
        let spec = json!({"ips": [ips], "default": true, "cooldownSeconds": 0});
        self.pool_of(self.name(), "10.0.0.0/16", spec).await
    }

    /// Makes or edits a Subnet.
    pub async fn subnet_of(&self, name: &str, subnet: &str, spec: Value) -> Result<()> {
        let spec = with(spec, &json!({"subnet": subnet}));
        self.apply_spec::<Subnet>(name, spec).await
    }

    /// Reserves these addresses.
    pub async fn reserve(&self, name: &str, ips: Value) -> Result<()> {
        let name = format!("{}-{name}", self.name());
        self.apply_spec::<ReservedIP>(&name, json!({"ips": ips}))
            .await
    }

    /// Makes or edits a namespace, with these annotations.
    pub async fn namespace(&self, name: &str, annotations: Value) -> Result<()> {
        let metadata = json!({"metadata": {"annotations": annotations}});
        self.apply::<Namespace>(name, metadata).await
    }

    async fn apply_spec<K>(&self, name: &str, mut spec: Value) -> Result<()>
    where
        K: Resource<DynamicType = ()>,
    {
        if let Some(vrf) = self.vrf {
            spec["vrf"] = json!(vrf);
        }
        self.apply::<K>(name, json!({"spec": spec})).await
    }

    /// Applies an object of cluster scope.
    async fn apply<K>(&self, name: &str, mut body: Value) -> Result<()>
    where
        K: Resource<DynamicType = ()>,
    {
        let kind = ApiResource::erase::<K>(&());
        let objects: Api<DynamicObject> = Api::all_with(self.cluster.admin().await?, &kind);
        body["apiVersion"] = json!(K::api_version(&()));
        body["kind"] = json!(K::kind(&()));
        body["metadata"]["name"] = json!(name);
        let params = PatchParams::apply("e2e").force();
        let applied = objects
            .patch(name, &params, &Patch::Apply(body))
            .await
            .with_context(|| format!("apply {} {name}", K::kind(&())))?;
        until_cached(&objects, &applied).await
    }

    /// All objects of a kind, for the administrator.
    pub async fn api<K>(&self) -> Result<Api<K>>
    where
        K: Resource<DynamicType = ()>,
    {
        Ok(Api::all(self.cluster.admin().await?))
    }
}

/// Waits until the watch cache, from which the plugin reads pools and namespaces, has this write.
pub async fn until_cached<K>(objects: &Api<K>, written: &K) -> Result<()>
where
    K: Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let version = written.meta().resource_version.clone().unwrap_or_default();
    let not_older = ListParams::default()
        .at(&version)
        .matching(VersionMatch::NotOlderThan);
    objects.list_metadata(&not_older).await?;
    Ok(())
}
