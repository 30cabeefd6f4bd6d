//! Leases of pods that run elsewhere, so that a pool is full without them.

use std::net::IpAddr;

use anyhow::{Context, Result};
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use serde_json::json;
use tokio::task::JoinSet;

use crate::Cluster;

/// How many are created at once.
const AT_ONCE: usize = 50;

impl Cluster {
    /// Has pods of other nodes hold these IPv4 addresses of a pool. One that has a lease already
    /// keeps it.
    pub async fn hold(&self, pool: &str, addresses: impl Iterator<Item = IpAddr>) -> Result<()> {
        let kind = GroupVersionKind::gvk("leasehold.io", "v1alpha1", "IPLease");
        let kind = ApiResource::from_gvk_with_plural(&kind, "ipleases");
        let leases: Api<DynamicObject> = Api::all_with(self.admin().await?, &kind);
        let mut running = JoinSet::new();
        for address in addresses {
            if running.len() >= AT_ONCE {
                running.join_next().await.context("one of them")???;
            }
            let (leases, lease) = (leases.clone(), lease(&kind, pool, address));
            running.spawn(async move {
                match leases.create(&PostParams::default(), &lease).await {
                    Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                    outcome => outcome.map(drop),
                }
            });
        }
        while let Some(created) = running.join_next().await {
            created??;
        }
        Ok(())
    }
}

fn lease(kind: &ApiResource, pool: &str, address: IpAddr) -> DynamicObject {
    let holder = json!({
        "namespace": "elsewhere", "pod": format!("pod-{address}"), "uid": format!("uid-of-{address}"), "node": "elsewhere",
        "container": format!("{address:0>64}"), "interface": "eth0", "network": "test",
    });
    let spec = json!({"address": address, "pool": pool, "state": "Held", "holder": holder});
    DynamicObject::new(&address.to_string(), kind).data(json!({"spec": spec}))
}
