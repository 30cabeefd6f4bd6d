//! Pods that ask for what can't be kept.

use anyhow::Result;
use serde_json::json;

use super::{STICKY, owner};
use crate::env::Isolation;

#[tokio::test]
async fn a_pod_whose_name_never_comes_again_is_refused_where_it_asks_to_be_sticky() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    let mut lines = Vec::new();
    for kind in [
        "ReplicaSet",
        "DaemonSet",
        "Job",
        "CloneSet",
        "ReplicationController",
    ] {
        let name = format!("web-{}", kind.to_lowercase());
        let pod = env
            .pod(&name)
            .owner(owner(kind, "web"))
            .annotation(STICKY, "true");
        let refused = env.eth0_on(&pod.create().await?, &pool)?.add().await?;
        lines.push(env.message(&refused));
        // Unasked, they are served as ever.
        let pod = env
            .pod(&format!("{name}-2"))
            .owner(owner(kind, "web"))
            .create()
            .await?;
        env.eth0_on(&pod, &pool)?.add().await?.success()?;
    }
    let pod = env
        .pod("unclear")
        .annotation(STICKY, "yes")
        .create()
        .await?;
    let refused = env
        .eth0_on(&pod, &pool)?
        .set("nothing", json!(null))
        .add()
        .await?;
    lines.push(env.message(&refused));
    insta::assert_snapshot!(lines.join("\n"), @r#"
    7: no address can be kept for a pod of ReplicaSet web, because each of its pods has a new name: leave the annotation ipam.leasehold.io/sticky away, or run the pod in a StatefulSet
    7: no address can be kept for a pod of DaemonSet web, because each of its pods has a new name: leave the annotation ipam.leasehold.io/sticky away, or run the pod in a StatefulSet
    7: no address can be kept for a pod of Job web, because each of its pods has a new name: leave the annotation ipam.leasehold.io/sticky away, or run the pod in a StatefulSet
    7: no address can be kept for a pod of CloneSet web, because each of its pods has a new name: leave the annotation ipam.leasehold.io/sticky away, or run the pod in a StatefulSet
    7: no address can be kept for a pod of ReplicationController web, because each of its pods has a new name: leave the annotation ipam.leasehold.io/sticky away, or run the pod in a StatefulSet
    7: annotation ipam.leasehold.io/sticky: "yes" is neither true nor false; for example true
    "#);
    Ok(())
}
