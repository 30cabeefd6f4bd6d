use serde_json::{Value, json};

use super::*;
use crate::collector::{PodSnapshot, SharedTexts};

fn object(pod: Value) -> PodObject {
    serde_json::from_value(pod).expect("a pod")
}

fn read(pod: Value) -> PodSnapshot {
    let snapshot = object(pod).snapshot(&SharedTexts::default());
    snapshot.expect("a pod with an identity")
}

/// A pod that is bound and runs, with these annotations.
fn running(annotations: &Value) -> Value {
    json!({
        "metadata": {"namespace": "ns", "name": "web", "uid": "u", "annotations": annotations},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
    })
}

fn addresses(pod: &PodSnapshot) -> Vec<String> {
    pod.addresses.iter().map(ToString::to_string).collect()
}

fn reports(pod: &PodSnapshot) -> Vec<String> {
    let reports = pod.attached.iter().flat_map(|attached| &attached.reports);
    reports
        .map(|report| format!("{}={}", report.interface, report.address))
        .collect()
}

fn with(mut pod: Value, path: &str, value: Value) -> Value {
    *pod.pointer_mut(path).expect("a place") = value;
    pod
}

#[test]
fn only_a_bound_pod_in_a_network_of_its_own_has_addresses() {
    let pod = || running(&json!({}));
    assert_eq!(addresses(&read(pod())), ["10.0.0.1", "fd00::1"]);
    let unbound = with(pod(), "/spec", json!({}));
    assert_eq!(addresses(&read(unbound)), [] as [&str; 0]);
    let host = with(
        pod(),
        "/spec",
        json!({"nodeName": "n1", "hostNetwork": true}),
    );
    assert_eq!(addresses(&read(host)), [] as [&str; 0]);
}

#[test]
fn network_status_counts_for_the_networks_that_are_asked_for() {
    let status = |entries: Value| {
        json!({
            "k8s.v1.cni.cncf.io/networks": "a, other/b@net7",
            "k8s.v1.cni.cncf.io/network-status": entries.to_string(),
        })
    };
    let entry = |name: &str, interface: &str, ips: &[&str]| json!({"name": name, "interface": interface, "ips": ips});
    for (says, entries, expected) in [
        (
            "each requested interface",
            json!([
                entry("cluster", "eth0", &["10.9.0.1"]),
                entry("ns/a", "net1", &["10.0.0.2"]),
                entry("other/b", "net7", &["10.0.0.3"]),
            ]),
            vec!["net1=10.0.0.2", "net7=10.0.0.3"],
        ),
        (
            "default networks come first and shift the names",
            json!([entry("ns/a", "net2", &["10.0.0.2"])]),
            vec!["net2=10.0.0.2"],
        ),
        (
            "another network",
            json!([entry("ns/c", "net1", &["10.0.0.2"])]),
            vec![],
        ),
        (
            "another interface than the requested one",
            json!([entry("other/b", "net2", &["10.0.0.3"])]),
            vec![],
        ),
        (
            "a name that no interface has",
            json!([
                entry("ns/a", "", &["10.0.0.2"]),
                entry("ns/a", "an-interface-of-17", &["10.0.0.2"]),
                entry("ns/a", "net1\u{7}", &["10.0.0.2"]),
                entry("ns/a", "net1/../x", &["10.0.0.2"]),
            ]),
            vec![],
        ),
        (
            "one address of each family",
            json!([entry(
                "ns/a",
                "net1",
                &["10.0.0.2", "10.0.0.3", "fd00::2", "fd00::3"]
            )]),
            vec!["net1=10.0.0.2", "net1=fd00::2"],
        ),
        (
            "one entry for each network",
            json!([
                entry("ns/a", "net1", &["10.0.0.2"]),
                entry("ns/a", "net9", &["10.0.0.3"])
            ]),
            vec!["net1=10.0.0.2"],
        ),
    ] {
        let pod = read(running(&status(entries)));
        assert_eq!(reports(&pod), expected, "{says}");
    }
    let entries = status(json!([entry("ns/a", "net1", &["10.0.0.2"])]));
    for (says, path, value) in [
        ("it is not bound", "/spec", json!({})),
        (
            "it is in its node's network",
            "/spec",
            json!({"nodeName": "n1", "hostNetwork": true}),
        ),
        ("it does not run yet", "/status/phase", json!("Pending")),
        (
            "it asks for no network",
            "/metadata/annotations/k8s.v1.cni.cncf.io~1networks",
            json!(""),
        ),
        (
            "it is malformed",
            "/metadata/annotations/k8s.v1.cni.cncf.io~1network-status",
            json!("{"),
        ),
    ] {
        let pod = read(with(running(&entries), path, value));
        assert_eq!(reports(&pod), [] as [&str; 0], "{says}");
    }
}

#[test]
fn containers_have_ended_when_none_runs() {
    let terminated = json!({"state": {"terminated": {"exitCode": 0}}});
    let waiting = json!({"state": {"waiting": {"reason": "ContainerCreating"}}});
    let runs = json!({"state": {"running": {"startedAt": "2026-03-01T12:00:00Z"}}});
    for (statuses, ended) in [
        (json!({}), true),
        (json!({"containerStatuses": [terminated, waiting]}), true),
        (json!({"containerStatuses": [terminated, runs]}), false),
        (
            json!({"containerStatuses": [terminated], "initContainerStatuses": [runs]}),
            false,
        ),
        (json!({"ephemeralContainerStatuses": [runs]}), false),
    ] {
        let pod = read(with(running(&json!({})), "/status", statuses.clone()));
        assert_eq!(pod.containers_ended, ended, "{statuses}");
    }
}

#[test]
fn of_two_times_to_end_the_longer_one_counts() {
    for (own, given, expected) in [
        (None, None, 30),
        (Some(5), None, 5),
        (Some(5), Some(60), 60),
        (Some(60), Some(0), 60),
    ] {
        let mut pod = running(&json!({}));
        pod["spec"]["terminationGracePeriodSeconds"] = json!(own);
        pod["metadata"]["deletionGracePeriodSeconds"] = json!(given);
        assert_eq!(
            read(pod).termination.as_secs(),
            expected,
            "{own:?}, {given:?}"
        );
    }
}

#[test]
fn any_sign_of_a_run_shows_that_a_pod_had_a_sandbox() {
    let ran = json!({"containerID": "containerd://1"});
    for (pod, expected) in [
        (json!({}), false),
        (json!({"status": {"phase": "Pending"}}), false),
        (json!({"status": {"podIPs": [{"ip": "10.0.0.1"}]}}), true),
        (json!({"status": {"containerStatuses": [ran]}}), true),
        (json!({"status": {"initContainerStatuses": [ran]}}), true),
        (
            json!({"status": {"ephemeralContainerStatuses": [ran]}}),
            false,
        ),
        (
            json!({"status": {"containerStatuses": [{"restartCount": 0, "lastState": {}}]}}),
            false,
        ),
        (
            json!({"status": {"containerStatuses": [{"restartCount": 1}]}}),
            true,
        ),
        (
            json!({"status": {"containerStatuses": [{"lastState": {"terminated": {}}}]}}),
            true,
        ),
        (
            json!({"metadata": {"annotations": {NETWORK_STATUS: "[]"}}}),
            true,
        ),
    ] {
        let snapshot = plugin::PodSnapshot::from(object(pod.clone()));
        assert_eq!(snapshot.had_sandbox, expected, "{pod}");
    }
}

#[test]
fn a_malformed_status_makes_no_pod_unreadable() {
    let malformed = json!({"phase": "Running", "podIPs": [{"ip": 1}, {"ip": "10.0.0.1"}], "containerStatuses": [
        {"containerID": 1, "restartCount": -1, "lastState": [], "state": "?"},
    ]});
    let pod = with(running(&json!({})), "/status", malformed);
    let snapshot = read(pod.clone());
    assert_eq!(addresses(&snapshot), ["10.0.0.1"]);
    assert!(!snapshot.containers_ended, "one may be running");
    assert_eq!(plugin::PodSnapshot::from(object(pod)).uid, "u");
}

#[test]
fn the_collector_reads_no_pod_without_an_identity() {
    for missing in ["namespace", "name", "uid"] {
        let mut pod = running(&json!({}));
        pod["metadata"]
            .as_object_mut()
            .expect("metadata")
            .remove(missing);
        let read = object(pod).snapshot(&SharedTexts::default());
        assert!(read.is_err(), "{missing}: {read:?}");
    }
}
