//! Which network a call belongs to, where the interface's name does not say it.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use testbed::{Pod, Sandbox};

use crate::env::{Isolation, TestEnv};

const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
const IPPOOLS: &str = "ipam.leasehold.io/ippools";
const DEFAULT_ROUTE_NIC: &str = "ipam.leasehold.io/default-route-nic";

/// Attaches each interface to the network of that name, as one runtime does; returns pools and
/// default routes.
async fn attached(env: &TestEnv, pod: &Pod, calls: &[(&str, &str)]) -> Result<String> {
    let sandbox = Arc::new(Sandbox::new()?);
    let mut lines = Vec::new();
    for (interface, network) in calls {
        let call = env.eth0(pod)?.in_sandbox(&sandbox).interface(interface);
        let outcome = call.set("name", json!(network)).add().await?;
        let mut line = format!("{interface}: {}", env.pools_of(&outcome).await?);
        if outcome.succeeded() && outcome.json()?["routes"].to_string().contains("0.0.0.0/0") {
            line += ", default route";
        }
        lines.push(line);
    }
    Ok(lines.join("\n"))
}

/// A default pool of its own for the cluster's network, for the cluster's `mgmt` and for a
/// namespace's `blue`.
async fn town(vrf: &'static str) -> Result<TestEnv> {
    let env = Isolation::vrf(vrf).start().await?;
    let blue = format!("{vrf}/blue");
    for (name, net, multus) in [
        ("cluster", 1, None),
        ("mgmt", 2, Some("mgmt")),
        ("blue", 3, Some(blue.as_str())),
    ] {
        let spec = json!({
            "gateway": format!("10.{net}.0.1"),
            "default": true,
            "multusName": multus.into_iter().collect::<Vec<_>>(),
        });
        let (name, subnet) = (format!("{vrf}-{name}"), format!("10.{net}.0.0/24"));
        env.pool_of(&name, &subnet, spec).await?;
    }
    Ok(env)
}

#[tokio::test]
async fn the_clusters_own_networks_move_those_of_the_pod_to_other_names() -> Result<()> {
    let env = town("moved").await?;
    let calls = [
        ("eth0", "k8s-pod-network"),
        ("net1", "mgmt"),
        ("net2", "blue"),
    ];
    let pod = env.pod("by-default").annotation(NETWORKS, "blue");
    insta::assert_snapshot!(attached(&env, &pod.create().await?, &calls).await?, @r"
    eth0: moved-cluster, default route
    net1: moved-mgmt
    net2: moved-blue
    ");
    // Items in order are about the pod's own networks.
    let in_order = r#"[{"ipv4":["moved-cluster"]},{"ipv4":["moved-blue"]}]"#;
    let pod = env.pod("in-order").annotation(NETWORKS, "blue");
    let pod = pod.annotation(IPPOOLS, in_order).create().await?;
    insta::assert_snapshot!(attached(&env, &pod, &calls).await?, @r"
    eth0: moved-cluster, default route
    net1: moved-mgmt
    net2: moved-blue
    ");
    let pod = env.pod("carried").annotation(NETWORKS, "blue");
    let pod = pod.annotation(DEFAULT_ROUTE_NIC, "net2").create().await?;
    insta::assert_snapshot!(attached(&env, &pod, &calls).await?, @r"
    eth0: moved-cluster
    net1: moved-mgmt
    net2: moved-blue, default route
    ");
    Ok(())
}

#[tokio::test]
async fn containerd_alone_attaches_several_configurations() -> Result<()> {
    let env = town("alone").await?;
    let calls = [("eth0", "k8s-pod-network"), ("eth1", "mgmt")];
    let pod = env.pod("by-default").create().await?;
    insta::assert_snapshot!(attached(&env, &pod, &calls).await?, @r"
    eth0: alone-cluster, default route
    eth1: alone-mgmt
    ");
    let in_order = r#"[{"ipv4":["alone-cluster"]},{"ipv4":["alone-mgmt"]}]"#;
    let pod = env.pod("in-order").annotation(IPPOOLS, in_order);
    insta::assert_snapshot!(attached(&env, &pod.create().await?, &calls).await?, @r"
    eth0: alone-cluster, default route
    eth1: alone-mgmt
    ");
    let pod = env.pod("carried").annotation(DEFAULT_ROUTE_NIC, "eth1");
    insta::assert_snapshot!(attached(&env, &pod.create().await?, &calls).await?, @r"
    eth0: alone-cluster
    eth1: alone-mgmt, default route
    ");
    Ok(())
}

#[tokio::test]
async fn a_configuration_of_another_name_is_known_by_interface_or_place() -> Result<()> {
    let env = town("placed").await?;
    for (list, interface) in [
        ("blue", "net1"),
        ("blue@net7", "net7"),
        ("other,blue", "net2"),
    ] {
        let pod = env
            .pod(interface)
            .annotation(NETWORKS, list)
            .create()
            .await?;
        let given = attached(&env, &pod, &[(interface, "underlay")]).await?;
        assert_eq!(given, format!("{interface}: placed-blue"), "{list}");
    }
    // The neighbor: neither says that it is blue.
    let pod = env
        .pod("behind")
        .annotation(NETWORKS, "blue")
        .create()
        .await?;
    let given = attached(&env, &pod, &[("net2", "underlay")]).await?;
    assert_eq!(given, "net2: placed-cluster");
    Ok(())
}
