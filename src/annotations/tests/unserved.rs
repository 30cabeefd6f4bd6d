//! Annotations that ask for what leasehold does not give.

use super::*;

fn pod(key: &str, text: &str) -> Option<String> {
    of_pod(&annotated(&[(key, text)]))
        .err()
        .map(|e| e.to_string())
}

#[test]
fn what_a_later_version_serves_is_refused_by_name_under_both_prefixes() {
    for prefix in ["ipam.leasehold.io/", "ipam.spidernet.io/"] {
        for name in ["subnets", "subnet"] {
            let key = format!("{prefix}{name}");
            let expected = format!(
                "annotation {key} is not served by this version; name pools in ippool or ippools"
            );
            assert_eq!(pod(&key, r#"{"ipv4":["a"]}"#), Some(expected));
            // A template without a value asks for nothing.
            for text in ["", "null", "{}", "[]"] {
                assert_eq!(pod(&key, text), None, "{key}: {text}");
            }
        }
    }
    assert_eq!(pod("ipam.leasehold.io/sticky", "true"), None);
    assert_eq!(
        pod("ipam.spidernet.io/sticky", "true").as_deref(),
        Some(
            "annotation ipam.spidernet.io/sticky is not one of Spiderpool's; write ipam.leasehold.io/sticky"
        )
    );
    let ours_hides_theirs = annotated(&[
        ("ipam.leasehold.io/subnet", ""),
        ("ipam.spidernet.io/subnet", r#"{"ipv4":["a"]}"#),
    ]);
    assert_eq!(of_pod(&ours_hides_theirs), Ok(()));
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
            "is unknown; known are ippool, ippools, routes, default-route-nic, claim, sticky",
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
