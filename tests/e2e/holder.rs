//! A lease belongs to its present holder alone, and a write is checked against what was stored.

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use leasehold::api::{IPLease, State};
use serde_json::json;
use testbed::Cluster;

use crate::env::{Isolation, TestEnv};

/// An address that a pod had, on whose lease stands what the next holder must not inherit: a
/// permission to release, a label, an owner whose end deletes the lease, and a finalizer. Returns
/// its pool and its name.
async fn released_with_metadata(env: &TestEnv, leases: &Api<IPLease>) -> Result<(String, String)> {
    let pool = env.pool("pool", env.v4(7..=7)).await?;
    let name = env.at(7).to_string();
    let (_former, former) = env.pod_on("former", &pool).await?;
    former.add().await?.success()?;
    let uid = (leases.get(&name).await?.spec.holder)
        .context("a holder")?
        .uid;
    let metadata = json!({
        "annotations": {"ipam.leasehold.io/release": uid, "example.com/note": "former"},
        "labels": {"noted": "yes"},
        "ownerReferences": [{
            "apiVersion": "v1", "kind": "Node", "name": "no-such-node", "uid": "00000000-0000-4000-8000-000000000001",
        }],
        "finalizers": ["example.com/keep"],
    });
    let patch = Patch::Merge(json!({"metadata": metadata}));
    leases.patch(&name, &PatchParams::default(), &patch).await?;
    former.del().await?.success()?;
    Ok((pool, name))
}

#[tokio::test]
async fn nothing_of_the_former_holder_is_on_the_lease_of_the_next_one() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let leases: Api<IPLease> = env.api().await?;
    let (pool, name) = released_with_metadata(&env, &leases).await?;
    let (_next, next) = env.pod_on("next", &pool).await?;
    next.add().await?.success()?;

    let lease = leases.get(&name).await?;
    assert_eq!(lease.spec.holder.context("a holder")?.pod, "next");
    let metadata = lease.metadata;
    assert_eq!(metadata.annotations, None);
    assert_eq!(metadata.labels, None);
    assert_eq!(metadata.owner_references, None);
    assert_eq!(metadata.finalizers, None);

    let refused = leases.delete(&name, &DeleteParams::default()).await;
    ensure!(
        refused.is_err(),
        "a release that was meant for the former pod frees the address of the next"
    );
    Ok(())
}

#[tokio::test]
async fn a_lease_that_is_being_deleted_counts_as_taken() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let leases: Api<IPLease> = env.api().await?;
    let (pool, name) = released_with_metadata(&env, &leases).await?;
    leases.delete(&name, &DeleteParams::default()).await?;

    let (_next, next) = env.pod_on("next", &pool).await?;
    let refused = next.add().await?;
    ensure!(refused.error_code() == Some(100), "{refused}");
    assert_eq!(leases.get(&name).await?.spec.state, State::Cooling);

    let gone = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    leases.patch(&name, &PatchParams::default(), &gone).await?;
    next.add().await?.success()?;
    Ok(())
}

#[tokio::test]
async fn a_field_that_an_older_definition_of_the_kind_drops_is_an_error_that_names_crds()
-> Result<()> {
    let env = Isolation::vrf("older-kind")
        .cluster(Cluster::start().await?)
        .start()
        .await?;
    env.default_pool(8).await?;
    let older = json!([{
        "op": "remove",
        "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/terminationGracePeriodSeconds",
    }]);
    let patch = ["patch", "crd", "ipleases.leasehold.io", "--type=json", "-p"];
    let older = older.to_string();
    env.cluster
        .kubectl(&[&patch[..], &[older.as_str()]].concat())
        .await?;

    let pod = env.pod("web").create().await?;
    let eth0 = env.eth0(&pod)?;
    // The API server goes on with the former definition for a moment.
    let refused = loop {
        let outcome = eth0.add().await?;
        if !outcome.succeeded() {
            break outcome;
        }
        eth0.del().await?.success()?;
    };
    let message = env.message(&refused);
    ensure!(
        message.contains("apply leasehold's crds/")
            && message.contains("spec.terminationGracePeriodSeconds"),
        "{message}"
    );
    // The runtime gives a failed attempt back, and finds what was stored by its container.
    eth0.remember(None);
    eth0.del().await?.success()?;
    env.holds_nothing().await
}
