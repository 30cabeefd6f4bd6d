//! Which pools reject which pods.

use serde_json::{Value, json};

use super::super::*;
use super::support::{Setup, names, setup};

/// Whether a pool with `more` in its spec serves the pod of the setup, and if not why.
fn judged(setup: Setup, more: Value) -> String {
    let setup = setup
        .v4("p", more)
        .pod("ippool", r#"{"ipv4":["p"]}"#)
        .single(Family::V4);
    match setup
        .select()
        .and_then(|selection| selection.settle(|_| false))
    {
        Ok(_) => "serves".to_owned(),
        Err(Error::NoPool { trace, .. }) => trace.families[0].considered[0].to_string(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_pool_serves_the_pods_it_names_and_has_a_reason_for_the_others() {
    let label = |key: &str, value: &str| json!({"matchLabels": {key: value}});
    let expression = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    let rows = [
        json!({}),
        json!({"disable": true}),
        json!({"podAffinity": label("app", "a")}),
        json!({"podAffinity": label("app", "b")}),
        json!({"podAffinity": expression("app", "In", &["a", "b"])}),
        json!({"podAffinity": expression("app", "NotIn", &["a"])}),
        json!({"podAffinity": expression("tier", "Exists", &[])}),
        json!({"nodeAffinity": label("zone", "a")}),
        json!({"nodeAffinity": label("zone", "b")}),
        json!({"nodeName": ["n1"], "nodeAffinity": label("zone", "b")}),
        json!({"nodeName": ["n2"], "nodeAffinity": label("zone", "a")}),
        json!({"namespaceAffinity": label("team", "a")}),
        json!({"namespaceAffinity": label("team", "b")}),
        json!({"namespaceName": ["x", "default"], "namespaceAffinity": label("team", "b")}),
        json!({"namespaceName": ["x"], "namespaceAffinity": label("team", "a")}),
        json!({"multusName": ["blue"]}),
        json!({"vrf": "blue"}),
        json!({"ips": ["10.0.0.9"], "excludeIPs": ["10.0.0.9"]}),
        json!({"ips": ["10.0.1.9"]}),
        json!({"disable": true, "nodeName": ["n2"], "podAffinity": label("app", "b")}),
    ];
    let lines: Vec<String> = rows
        .into_iter()
        .map(|row| format!("{row}\n    {}", judged(setup(), row.clone())))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
        {}
            serves
        {"disable":true}
            p: disabled
        {"podAffinity":{"matchLabels":{"app":"a"}}}
            serves
        {"podAffinity":{"matchLabels":{"app":"b"}}}
            p: the pod lacks app=b (podAffinity)
        {"podAffinity":{"matchExpressions":[{"key":"app","operator":"In","values":["a","b"]}]}}
            serves
        {"podAffinity":{"matchExpressions":[{"key":"app","operator":"NotIn","values":["a"]}]}}
            p: the pod has app=a (podAffinity)
        {"podAffinity":{"matchExpressions":[{"key":"tier","operator":"Exists","values":[]}]}}
            p: the pod lacks tier (podAffinity)
        {"nodeAffinity":{"matchLabels":{"zone":"a"}}}
            serves
        {"nodeAffinity":{"matchLabels":{"zone":"b"}}}
            p: node n1 lacks zone=b (nodeAffinity)
        {"nodeAffinity":{"matchLabels":{"zone":"b"}},"nodeName":["n1"]}
            serves
        {"nodeAffinity":{"matchLabels":{"zone":"a"}},"nodeName":["n2"]}
            p: node n1 is not listed (nodeName)
        {"namespaceAffinity":{"matchLabels":{"team":"a"}}}
            serves
        {"namespaceAffinity":{"matchLabels":{"team":"b"}}}
            p: namespace default lacks team=b (namespaceAffinity)
        {"namespaceAffinity":{"matchLabels":{"team":"b"}},"namespaceName":["x","default"]}
            serves
        {"namespaceAffinity":{"matchLabels":{"team":"a"}},"namespaceName":["x"]}
            p: namespace default is not listed (namespaceName)
        {"multusName":["blue"]}
            p: eth0 is attached to network test, which is not listed (multusName)
        {"vrf":"blue"}
            p: is of vrf blue
        {"excludeIPs":["10.0.0.9"],"ips":["10.0.0.9"]}
            serves
        {"ips":["10.0.1.9"]}
            p: spec.ips[0] 10.0.1.9 is not inside the subnet 10.0.0.0/24
        {"disable":true,"nodeName":["n2"],"podAffinity":{"matchLabels":{"app":"b"}}}
            p: disabled and the pod lacks app=b (podAffinity) and node n1 is not listed (nodeName)
        "#);
}

#[test]
fn a_pool_that_is_being_deleted_gives_nothing() {
    let setup = setup().v4("p", json!({"default": true})).being_deleted();
    let selection = setup.select();
    let Err(Error::NoPool { trace, .. }) = selection else {
        panic!("{selection:?}")
    };
    assert_eq!(
        trace.families[0].considered[0].to_string(),
        "p: being deleted"
    );
}

#[test]
fn multus_name_looks_at_the_attachment_at_hand() {
    let served = |setup: Setup, names: &[&str]| judged(setup, json!({"multusName": names}));
    let attached = |interface: &str| setup().attached("blue, x/red@net7").at(interface);
    assert_eq!(served(attached("net1"), &["blue"]), "serves");
    assert_eq!(served(attached("net1"), &["default/blue"]), "serves");
    assert_eq!(served(attached("net7"), &["green", "x/red"]), "serves");
    assert_eq!(served(attached("net7"), &["red"]), "serves");
    insta::assert_snapshot!(served(attached("net7"), &["default/red"]), @"p: net7 is attached to x/red, which is not listed (multusName)");
    insta::assert_snapshot!(served(attached("eth0"), &["blue"]), @"p: eth0 is attached to network test, which is not listed (multusName)");
    let primary = || setup().pod("v1.multus-cni.io/default-network", "green");
    assert_eq!(served(primary(), &["kube-system/green"]), "serves");
    assert_eq!(served(primary(), &["green"]), "serves");
    insta::assert_snapshot!(served(primary(), &["default/green"]), @"p: eth0 is attached to kube-system/green, which is not listed (multusName)");
}

#[test]
fn the_default_network_is_looked_at_only_where_a_pool_asks() {
    let broken = || setup().pod("v1.multus-cni.io/default-network", "a/b/c");
    assert_eq!(judged(broken(), json!({})), "serves");
    let asked = broken()
        .v4("p", json!({"default": true, "multusName": ["a"]}))
        .select();
    assert!(matches!(asked, Err(Error::Malformed { .. })), "{asked:?}");
}

#[test]
fn the_node_is_needed_only_where_a_pool_of_the_vrf_looks_at_its_labels() {
    let needs = |more: Value| {
        let setup = setup().v4("p", more);
        needs_node(&setup.facts.pod, &setup.pools(), &Vrf::default())
    };
    let zone = || json!({"matchLabels": {"zone": "a"}});
    assert!(needs(json!({"nodeAffinity": zone()})));
    assert!(!needs(json!({})));
    assert!(!needs(json!({"nodeAffinity": {}})));
    assert!(!needs(json!({"nodeName": ["n1"], "nodeAffinity": zone()})));
    assert!(!needs(json!({"nodeAffinity": zone(), "vrf": "blue"})));
}

#[test]
fn a_disabled_pool_gives_nothing_new_but_an_address_that_is_there_may_be_kept() {
    let setup = setup()
        .v4("off", json!({"disable": true}))
        .v4("on", json!({}))
        .v4(
            "off-and-elsewhere",
            json!({"disable": true, "nodeName": ["n2"]}),
        )
        .v6("off6", json!({"disable": true}))
        .pod(
            "ippool",
            r#"{"ipv4":["off","on","off-and-elsewhere"],"ipv6":["off6"]}"#,
        );
    let selection = setup.select().expect("a selection");
    let [v4, v6] = selection.families.as_slice() else {
        panic!("{selection:?}")
    };
    assert_eq!(
        (names(&v4.candidates), names(&v4.resumable)),
        (vec!["on"], vec!["off"])
    );
    assert_eq!(
        (names(&v6.candidates), names(&v6.resumable)),
        (vec![], vec!["off6"])
    );
    let kept = |resumed: bool| {
        let settled = selection
            .clone()
            .settle(|_| resumed)
            .expect("a family is left");
        settled
            .families
            .iter()
            .map(|c| c.family)
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(true), Family::BOTH);
    assert_eq!(kept(false), [Family::V4]);
    let both = setup.requiring_both().select().expect("perhaps");
    assert!(both.clone().settle(|_| true).is_ok());
    assert!(
        matches!(both.settle(|_| false), Err(Error::NoPool { families, .. }) if families == [Family::V6])
    );
}

#[test]
fn an_address_that_is_asked_for_comes_out_of_the_first_candidate_that_gives_it() {
    let asking = |addresses: &[&str]| {
        setup()
            .pool(
                "a",
                "10.0.0.0/24",
                json!({"default": true, "gateway": "10.0.0.1"}),
            )
            .pool(
                "b",
                "10.0.1.0/24",
                json!({"default": true, "ips": ["10.0.1.5-10.0.1.9"]}),
            )
            .pool("c", "10.0.0.0/16", json!({"default": true}))
            .pool(
                "off",
                "10.9.0.0/24",
                json!({"default": true, "disable": true}),
            )
            .pool("six", "fd00::/64", json!({"default": true}))
            .asking_for(addresses)
    };
    let from = |addresses: &[&str]| {
        let selection = asking(addresses).select().and_then(|s| s.settle(|_| false));
        match selection {
            Err(error) => error.to_string(),
            Ok(selection) => {
                let lines = selection
                    .families
                    .iter()
                    .map(|choice| match &choice.requested {
                        Some((address, pool)) => {
                            format!(
                                "{address} from {} of {}",
                                pool.name,
                                names(&choice.candidates).join(" ")
                            )
                        }
                        None => format!("any {}", choice.family),
                    });
                lines.collect::<Vec<_>>().join(", ")
            }
        }
    };
    let rows: [&[&str]; 8] = [
        &["10.0.0.7"],
        &["10.0.1.7"],
        &["10.0.1.10"],
        &["10.0.0.7", "fd00::7"],
        &["fd00::7"],
        &["192.0.2.1"],
        &["fd00::"],
        &["10.9.0.7"],
    ];
    let lines: Vec<String> = rows
        .iter()
        .map(|row| format!("{row:?}\n    {}", from(row)))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
        ["10.0.0.7"]
            10.0.0.7 from a of a c, any IPv6
        ["10.0.1.7"]
            10.0.1.7 from b of b c, any IPv6
        ["10.0.1.10"]
            10.0.1.10 from c of c, any IPv6
        ["10.0.0.7", "fd00::7"]
            10.0.0.7 from a of a c, fd00::7 from six of six
        ["fd00::7"]
            any IPv4, fd00::7 from six of six
        ["192.0.2.1"]
            192.0.2.1 was requested, and no pool of this pod has it: request one of a, b, c and 1 more
        ["fd00::"]
            fd00:: was requested, and pool six does not give it: correct its ips and excludeIPs, the ReservedIPs and the gateway, or request another
        ["10.9.0.7"]
            no IPv4 pool for this pod: set "disable: false" in IPPool off, or name another pool
        "#);
    let resumed = asking(&["10.9.0.7"]).select().expect("perhaps it has it");
    assert_eq!(names(&resumed.families[0].resumable), ["off"]);
    let refused = asking(&["fd00::7"]).single(Family::V4).summary();
    insta::assert_snapshot!(refused, @"error: fd00::7 was requested, and this network gives no IPv6 addresses: correct ipFamilies or ipFamilyPolicy");
}

#[test]
fn a_broken_pool_is_rejected_with_its_fault_and_hides_no_other() {
    let setup = setup()
        .pool(
            "broken",
            "fd00::/64",
            json!({"default": true, "ips": ["fd00::9-fd00::5"]}),
        )
        .v6("sound", json!({"default": true}))
        .single(Family::V6);
    assert_eq!(setup.summary(), "IPv6 Default: sound");
    let trace = setup.select().expect("a selection").trace;
    insta::assert_snapshot!(trace, @r#"
        IPv6 from the default pools
          sound: fits
          broken: spec.ips[0] "fd00::9-fd00::5" ends before it begins: write the lower address first
        "#);
    assert_eq!(
        setup.pod("ippool", r#"{"ipv6":["b*","sound"]}"#).summary(),
        "IPv6 Pod: sound"
    );
}
