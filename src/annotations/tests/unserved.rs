//! Annotations that ask for what leasehold does not give.

use super::*;

fn pod(key: &str, text: &str) -> Option<String> {
    of_pod(&annotated(&[(key, text)]))
        .err()
        .map(|e| e.to_string())
}

#[test]
fn a_setting_of_sets_needs_an_annotation_that_asks_for_one() {
    for name in ["ippool-ip-number", "ippool-reclaim"] {
        let key = format!("ipam.leasehold.io/{name}");
        let expected = format!(
            "annotation {key} has no effect without subnet or subnets: add one, or leave it away"
        );
        assert_eq!(pod(&key, "1"), Some(expected.clone()));
        // A template without a value asks for nothing, and Spiderpool reads none without the other.
        assert_eq!(pod(&key, ""), None);
        assert_eq!(pod(&format!("ipam.spidernet.io/{name}"), "1"), None);
        for (subnet, text, is_fine) in [
            ("ipam.leasehold.io/subnet", r#"{"ipv4":["a"]}"#, true),
            ("ipam.spidernet.io/subnets", r#"[{"ipv4":["a"]}]"#, true),
            ("ipam.leasehold.io/subnet", "{}", false),
            ("ipam.leasehold.io/ippool", r#"{"ipv4":["a"]}"#, false),
        ] {
            let both = of_pod(&annotated(&[(&key, "1"), (subnet, text)]));
            assert_eq!(both.is_ok(), is_fine, "{key} beside {subnet}: {text}");
        }
    }
    let on_namespace = of_namespace(&annotated(&[("ipam.leasehold.io/ippool-reclaim", "true")]));
    assert_eq!(
        on_namespace.map_err(|e| e.problem),
        Err("belongs on a pod, and has no effect here".to_owned())
    );
}

#[test]
fn sticky_is_not_one_of_spiderpools() {
    assert_eq!(pod("ipam.leasehold.io/sticky", "true"), None);
    assert_eq!(
        pod("ipam.spidernet.io/sticky", "true").as_deref(),
        Some(
            "annotation ipam.spidernet.io/sticky is not one of Spiderpool's; write ipam.leasehold.io/sticky"
        )
    );
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_known_one() {
    for (key, expected) in [
        (
            "ipam.leasehold.io/ipool",
            "is unknown; did you mean ippool?",
        ),
        (
            "ipam.spidernet.io/ippol",
            "is unknown; did you mean ippool?",
        ),
        (
            "ipam.leasehold.io/IPPools",
            "is unknown; did you mean ippools?",
        ),
        (
            "ipam.leasehold.io/route",
            "is unknown; did you mean routes?",
        ),
        (
            "ipam.leasehold.io/default-route",
            "is unknown; did you mean default-route-nic?",
        ),
        (
            "ipam.leasehold.io/x",
            "is unknown; known are ippool, ippools, subnet, subnets, ippool-ip-number, ippool-reclaim, routes, default-route-nic, claim, sticky",
        ),
        (
            "ipam.leasehold.io/default-ipv4-ippool",
            "belongs on a namespace, and has no effect here",
        ),
    ] {
        assert_eq!(pod(key, ""), Some(format!("annotation {key} {expected}")));
    }
    let namespace = |key| of_namespace(&annotated(&[(key, r#"["a"]"#)])).map_err(|e| e.problem);
    assert_eq!(
        namespace("ipam.leasehold.io/default-ipv4-ipool"),
        Err("is unknown; did you mean default-ipv4-ippool?".to_owned())
    );
    assert_eq!(
        namespace("ipam.leasehold.io/ippool"),
        Err("belongs on a pod, and has no effect here".to_owned())
    );
    let long = format!("ipam.leasehold.io/{}", "x".repeat(100_000));
    assert!(pod(&long, "").expect("unknown").len() < 400);
}

#[test]
fn what_workloads_of_spiderpool_and_others_carry_is_let_be() {
    for key in [
        "ipam.leasehold.io/ippool",
        "ipam.leasehold.io/default-route-nic",
        "ipam.spidernet.io/routes",
        "ipam.spidernet.io/ippool-ip-number",
        "ipam.spidernet.io/ippool-reclaim",
        "ipam.spidernet.io/dns",
        "ipam.spidernet.io/assigned-eth0",
        "ipam.spidernet.io/default-ipv4-ippool",
        "cni.spidernet.io/rdma-resource-inject",
        "k8s.v1.cni.cncf.io/networks",
        "ipam.leasehold.io.example.com/ippol",
        "ippol",
    ] {
        assert_eq!(pod(key, "2"), None, "{key}");
    }
}
