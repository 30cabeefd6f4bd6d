//! The situations, each made as it comes about.

use anyhow::Result;
use k8s_openapi::api::core::v1::{Namespace, Node as NodeObject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use testbed::Node;

use super::End::{Kept, Reclaimed, Untouched};
use super::{Case, End, HEARTBEAT};
use crate::collector::heartbeats::{Heartbeat, alive};
use crate::collector::run::Attached;
use crate::env::TestEnv;

/// The cluster in which they are made.
pub struct Cases<'a> {
    pub env: &'a TestEnv,
    pub living: Node,
    pub silent: Node,
    pub all: Vec<Case>,
}

impl Cases<'_> {
    pub async fn attach(
        &mut self,
        node: &Node,
        name: &str,
        says: &'static str,
        end: End,
    ) -> Result<Attached> {
        let attached = self.env.attach(node, name).await?;
        let address = attached.address;
        attached.pod.report_addresses(&[address]).await?;
        self.all.push(Case { says, address, end });
        Ok(attached)
    }

    /// On the node that lives.
    pub async fn on_living(
        &mut self,
        name: &str,
        says: &'static str,
        end: End,
    ) -> Result<Attached> {
        let node = self.living.clone();
        self.attach(&node, name, says, end).await
    }

    pub async fn pods_that_are_gone(&mut self) -> Result<()> {
        let silent = self.silent.clone();
        let gone = self
            .on_living(
                "gone",
                "a pod that is gone, its node alive",
                Reclaimed(HEARTBEAT),
            )
            .await?;
        gone.pod.force_delete().await?;
        let partitioned = self
            .attach(
                &silent,
                "partitioned",
                "a pod force-deleted while its node is partitioned",
                Kept("silent"),
            )
            .await?;
        partitioned.pod.force_delete().await?;
        let again = self
            .on_living(
                "again",
                "another uid under the same name",
                Reclaimed(HEARTBEAT),
            )
            .await?;
        again.pod.force_delete().await?;
        let env = self.env;
        env.cluster
            .pod(env.name(), "again")
            .on(&self.living)
            .create()
            .await?;
        let contested = self
            .on_living(
                "contested",
                "an address that another pod reports",
                Kept("reported"),
            )
            .await?;
        contested.pod.force_delete().await?;
        let reporter = env
            .cluster
            .pod(env.name(), "reporter")
            .on(&self.living)
            .create()
            .await?;
        reporter.report_addresses(&[contested.address]).await
    }

    pub async fn pods_that_end(&mut self) -> Result<()> {
        let grace = self
            .on_living("grace", "deletion with grace that hangs", Untouched)
            .await?;
        grace.pod.delete().await?;
        let finalizer = self
            .on_living(
                "finalizer",
                "a finalizer that hangs, nothing terminated",
                Untouched,
            )
            .await?;
        let finalizers = json!({"metadata": {"finalizers": ["test.local/hangs"]}});
        finalizer.pod.patch(finalizers.clone()).await?;
        finalizer.pod.force_delete().await?;
        let ended = self
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
        let job = self
            .on_living("job", "a finished Job", Reclaimed(ended))
            .await?;
        job.pod.patch_status(json!({"phase": "Succeeded"})).await?;
        // As the pod garbage collector writes it, of a pod whose node is not heard of.
        let silent = self.silent.clone();
        let failed = "a pod that was called failed while a container ran";
        let failed = self
            .attach(&silent, "failed", failed, Kept("silent"))
            .await?;
        let runs = json!({"name": "main", "image": "x", "imageID": "", "ready": true, "restartCount": 0,
            "state": {"running": {}}});
        failed
            .pod
            .patch_status(json!({"phase": "Failed", "containerStatuses": [runs]}))
            .await?;
        let stuck = self
            .on_living(
                "stuck",
                "a pod whose kubelet could not tear it down",
                Kept("teardown_failed"),
            )
            .await?;
        stuck.pod.force_delete().await?;
        self.could_not_tear_down(&stuck).await
    }

    /// What a kubelet reports where a plugin's DEL fails: the network namespace goes on answering.
    async fn could_not_tear_down(&self, attached: &Attached) -> Result<()> {
        let now = Time(jiff::Timestamp::now());
        let (pod, uid) = (attached.pod.name(), attached.pod.uid());
        let event = json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "stuck.1", "namespace": self.env.name()},
            "involvedObject": {"kind": "Pod", "namespace": self.env.name(), "name": pod, "uid": uid},
            "reason": "FailedKillPod", "type": "Warning", "message": "error killing pod", "lastTimestamp": now,
        });
        self.env.cluster.create_yaml(&event.to_string()).await?;
        Ok(())
    }

    pub async fn static_pods(&mut self) -> Result<()> {
        let env = self.env;
        for (name, says, end) in [
            ("static", "a static pod, known by its mirror", Untouched),
            (
                "static-gone",
                "a static pod whose mirror is gone",
                Kept("static_pod"),
            ),
        ] {
            // As kubelet makes it: 32 digits without hyphens.
            let hash = format!("{:032x}", u128::from(name == "static"));
            let builder = env.cluster.pod(env.name(), name).on(&self.living);
            let mirror = builder
                .annotation("kubernetes.io/config.mirror", &hash)
                .create()
                .await?;
            let eth0 = env
                .attachment(&self.living, &mirror)?
                .cni_arg("K8S_POD_UID", &hash);
            let address = eth0.add().await?.success()?.ips()?[0];
            if name == "static-gone" {
                mirror.force_delete().await?;
            }
            self.all.push(Case { says, address, end });
        }
        Ok(())
    }

    pub async fn nodes_that_are_gone(&mut self) -> Result<()> {
        let cluster = &self.env.cluster.clone();
        let (deleted, shut_down, alive) = (
            cluster.fresh_node().create().await?,
            cluster.fresh_node().create().await?,
            cluster.fresh_node().create().await?,
        );
        self.attach(
            &deleted,
            "orphan",
            "a node deleted while its pod still exists",
            Untouched,
        )
        .await?;
        let orphan = self
            .attach(
                &deleted,
                "orphan-gone",
                "a node deleted, and its pod too",
                Reclaimed("the pod is gone, and its Node object has been gone for long enough"),
            )
            .await?;
        orphan.pod.force_delete().await?;
        deleted.delete().await?;
        let vouched = self
            .attach(
                &shut_down,
                "vouched",
                "a node with the out-of-service taint",
                Reclaimed(
                    "the pod is gone, and its node has the taint node.kubernetes.io/out-of-service",
                ),
            )
            .await?;
        vouched.pod.force_delete().await?;
        shut_down.report_ready("Unknown").await?;
        let forgotten = self
            .attach(
                &alive,
                "forgotten",
                "a node that lives with a forgotten out-of-service taint",
                Kept("silent"),
            )
            .await?;
        forgotten.pod.force_delete().await?;
        let nodes: Api<NodeObject> = Api::all(cluster.admin().await?);
        let taint = json!({"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"});
        let patch = Patch::Merge(json!({"spec": {"taints": [taint]}}));
        for node in [shut_down, alive] {
            nodes
                .patch(node.name(), &PatchParams::default(), &patch)
                .await?;
        }
        Ok(())
    }

    /// Kubelet lives, and has lost its container runtime; or it was cut off, is back, and has yet to tear down what was
    /// deleted meanwhile.
    pub async fn nodes_that_are_not_ready(&mut self) -> Result<[Heartbeat; 2]> {
        let cluster = &self.env.cluster.clone();
        let (down, back) = (
            cluster.fresh_node().create().await?,
            cluster.fresh_node().create().await?,
        );
        let heartbeats = [alive(cluster, &down).await?, alive(cluster, &back).await?];
        for (node, status, name, says) in [
            (
                down,
                "False",
                "down",
                "a pod that is gone, its runtime down",
            ),
            (
                back,
                "Unknown",
                "back",
                "a pod that is gone, its node just back",
            ),
        ] {
            let gone = self.attach(&node, name, says, Kept("unready")).await?;
            gone.pod.force_delete().await?;
            node.report_ready(status).await?;
        }
        Ok(heartbeats)
    }

    /// As during a live migration.
    pub async fn two_holders(&mut self) -> Result<()> {
        let holder = |pod: &str| {
            json!({"namespace": self.env.name(), "pod": pod, "uid": format!("uid-of-{pod}"), "node": self.living.name(),
                "container": format!("c-{pod}"), "interface": "eth0", "network": "test"})
        };
        let spec = json!({"state": "Held", "holder": holder("source"), "coHolder": holder("target"),
            "claim": {"namespace": self.env.name(), "name": "vm", "ownerUID": "uid-of-vm"}});
        self.env.write_lease("10.60.3.1", spec).await?;
        self.all.push(Case {
            says: "a lease that two hold",
            address: "10.60.3.1".parse()?,
            end: Kept("shared"),
        });
        Ok(())
    }

    pub async fn a_namespace_with_everything_in_it(&mut self) -> Result<()> {
        let cluster = &self.env.cluster;
        let pod = cluster
            .pod("short-lived", "web")
            .on(&self.living)
            .create()
            .await?;
        let attached = self.env.attach_pod(&self.living, pod).await?;
        // What the namespace controller does.
        attached.pod.force_delete().await?;
        let namespaces: Api<Namespace> = Api::all(cluster.admin().await?);
        namespaces
            .delete("short-lived", &DeleteParams::default())
            .await?;
        self.all.push(Case {
            says: "a namespace deleted with everything in it",
            address: attached.address,
            end: Reclaimed(HEARTBEAT),
        });
        Ok(())
    }

    /// Leases that a retry left behind, as a newer and an older one of the same interface.
    pub async fn surplus(&mut self) -> Result<()> {
        let env = self.env;
        let kept = self
            .on_living("surplus", "the lease that the pod reports", Untouched)
            .await?;
        let lease = env
            .lease(kept.address)
            .await?
            .map(|lease| lease.spec.holder);
        let mut holder = serde_json::to_value(lease)?;
        holder["container"] = json!("an-earlier-sandbox");
        for (address, since) in [
            ("10.60.1.1", "2026-01-01T00:00:00.000000Z"),
            ("10.60.1.2", "2099-01-01T00:00:00.000000Z"),
        ] {
            env.write_lease(
                address,
                json!({"state": "Held", "holder": holder, "heldSince": since}),
            )
            .await?;
            self.all.push(Case {
                says: "a lease that a retry left behind",
                address: address.parse()?,
                end: Reclaimed("the pod has KEPT on the same interface"),
            });
        }
        Ok(())
    }

    pub async fn states_that_end(&mut self) -> Result<()> {
        let (past, future) = ("2026-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z");
        let cases = [
            (
                "10.60.2.1",
                json!({"state": "Cooling", "releasedAt": past}),
                "a cooldown that is over",
                Reclaimed("its cooldown is over"),
            ),
            (
                "10.60.2.2",
                json!({"state": "Cooling", "releasedAt": future}),
                "one that is not",
                Untouched,
            ),
            (
                "10.60.2.3",
                json!({"state": "Quarantined", "quarantinedUntil": past}),
                "a quarantine that is over",
                Reclaimed("its quarantine is over"),
            ),
            (
                "10.60.2.4",
                json!({"state": "Quarantined", "quarantinedUntil": future}),
                "one that is not",
                Untouched,
            ),
            (
                "10.60.2.5",
                json!({"state": "Retained"}),
                "what a person keeps",
                Untouched,
            ),
            (
                "10.60.2.6",
                json!({"state": "Retained", "claim": {"namespace": "a", "name": "b"}}),
                "what a claim keeps that can't be read",
                Untouched,
            ),
        ];
        for (address, spec, says, end) in cases {
            self.env.write_lease(address, spec).await?;
            let address = address.parse()?;
            self.all.push(Case { says, address, end });
        }
        Ok(())
    }
}
