//! Pods that are gone, and pods that are about to be.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams};
use serde_json::json;

use super::cases::End::{Kept, Reclaimed, Untouched};
use super::cases::{Case, Cases, HEARTBEAT};
use crate::collector::run::Attached;

#[tokio::test]
async fn a_lease_of_a_pod_that_is_gone_is_released_unless_another_pod_has_the_address() -> Result<()>
{
    let mut cases = Cases::new("replaced", "10.91.0.0/24").await?;
    let living = cases.living.clone();
    let again = "another uid under the same name";
    cases
        .gone(&living, "again", again, Reclaimed(HEARTBEAT))
        .await?;
    let env = cases.env.clone();
    env.cluster
        .pod(env.name(), "again")
        .on(&living)
        .create()
        .await?;
    let contested = "an address that another pod reports";
    let contested = cases
        .gone(&living, "contested", contested, Kept("reported"))
        .await?;
    let reporter = env
        .cluster
        .pod(env.name(), "reporter")
        .on(&living)
        .create()
        .await?;
    reporter.report_addresses(&[contested.address]).await?;
    cases.judge().await?;
    Ok(())
}

#[tokio::test]
async fn a_pod_that_ends_keeps_its_lease_until_it_is_known_to_have_ended() -> Result<()> {
    let mut cases = Cases::new("ends", "10.92.0.0/24").await?;
    let grace = cases
        .on_living("grace", "deletion with grace that hangs", Untouched)
        .await?;
    grace.pod.delete().await?;
    let finalizer = cases
        .on_living(
            "finalizer",
            "a finalizer that hangs, nothing terminated",
            Untouched,
        )
        .await?;
    let finalizers = json!({"metadata": {"finalizers": ["test.local/hangs"]}});
    finalizer.pod.patch(finalizers.clone()).await?;
    finalizer.pod.force_delete().await?;
    let ended = cases
        .on_living(
            "ended",
            "a finalizer that hangs, all containers terminated",
            // That its containers have ended does not prove that its sandbox has.
            Untouched,
        )
        .await?;
    ended.pod.patch(finalizers).await?;
    ended.pod.force_delete().await?;
    let terminated = json!({"name": "main", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": {"exitCode": 0}}});
    ended
        .pod
        .patch_status(json!({"containerStatuses": [terminated]}))
        .await?;
    let ended = "the pod has succeeded, and its containers have ended";
    let job = cases
        .on_living("job", "a finished Job", Reclaimed(ended))
        .await?;
    job.pod.patch_status(json!({"phase": "Succeeded"})).await?;
    // As the pod garbage collector writes it, of a pod whose node is not heard of.
    let silent = cases.silent.clone();
    let failed = "a pod that was called failed while a container ran";
    let failed = cases
        .attach(&silent, "failed", failed, Kept("silent"))
        .await?;
    let runs = json!({"name": "main", "image": "x", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {}}});
    failed
        .pod
        .patch_status(json!({"phase": "Failed", "containerStatuses": [runs]}))
        .await?;
    let living = cases.living.clone();
    let stuck = "a pod whose kubelet could not tear it down";
    let stuck = cases
        .gone(&living, "stuck", stuck, Kept("teardown_failed"))
        .await?;
    could_not_tear_down(&cases, &stuck).await?;
    cases.judge().await?;

    let noted = cases.env.lease(grace.address).await?.context("no lease")?;
    ensure!(
        noted.spec.termination_grace_period_seconds == 30,
        "it was given more than it had: {noted:?}"
    );
    Ok(())
}

/// What a kubelet reports where a plugin's DEL fails: the network namespace goes on answering.
async fn could_not_tear_down(cases: &Cases, attached: &Attached) -> Result<()> {
    let now = Time(jiff::Timestamp::now());
    let (namespace, pod, uid) = (cases.env.name(), attached.pod.name(), attached.pod.uid());
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "stuck.1", "namespace": namespace},
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": pod, "uid": uid},
        "reason": "FailedKillPod", "type": "Warning", "message": "error killing pod", "lastTimestamp": now,
    });
    cases.env.cluster.create_yaml(&event.to_string()).await?;
    Ok(())
}

#[tokio::test]
async fn a_static_pod_keeps_its_lease_with_its_mirror_and_without_it() -> Result<()> {
    let mut cases = Cases::new("static", "10.93.0.0/24").await?;
    let env = cases.env.clone();
    for (name, situation, end) in [
        ("static", "a static pod, known by its mirror", Untouched),
        (
            "static-gone",
            "a static pod whose mirror is gone",
            Kept("static_pod"),
        ),
    ] {
        // As kubelet makes it: 32 digits without hyphens.
        let hash = format!("{:032x}", u128::from(name == "static"));
        let builder = env.cluster.pod(env.name(), name).on(&cases.living);
        let mirror = builder
            .annotation("kubernetes.io/config.mirror", &hash)
            .create()
            .await?;
        let eth0 = env
            .attachment(&cases.living, &mirror)?
            .cni_arg("K8S_POD_UID", &hash);
        let address = eth0.add().await?.success()?.ips()?[0];
        if name == "static-gone" {
            mirror.force_delete().await?;
        }
        cases.all.push(Case {
            situation,
            address,
            end,
        });
    }
    cases.judge().await?;
    Ok(())
}

#[tokio::test]
async fn a_namespace_deleted_with_everything_in_it_leaves_no_lease_behind() -> Result<()> {
    let mut cases = Cases::new("namespace", "10.94.0.0/24").await?;
    let cluster = cases.env.cluster.clone();
    let pod = cluster
        .pod("short-lived", "web")
        .on(&cases.living)
        .create()
        .await?;
    let attached = cases.env.attach_pod(&cases.living, pod).await?;
    // What the namespace controller does.
    attached.pod.force_delete().await?;
    let namespaces: Api<Namespace> = Api::all(cluster.admin().await?);
    namespaces
        .delete("short-lived", &DeleteParams::default())
        .await?;
    cases.all.push(Case {
        situation: "a namespace deleted with everything in it",
        address: attached.address,
        end: Reclaimed(HEARTBEAT),
    });
    cases.judge().await?;
    Ok(())
}
