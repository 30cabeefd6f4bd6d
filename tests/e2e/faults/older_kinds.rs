//! A cluster whose definitions of the kinds are older than the plugin.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::PostParams;
use serde_json::{Value, json};
use testbed::Cluster;

use super::TRY_AGAIN_LATER;
use crate::env::{Isolation, TestEnv};

/// Takes a field of a lease's `spec` out of its definition.
async fn forget(env: &TestEnv, field: &str) -> Result<()> {
    let definitions = env.api::<CustomResourceDefinition>().await?;
    let definition = definitions.get("ipleases.leasehold.io").await?;
    let mut definition = serde_json::to_value(definition)?;
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let spec = definition.pointer_mut(spec).and_then(Value::as_object_mut);
    spec.and_then(|spec| spec.remove(field))
        .context("a field")?;
    let definition = serde_json::from_value(definition)?;
    definitions
        .replace("ipleases.leasehold.io", &PostParams::default(), &definition)
        .await?;
    Ok(())
}

#[tokio::test]
async fn an_add_whose_lease_is_not_stored_whole_gives_it_back_and_names_the_manifests() -> Result<()>
{
    let env = Isolation::vrf("older")
        .cluster(Cluster::start().await?)
        .start()
        .await?;
    let two = json!({"ips": ["10.0.0.1-10.0.0.2"], "default": true});
    env.pool_of("older", "10.0.0.0/24", two).await?;
    let eth0 = env.eth0(&env.pod("pod").create().await?)?;
    // The lease that the next ADD takes is one that cools.
    eth0.add().await?.success()?;
    eth0.del().await?.success()?;
    forget(&env, "heldSince").await?;
    let begun = Instant::now();
    let refused = loop {
        let added = eth0.add().await?;
        if !added.succeeded() {
            break added;
        }
        eth0.del().await?.success()?;
        ensure!(
            begun.elapsed() < Duration::from_mins(1),
            "it is not in force"
        );
    };
    ensure!(
        refused.error_code() == TRY_AGAIN_LATER
            && refused.stdout.contains("apply leasehold's crds/")
            && refused.stdout.contains("spec.heldSince"),
        "{refused}"
    );
    env.holds_nothing().await?;
    let other = env.eth0(&env.pod("other").create().await?)?;
    ensure!(!other.add().await?.succeeded());
    env.holds_nothing().await?;
    assert_eq!(env.leases().await?.len(), 1, "the one that cooled before");
    eth0.del().await?.success()?;
    other.del().await?.success().map(drop)
}
