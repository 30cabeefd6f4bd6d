//! Annotations that are large, or come from elsewhere.

use anyhow::Result;
use serde_json::json;

use crate::env::Isolation;

#[tokio::test]
async fn a_pod_with_a_quarter_of_a_megabyte_of_annotations_is_served() -> Result<()> {
    let env = Isolation::vrf("large").start().await?;
    env.pool_of("large-pool", "10.1.0.0/24", json!({})).await?;
    let pool = json!({"ipv4": ["large-pool"]}).to_string();
    let beside = env
        .pod("beside")
        .annotation("example.org/notes", &"x".repeat(250 * 1024))
        .annotation("ipam.leasehold.io/ippool", &pool);
    assert_eq!(env.pools_for(beside).await?, "large-pool");

    // The last of 64 names, behind a lot of white space.
    let missing: Vec<String> = (1..64).map(|i| format!("\"missing-{i}\",")).collect();
    let (missing, space) = (missing.concat(), " ".repeat(220 * 1024));
    let list = format!(r#"{{"ipv4": [{missing}{space}"large-pool"]}}"#);
    let inside = env
        .pod("inside")
        .annotation("ipam.leasehold.io/ippool", &list);
    assert_eq!(env.pools_for(inside).await?, "large-pool");
    Ok(())
}

#[tokio::test]
async fn a_workload_of_spiderpools_moves_over_unedited() -> Result<()> {
    let env = Isolation::vrf("spider").start().await?;
    for (name, subnet) in [
        ("spider-default", "10.1.0.0/24"),
        ("spider-namespace", "10.2.0.0/24"),
        ("spider-pod", "10.3.0.0/24"),
        ("spider-nic", "10.4.0.0/24"),
        ("spider-six", "fd00:5::/64"),
    ] {
        let default = name == "spider-default";
        let gateway = subnet.split('/').next().map(|net| {
            if net.ends_with(':') {
                format!("{net}1")
            } else {
                net.replace(".0.0", ".0.1")
            }
        });
        env.pool_of(
            name,
            subnet,
            json!({"default": default, "gateway": gateway}),
        )
        .await?;
    }
    let theirs = "ipam.spidernet.io";
    let namespace = json!({format!("{theirs}/default-ipv4-ippool"): r#"["spider-namespace"]"#});
    env.namespace("spider", namespace).await?;

    let plain = env.pod("plain");
    assert_eq!(env.pools_for(plain).await?, "spider-namespace");
    let ippool = env.pod("ippool").annotation(
        &format!("{theirs}/ippool"),
        r#"{"ipv4": ["spider-pod"], "ipv6": ["spider-six"]}"#,
    );
    assert_eq!(env.pools_for(ippool).await?, "spider-pod spider-six");

    let several = env
        .pod("several")
        .annotation("k8s.v1.cni.cncf.io/networks", "spider/second")
        .annotation(
            &format!("{theirs}/ippools"),
            r#"[{"interface": "eth0", "ipv4": ["spider-pod"], "cleangateway": false},
                {"interface": "net1", "ipv4": ["spider-nic"], "ipv6": ["spider-six"]}]"#,
        )
        .annotation(&format!("{theirs}/default-route-nic"), "net1")
        .annotation(
            &format!("{theirs}/routes"),
            r#"[{"dst": "172.16.0.0/12", "gw": "10.4.0.9"}]"#,
        )
        .create()
        .await?;
    let eth0 = env.eth0(&several)?.add().await?;
    assert_eq!(env.pools_of(&eth0).await?, "spider-pod");
    assert_eq!(eth0.json()?["routes"], json!(null));
    let net1 = env.eth0(&several)?.interface("net1").add().await?;
    assert_eq!(env.pools_of(&net1).await?, "spider-nic spider-six");
    assert_eq!(
        net1.json()?["routes"],
        json!([
            {"dst": "0.0.0.0/0", "gw": "10.4.0.1"},
            {"dst": "172.16.0.0/12", "gw": "10.4.0.9"},
            {"dst": "::/0", "gw": "fd00:5::1"},
        ])
    );

    // Where a workload has both, ours decides.
    let both = env
        .pod("both")
        .annotation(&format!("{theirs}/ippool"), r#"{"ipv4": ["spider-pod"]}"#)
        .annotation("ipam.leasehold.io/ippool", r#"{"ipv4": ["spider-nic"]}"#);
    assert_eq!(env.pools_for(both).await?, "spider-nic");
    Ok(())
}

#[tokio::test]
async fn an_annotation_that_is_not_served_is_refused_and_not_ignored() -> Result<()> {
    let env = Isolation::vrf("unserved").start().await?;
    env.pool_of("unserved-default", "10.1.0.0/24", json!({"default": true}))
        .await?;
    let mut lines = Vec::new();
    for (number, key) in [
        "ipam.spidernet.io/subnet",
        "ipam.spidernet.io/subnets",
        "ipam.leasehold.io/claim",
        "ipam.leasehold.io/ipool",
        "ipam.spidernet.io/ippoool",
        "ipam.spidernet.io/ippool-ip-number",
        "ipam.leasehold.io/ippool-ip-number",
        "cni.spidernet.io/anything",
    ]
    .into_iter()
    .enumerate()
    {
        let pod = env.pod(&format!("pod-{number}"));
        lines.push(
            env.pools_for(pod.annotation(key, r#"{"ipv4":["a"]}"#))
                .await?,
        );
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    101: no IPv4 Subnet for this pod: create Subnet a or correct the pod's annotation ipam.spidernet.io/subnet
    7: the pod's annotation ipam.spidernet.io/subnets at $ (line 1, column 1): invalid type: map, expected a list of objects; for example [{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]
    7: the pod's annotation ipam.leasehold.io/claim: "{\"ipv4\":[\"a\"]}" is not the name of an IPClaim: a-z, 0-9, "-" and "."; for example web
    7: the pod's annotation ipam.leasehold.io/ipool is unknown; did you mean ippool?
    7: the pod's annotation ipam.spidernet.io/ippoool is unknown; did you mean ippool?
    unserved-default
    7: the pod's annotation ipam.leasehold.io/ippool-ip-number has no effect without subnet or subnets: add one, or leave it away
    unserved-default
    "#);
    env.namespace(
        "unserved-town",
        json!({"ipam.leasehold.io/default-ipv4-ipool": "[\"a\"]"}),
    )
    .await?;
    let pod = env.pod_in("unserved-town", "pod");
    insta::assert_snapshot!(env.pools_for(pod).await?, @"7: the namespace's annotation ipam.leasehold.io/default-ipv4-ipool is unknown; did you mean default-ipv4-ippool?");
    Ok(())
}
