//! What is kept for a pod of a StatefulSet is given up once no such pod is to be expected.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use leasehold::api::State;
use serde_json::{Value, json};
use testbed::proxy::{Do, On, Proxy};

use super::run::{Attached, Report};
use crate::env::TestEnv;

/// One that no controller makes pods of.
async fn stateful_set(env: &TestEnv, name: &str, replicas: u32, annotations: Value) -> Result<()> {
    let labels = json!({"app": name});
    let container = json!({"name": "c", "image": "example.com/c"});
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"namespace": env.name(), "name": name, "annotations": annotations},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": labels}, "serviceName": name,
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    });
    env.cluster.create_yaml(&set.to_string()).await?;
    Ok(())
}

async fn stateful_sets(env: &TestEnv) -> Result<Api<StatefulSet>> {
    Ok(Api::namespaced(env.cluster.admin().await?, env.name()))
}

async fn scale(env: &TestEnv, name: &str, replicas: u32) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let sets = stateful_sets(env).await?;
    sets.patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// The pod of this number.
async fn numbered(env: &TestEnv, set: &str, number: u32) -> Result<Attached> {
    let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": set, "controller": true,
        "uid": "0b5cf4ce-9a1b-4f0e-9a57-6b1a3c5f9a11"});
    let pod = env.pod(&format!("{set}-{number}")).owner(owner);
    env.attach_pod(&env.node, pod.create().await?).await
}

/// The address of a pod that has come and gone.
async fn kept(env: &TestEnv, set: &str, number: u32) -> Result<IpAddr> {
    let attached = numbered(env, set, number).await?;
    attached.eth0.del().await?.success()?;
    attached.pod.force_delete().await?;
    Ok(attached.address)
}

async fn is_kept(env: &TestEnv, address: IpAddr) -> Result<bool> {
    let lease = env.lease(address).await?;
    Ok(lease.is_some_and(|lease| lease.spec.state == State::Retained))
}

#[tokio::test]
async fn an_address_is_kept_as_long_as_a_stateful_set_makes_a_pod_of_that_name() -> Result<()> {
    let env = super::run::env("slots", "10.59.0.0/24").await?;
    let proxy = Proxy::start(&env.cluster.url(0), &env.cluster.ca_pem())?;
    let server = (proxy.url_for("collector"), proxy.ca_pem());
    let through_proxy = env.collector(&[], Some((&server.0, server.1))).await?;
    through_proxy.run().await?.success()?;
    let lists = On::list("statefulsets");
    ensure!(proxy.log().count(&lists) == 0, "no address is kept for any");

    env.namespace(env.name(), json!({})).await?;
    stateful_set(&env, "web", 3, json!({})).await?;
    stateful_set(&env, "gone", 1, json!({})).await?;
    let retain = json!({"ipam.leasehold.io/when-scaled": "Retain"});
    stateful_set(&env, "retaining", 1, retain).await?;
    let (in_range, outside) = (kept(&env, "web", 1).await?, kept(&env, "web", 2).await?);
    let gone = kept(&env, "gone", 0).await?;
    let retained = kept(&env, "retaining", 0).await?;
    let all = [in_range, outside, gone, retained];
    for _ in 0..2 {
        let report = env.collect(&["--claim-grace", "0"]).await?;
        let is_fine = |address: &IpAddr| report.about(&address.to_string()).is_none();
        ensure!(all.iter().all(is_fine), "{report:#?}");
    }

    scale(&env, "web", 2).await?;
    scale(&env, "retaining", 0).await?;
    let sets = stateful_sets(&env).await?;
    sets.delete("gone", &DeleteParams::background()).await?;
    for _ in 0..2 {
        let report = env.collect(&[]).await?;
        for address in [outside, gone] {
            let reason = report.reason(&address.to_string());
            ensure!(reason == Some("awaited"), "{address}: {report:#?}");
        }
    }

    // Without the right to list them, as the shipped one once was, none is known to be gone.
    let rule = proxy.rule(On::list("statefulsets"), Do::answer(403));
    let args = ["--claim-grace", "0"];
    let through_proxy = env.collector(&args, Some((&server.0, server.1))).await?;
    let outcome = through_proxy.run().await?;
    ensure!(outcome.code == Some(1), "{outcome}");
    let says = "because the StatefulSets could not be listed";
    ensure!(outcome.stderr.contains(says), "{outcome}");
    for address in all {
        ensure!(is_kept(&env, address).await?, "{address}: {outcome}");
    }
    rule.remove();

    env.collect(&[]).await?;
    let report: Report = env.collect(&args).await?;
    for (address, reason) in [(outside, "scaled_down"), (gone, "owner_gone")] {
        let said = report.reason(&address.to_string());
        ensure!(said == Some(reason), "{address}: {report:#?}");
        ensure!(env.lease(address).await?.is_none(), "{address}");
    }
    for address in [in_range, retained] {
        ensure!(is_kept(&env, address).await?, "{address}: {report:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_kept_for_a_pod_that_no_stateful_set_makes_goes_a_day_after_it() -> Result<()> {
    let env = super::run::env("slots-alone", "10.58.0.0/24").await?;
    let now = jiff::Timestamp::now();
    let (long, lately): (IpAddr, IpAddr) = ("10.58.0.8".parse()?, "10.58.0.9".parse()?);
    for (address, hours) in [(long, 25), (lately, 23)] {
        let released = now - jiff::SignedDuration::from_hours(hours);
        let claim = json!({"kind": "Pod", "namespace": env.name(), "name": format!("db-{hours}"),
            "interface": "eth0", "network": "net"});
        let spec =
            json!({"state": "Retained", "claim": claim, "releasedAt": format!("{released:.0}")});
        env.write_lease(&address.to_string(), spec).await?;
    }
    let report = env.collect(&[]).await?;
    ensure!(
        report.reason(&long.to_string()) == Some("awaited"),
        "{report:#?}"
    );
    let report = env.collect(&["--claim-grace", "0"]).await?;
    ensure!(
        report.reason(&long.to_string()) == Some("unused"),
        "{report:#?}"
    );
    ensure!(env.lease(long).await?.is_none(), "{report:#?}");
    ensure!(is_kept(&env, lately).await?, "{report:#?}");
    Ok(())
}

#[tokio::test]
async fn an_address_whose_lease_was_deleted_while_its_pod_runs_is_kept_for_the_next_pod()
-> Result<()> {
    let env = super::run::env("slots-deleted", "10.59.2.0/24").await?;
    env.namespace(env.name(), json!({})).await?;
    stateful_set(&env, "db", 2, json!({})).await?;
    let other = numbered(&env, "db", 1).await?;
    let former = numbered(&env, "db", 0).await?;
    former.pod.report_addresses(&[former.address]).await?;
    env.delete_held(former.address).await?;
    let report = env.collect(&[]).await?;
    let about = report.about(&former.address.to_string());
    ensure!(
        about.is_some_and(|(event, _)| event == "recreated"),
        "{report:#?}"
    );

    former.eth0.del().await?.success()?;
    former.pod.force_delete().await?;
    ensure!(is_kept(&env, former.address).await?, "it is free");
    let next = numbered(&env, "db", 0).await?;
    ensure!(next.address == former.address, "it has {}", next.address);
    for attached in [other, next] {
        attached.eth0.del().await?.success()?;
        attached.pod.force_delete().await?;
    }
    Ok(())
}
