//! What is said well, and what comes of it.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use rscni_types::types::GcAttachment;
use rscni_types::version::SpecVersion;
use serde_json::{Value, json};

use super::super::{Call, CniError, Config, FamilyPolicy, PodRef};
use super::{Said, addresses, says};
use crate::ip::Family;

fn config(ipam: Value) -> Result<Config, CniError> {
    let call = says("ADD").set("/ipam", ipam).read()?;
    let Call::Add(attach) = call else {
        panic!("{call:?}");
    };
    Ok(attach.config)
}

#[test]
fn what_containerd_says_by_way_of_macvlan_is_an_attachment() {
    let attach = says("ADD").add();
    assert_eq!(attach.version, SpecVersion::new(1, 1, 0));
    assert_eq!(&*attach.container, "4b1d");
    assert_eq!(attach.netns, PathBuf::from("/var/run/netns/cni-1"));
    assert_eq!(&*attach.interface, "net1");
    assert_eq!(attach.network, "storage");
    assert_eq!(attach.requested, addresses(&[]));
    assert_eq!(
        attach.pod,
        PodRef {
            namespace: "shop".into(),
            name: "web-0".into(),
            uid: Some("u-1".into()),
        }
    );
    assert_eq!(
        attach.config,
        Config {
            kubeconfig: Some("/etc/leasehold/kubeconfig".into()),
            ..Config::default()
        }
    );
}

#[test]
fn every_key_of_ipam_is_heard() {
    let config = config(json!({
        "type": "leasehold",
        "kubeconfig": "/k",
        "ipv4Pools": ["blue-*", "green"],
        "ipv6Pools": ["red"],
        "ipFamilyPolicy": "RequireDualStack",
        "ipFamilies": ["IPv6", "IPv4"],
        "cleanGateway": true,
        "timeoutSeconds": 7,
        "vrf": "blue",
        "metricsDir": "/var/lib/metrics",
    }))
    .expect("a configuration");
    assert_eq!(
        config,
        Config {
            kubeconfig: Some("/k".into()),
            ipv4_pools: vec!["blue-*".into(), "green".into()],
            ipv6_pools: vec!["red".into()],
            policy: FamilyPolicy::RequireDualStack,
            families: vec![Family::V6, Family::V4],
            clean_gateway: true,
            timeout: Duration::from_secs(7),
            vrf: "blue".parse().expect("a vrf"),
            metrics_dir: Some("/var/lib/metrics".into()),
        }
    );
}

#[test]
fn null_is_the_same_as_nothing() {
    let ipam = json!({"type": null, "kubeconfig": null, "ipv4Pools": null, "ipFamilies": null, "vrf": null, "timeoutSeconds": null});
    assert_eq!(config(ipam), Ok(Config::default()));
}

#[test]
fn families_are_as_in_a_service() {
    use Family::{V4, V6};
    for (policy, families, expected) in [
        (json!(null), json!(null), vec![V4, V6]),
        (json!("PreferDualStack"), json!(["IPv4"]), vec![V4, V6]),
        (json!("PreferDualStack"), json!(["IPv6"]), vec![V6, V4]),
        (
            json!("RequireDualStack"),
            json!(["IPv6", "IPv4"]),
            vec![V6, V4],
        ),
        (json!("SingleStack"), json!(null), vec![V4]),
        (json!("SingleStack"), json!(["IPv6"]), vec![V6]),
        (json!("SingleStack"), json!(["IPv6", "IPv4"]), vec![V6]),
    ] {
        let ipam = json!({"ipFamilyPolicy": policy, "ipFamilies": families});
        let config = config(ipam.clone()).expect("a configuration");
        assert_eq!(config.families, expected, "{ipam}");
    }
}

#[test]
fn each_version_is_answered_in_its_own() {
    for (version, expected) in [
        ("0.1.0", SpecVersion::new(0, 1, 0)),
        ("0.2.0", SpecVersion::new(0, 2, 0)),
        ("0.3.0", SpecVersion::new(0, 3, 0)),
        ("0.3.1", SpecVersion::new(0, 3, 1)),
        ("0.4.0", SpecVersion::new(0, 4, 0)),
        ("1.0.0", SpecVersion::new(1, 0, 0)),
        ("1.1.0", SpecVersion::new(1, 1, 0)),
    ] {
        let said = says("ADD").set("/cniVersion", json!(version));
        assert_eq!(said.add().version, expected);
        let broken = said.set("/ipam", json!(7)).refusal();
        assert_eq!(broken["cniVersion"], version);
    }
}

#[test]
fn an_error_before_the_version_is_read_has_the_newest_shape() {
    for stdin in [r"{", r#"{"cniVersion": "1.0"}"#, r#"{"cniVersion": 1}"#] {
        let refusal = says("ADD").stdin(stdin).refusal();
        assert_eq!(refusal["cniVersion"], "1.1.0", "{stdin}");
    }
    let by_env = says("ADD")
        .set("/cniVersion", json!("0.4.0"))
        .without("CNI_IFNAME");
    assert_eq!(by_env.refusal()["cniVersion"], "0.4.0");
}

#[test]
fn the_addresses_asked_for_come_from_the_first_source_that_names_any() {
    let (first, second, third) = (
        json!(["10.0.0.1/24", "fd00::1"]),
        json!(["10.0.0.2"]),
        "IP=10.0.0.3/8,fd00::3",
    );
    let args = says("ADD").with(
        "CNI_ARGS",
        format!("{third};K8S_POD_NAME=a;K8S_POD_NAMESPACE=b"),
    );
    let cases: [(&str, Said, &[&str]); 5] = [
        ("IP= in CNI_ARGS", args.clone(), &["10.0.0.3", "fd00::3"]),
        (
            "args.cni.ips before that",
            args.clone().set("/args", json!({"cni": {"ips": second}})),
            &["10.0.0.2"],
        ),
        (
            "runtimeConfig.ips before all",
            args.clone()
                .set("/args", json!({"cni": {"ips": second}}))
                .set("/runtimeConfig", json!({"ips": first})),
            &["10.0.0.1", "fd00::1"],
        ),
        (
            "an empty list names none",
            args.clone()
                .set("/args", json!({"cni": {"ips": []}}))
                .set("/runtimeConfig", json!({"ips": [], "ipRanges": []})),
            &["10.0.0.3", "fd00::3"],
        ),
        (
            "what is overruled may be wrong",
            args.with(
                "CNI_ARGS",
                "IP=everywhere;K8S_POD_NAME=a;K8S_POD_NAMESPACE=b",
            )
            .set("/args", json!({"cni": {"ips": "mine"}}))
            .set("/runtimeConfig", json!({"ips": first})),
            &["10.0.0.1", "fd00::1"],
        ),
    ];
    for (rule, said, expected) in cases {
        assert_eq!(said.add().requested, addresses(expected), "{rule}");
    }
}

#[test]
fn args_of_others_may_look_as_they_like() {
    for args in [json!(7), json!({"cni": []}), json!({"cni": {"ips": null}})] {
        let said = says("ADD").set("/args", args.clone());
        assert_eq!(said.add().requested, addresses(&[]), "{args}");
    }
}

#[test]
fn a_uid_is_not_needed() {
    for args in [
        "K8S_POD_NAME=a;K8S_POD_NAMESPACE=b",
        // Multus writes it thus where the runtime has not told it.
        "K8S_POD_NAME=a;K8S_POD_NAMESPACE=b;K8S_POD_UID=",
    ] {
        let pod = says("ADD").with("CNI_ARGS", args).add().pod;
        assert_eq!(pod.uid, None, "{args}");
    }
}

#[test]
fn check_knows_what_add_answered_and_needs_no_pod() {
    let check = says("CHECK").without("CNI_ARGS").check();
    assert_eq!(check.previous, addresses(&["10.0.0.7"]));
    assert_eq!(check.pod, None);
    assert!(says("CHECK").check().pod.is_some());
}

#[test]
fn gc_has_the_list_of_what_lives() {
    let attachment = |id: &str| GcAttachment {
        container_id: id.into(),
        ifname: "net1".into(),
    };
    let listed = json!([{"containerID": "old", "ifname": "net1"}]);
    let cases = [
        ("a list", says("GC"), vec![attachment("4b1d")]),
        (
            "an empty list, nothing lives",
            says("GC").set("/cni.dev~1valid-attachments", json!([])),
            vec![],
        ),
        (
            "the misspelt key where the right one is absent",
            says("GC")
                .unset("cni.dev/valid-attachments")
                .set("/cni.dev~1attachments", listed.clone()),
            vec![attachment("old")],
        ),
        (
            "the right key where both are there",
            says("GC").set("/cni.dev~1attachments", listed),
            vec![attachment("4b1d")],
        ),
    ];
    for (rule, said, expected) in cases {
        assert_eq!(said.gc().valid, expected, "{rule}");
    }
}

#[test]
fn status_needs_no_container() {
    let bare = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"]
        .into_iter()
        .fold(says("STATUS"), Said::without);
    assert!(matches!(bare.read(), Ok(Call::Status(_))));
}

#[test]
fn version_repeats_what_it_was_asked_in() {
    for (stdin, expected) in [
        (r#"{"cniVersion":"0.4.0"}"#, "0.4.0"),
        (r#"{"cniVersion":"0.2.0"}"#, "0.2.0"),
        (r#"{"cniVersion":"1.0"}"#, "1.1.0"),
        (r#"{"cniVersion":7}"#, "1.1.0"),
        ("", "1.1.0"),
        ("nonsense", "1.1.0"),
    ] {
        let Ok(Call::Version(info)) = says("VERSION").stdin(stdin).read() else {
            panic!("{stdin}");
        };
        let mut printed = Vec::new();
        super::super::print(&info, &mut printed).expect("memory");
        assert_eq!(
            String::from_utf8_lossy(&printed),
            format!(
                "{{\"cniVersion\":\"{expected}\",\"supportedVersions\":[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}}\n"
            )
        );
    }
}

#[test]
fn started_by_hand_it_prints_what_it_is_and_reads_nothing() {
    struct Terminal;
    impl Read for Terminal {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            panic!("would wait for input");
        }
    }
    for command in [None, Some("".into())] {
        assert!(matches!(
            Call::read(|_| command.clone(), Terminal),
            Ok(Call::NoCommand)
        ));
    }
    let about = super::super::about();
    assert!(about.starts_with("CNI plugin leasehold "), "{about}");
    assert!(
        about.contains("README") && about.contains("1.1.0"),
        "{about}"
    );
}
