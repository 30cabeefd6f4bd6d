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

/// What leases of pods of other nodes say.
#[derive(Clone, Copy, Debug)]
pub struct Leased<'a> {
    /// The pool that they came out of.
    pub pool: &'a str,
    /// Their vrf; none is the default one.
    pub vrf: Option<&'a str>,
    /// When they were released, to rest for a day; none: they are held.
    pub released: Option<&'a str>,
}

impl Cluster {
    /// Has pods of other nodes hold these addresses of a pool. One that has a lease already keeps
    /// it.
    pub async fn hold(&self, pool: &str, addresses: impl Iterator<Item = IpAddr>) -> Result<()> {
        let what = Leased {
            pool,
            vrf: None,
            released: None,
        };
        self.lease(what, addresses).await
    }

    /// Makes leases of these addresses. One that is there already stays as it is.
    pub async fn lease(
        &self,
        what: Leased<'_>,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Result<()> {
        let kind = GroupVersionKind::gvk("leasehold.io", "v1alpha1", "IPLease");
        let kind = ApiResource::from_gvk_with_plural(&kind, "ipleases");
        let leases: Api<DynamicObject> = Api::all_with(self.admin().await?, &kind);
        let mut running = JoinSet::new();
        for address in addresses {
            if running.len() >= AT_ONCE {
                running.join_next().await.context("one of them")???;
            }
            let (leases, lease) = (leases.clone(), what.of(&kind, address));
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

impl Leased<'_> {
    fn of(self, kind: &ApiResource, address: IpAddr) -> DynamicObject {
        let name = match address {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join("-"),
        };
        let holder = json!({
            "namespace": "elsewhere", "pod": format!("pod-{name}"), "uid": format!("uid-of-{name}"), "node": "elsewhere",
            "container": format!("{name:0>64}"), "interface": "eth0", "network": "test",
        });
        let mut spec =
            json!({"address": address, "pool": self.pool, "state": "Held", "holder": holder});
        if let Some(at) = self.released {
            spec["state"] = json!("Cooling");
            spec["cooldownSeconds"] = json!(86_400);
            spec["releasedAt"] = json!(at);
        }
        let name = match self.vrf {
            Some(vrf) => {
                spec["vrf"] = json!(vrf);
                format!("{vrf}.{name}")
            }
            None => name,
        };
        DynamicObject::new(&name, kind).data(json!({"spec": spec}))
    }
}
