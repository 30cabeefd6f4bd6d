//! Pools that choose whom they serve: by labels, or by name.

use anyhow::Result;
use serde_json::json;

use crate::env::Isolation;

#[tokio::test]
async fn two_zones_of_one_deployment_are_served_by_two_pools_in_one_annotation() -> Result<()> {
    let env = Isolation::vrf("zones").start().await?;
    for (zone, subnet) in [("a", "10.1.0.0/24"), ("b", "10.2.0.0/24")] {
        let serves = json!({"nodeAffinity": {"matchLabels": {"zone": zone}}});
        env.pool_of(&format!("zones-{zone}"), subnet, serves)
            .await?;
    }
    for (zone, pool) in [
        ("a", "zones-a"),
        ("b", "zones-b"),
        (
            "c",
            "101: no IPv4 or IPv6 pool for this pod: correct nodeAffinity of IPPool zones-a, or name another pool: \
             node NODE lacks zone=a (nodeAffinity)",
        ),
    ] {
        let env = env.on_labeled("zone", zone).await?;
        let pod = env.pod(&format!("web-{zone}")).annotation(
            "ipam.leasehold.io/ippool",
            r#"{"ipv4":["zones-a","zones-b"]}"#,
        );
        let served = env.pools_for(pod).await?;
        assert_eq!(served.replace(env.node.name(), "NODE"), pool, "zone {zone}");
    }
    Ok(())
}

#[tokio::test]
async fn namespaces_share_pools_as_their_annotations_and_the_pools_say() -> Result<()> {
    let env = Isolation::vrf("shared").start().await?;
    // One address, so that the second pod of a namespace meets the second pool of its list.
    env.pool_of("shared-small", "10.1.0.0/24", json!({"ips": ["10.1.0.7"]}))
        .await?;
    env.pool_of(
        "shared-by-three",
        "10.2.0.0/24",
        json!({"namespaceName": ["shared-1", "shared-2", "shared-3"]}),
    )
    .await?;
    for namespace in ["shared-1", "shared-2", "shared-3", "shared-4"] {
        let pools = json!({"ipam.leasehold.io/default-ipv4-ippool": r#"["shared-small","shared-by-three"]"#});
        env.namespace(namespace, pools).await?;
    }
    for (namespace, pod, pools) in [
        ("shared-1", "first", "shared-small"),
        ("shared-1", "second", "shared-by-three"),
        ("shared-2", "first", "shared-by-three"),
        ("shared-3", "first", "shared-by-three"),
        (
            "shared-4",
            "first",
            "100: no free IPv4 address in shared-small (1 address: 1 held): enlarge a pool or name a backup",
        ),
    ] {
        let pod_of = format!("{pod} of {namespace}");
        let served = env.pools_for(env.pod_in(namespace, pod)).await?;
        assert_eq!(served, pools, "{pod_of}");
    }
    Ok(())
}

#[tokio::test]
async fn labels_of_pods_are_matched_by_expressions() -> Result<()> {
    let env = Isolation::vrf("expressions").start().await?;
    let expressions = json!([
        {"key": "tier", "operator": "In", "values": ["front", "edge"]},
        {"key": "canary", "operator": "DoesNotExist"},
    ]);
    env.pool_of(
        "expressions-front",
        "10.1.0.0/24",
        json!({"default": true, "podAffinity": {"matchExpressions": expressions}}),
    )
    .await?;
    env.pool_of("expressions-rest", "10.2.0.0/24", json!({"default": true}))
        .await?;
    for (name, labels, pool) in [
        ("in", vec![("tier", "edge")], "expressions-front"),
        ("out", vec![("tier", "back")], "expressions-rest"),
        ("none", vec![], "expressions-rest"),
        (
            "canary",
            vec![("tier", "edge"), ("canary", "")],
            "expressions-rest",
        ),
    ] {
        let labeled = |pod: testbed::PodBuilder, (key, value)| pod.label(key, value);
        let pod = labels.into_iter().fold(env.pod(name), labeled);
        assert_eq!(env.pools_for(pod).await?, pool, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn names_of_nodes_and_namespaces_go_before_their_labels() -> Result<()> {
    let env = Isolation::vrf("names").start().await?;
    let (node, other) = (env.node.name(), "another-node");
    let nothing = json!({"matchLabels": {"nothing": "has-this"}});
    for (name, spec) in [
        (
            "names-node",
            json!({"nodeName": [node], "nodeAffinity": nothing}),
        ),
        (
            "names-other-node",
            json!({"nodeName": [other], "nodeAffinity": {}}),
        ),
        (
            "names-namespace",
            json!({"namespaceName": ["names"], "namespaceAffinity": nothing}),
        ),
        (
            "names-other-namespace",
            json!({"namespaceName": ["other"], "namespaceAffinity": {}}),
        ),
    ] {
        env.pool_of(name, "10.1.0.0/24", spec).await?;
    }
    let mut lines = Vec::new();
    for pool in [
        "names-node",
        "names-other-node",
        "names-namespace",
        "names-other-namespace",
    ] {
        let pod = env.pod(pool).annotation(
            "ipam.leasehold.io/ippool",
            &json!({"ipv4": [pool]}).to_string(),
        );
        lines.push(env.pools_for(pod).await?.replace(node, "NODE"));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    names-node
    101: no IPv4 or IPv6 pool for this pod: correct nodeName of IPPool names-other-node, or name another pool: node NODE is not listed (nodeName)
    names-namespace
    101: no IPv4 or IPv6 pool for this pod: correct namespaceName of IPPool names-other-namespace, or name another pool: namespace names is not listed (namespaceName)
    "#);
    Ok(())
}
