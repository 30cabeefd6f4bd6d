//! Whose pods have a set: of whatever kind their controller is.

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use testbed::PodBuilder;

use super::{Isolation, TestEnv};

/// Made by this controller.
pub fn owned(pod: PodBuilder, version: &str, kind: &str, name: &str) -> PodBuilder {
    pod.owner(json!({"apiVersion": version, "kind": kind, "name": name,
        "uid": "0b5cf4ce-9a1b-4f0e-9a57-6b1a3c5f9a11", "controller": true}))
}

/// A kind with `/scale`.
fn scalable(group: &str, version: &str, kind: &str, plural: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": [{
                "name": version, "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                "subresources": {"scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                }},
            }],
        },
    })
}

impl TestEnv {
    /// An object of a kind that wants so many pods.
    async fn controller(&self, version: &str, kind: &str, name: &str, spec: Value) -> Result<()> {
        self.namespace(self.name(), json!({})).await?;
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let admin = self.cluster.admin().await?;
        let objects: Api<DynamicObject> = Api::namespaced_with(admin, self.name(), &kind);
        let mut object = DynamicObject::new(name, &kind);
        object.data = json!({"spec": spec});
        objects
            .create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("make {name}"))?;
        Ok(())
    }

    /// Serves a pod with this controller, and these labels; the sets that there are then.
    async fn set_of(
        &self,
        (version, kind, name): (&str, &str, &str),
        labels: &[(&str, &str)],
        number: Option<&str>,
        subnet: &str,
    ) -> Result<()> {
        let mut pod = owned(self.pod(&format!("{name}-x")), version, kind, name);
        for (key, value) in labels {
            pod = pod.label(key, value);
        }
        if let Some(number) = number {
            pod = pod.annotation("ipam.leasehold.io/ippool-ip-number", number);
        }
        let named = json!({"ipv4": [subnet]}).to_string();
        let pod = pod.annotation("ipam.leasehold.io/subnet", &named);
        let answer = self.served(pod).await?;
        ensure!(answer.starts_with("10.0."), "{kind} {name}: {answer}");
        Ok(())
    }
}

#[tokio::test]
async fn a_set_is_for_the_object_that_a_person_made() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=200)).await?;
    let template = |kind: &str| {
        json!({
            "metadata": {"labels": {"app": kind}},
            "spec": {"containers": [{"name": "main", "image": "local.test/none"}]},
        })
    };
    let of = |kind: &str, replicas: u32| json!({"replicas": replicas, "selector": {"matchLabels": {"app": kind}}, "template": template(kind)});
    env.application("web", 2).await?;
    env.controller("apps/v1", "ReplicaSet", "alone", of("alone", 2))
        .await?;
    let mut stateful = of("db", 2);
    stateful["serviceName"] = json!("db");
    env.controller("apps/v1", "StatefulSet", "db", stateful)
        .await?;
    let old = json!({"replicas": 2, "selector": {"app": "old"}, "template": template("old")});
    env.controller("v1", "ReplicationController", "old", old)
        .await?;

    let hash = [("pod-template-hash", "7d9f8")];
    for (owner, labels, number) in [
        (
            ("apps/v1", "ReplicaSet", "web-7d9f8"),
            hash.as_slice(),
            None,
        ),
        (("apps/v1", "ReplicaSet", "alone"), &[], None),
        (("apps/v1", "StatefulSet", "db"), &[], None),
        (("v1", "ReplicationController", "old"), &[], None),
        (("apps/v1", "DaemonSet", "agent"), &[], Some("4")),
        (("batch/v1", "Job", "once"), &[], Some("2")),
        (("batch/v1", "Job", "report-29384950"), &[], Some("2")),
        (("batch/v1", "Job", "report-29384951"), &[], Some("2")),
    ] {
        env.set_of(owner, labels, number, &racks).await?;
    }
    insta::assert_snapshot!(env.sets().await?, @"
    CronJob report eth0 test-racks 2
    DaemonSet agent eth0 test-racks 4
    Deployment web eth0 test-racks 3
    Job once eth0 test-racks 2
    ReplicaSet alone eth0 test-racks 3
    ReplicationController old eth0 test-racks 3
    StatefulSet db eth0 test-racks 3
    ");
    Ok(())
}

#[tokio::test]
async fn any_kind_with_a_scale_says_how_many_pods_it_wants() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=200)).await?;
    env.namespace(env.name(), json!({})).await?;
    for (group, version, kind, plural) in [
        ("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
        ("e2e.example.com", "v2", "Fleet", "fleet"),
    ] {
        let definition = scalable(group, version, kind, plural);
        env.cluster.apply_yaml(&definition.to_string()).await?;
    }
    env.cluster
        .apply_yaml(
            &json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                "metadata": {"name": "canary", "namespace": env.name()}, "spec": {"replicas": 4},
            })
            .to_string(),
        )
        .await?;
    env.cluster
        .apply_yaml(
            &json!({
                "apiVersion": "e2e.example.com/v2", "kind": "Fleet",
                "metadata": {"name": "ships", "namespace": env.name()}, "spec": {"replicas": 7},
            })
            .to_string(),
        )
        .await?;
    let hash = [("rollouts-pod-template-hash", "7d9f8")];
    let rollout = ("apps/v1", "ReplicaSet", "canary-7d9f8");
    env.set_of(rollout, &hash, None, &racks).await?;
    let fleet = ("e2e.example.com/v2", "Fleet", "ships");
    env.set_of(fleet, &[], None, &racks).await?;
    insta::assert_snapshot!(env.sets().await?, @"
    Fleet ships eth0 test-racks 9
    Rollout canary eth0 test-racks 5
    ");
    Ok(())
}
