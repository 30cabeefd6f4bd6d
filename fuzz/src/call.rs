//! Calls: any stdin, and any `CNI_ARGS`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use leasehold::cni::{Call, CniError};
use serde_json::Value;

const COMMANDS: [&str; 6] = ["ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"];

/// A pod as containerd names it.
const ARGS: &str = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u-1";

/// A configuration that every verb accepts.
const CONFIGURATION: &str = r#"{
    "cniVersion": "1.1.0", "name": "storage", "type": "macvlan",
    "ipam": {"type": "leasehold", "kubeconfig": "/etc/leasehold/kubeconfig"},
    "prevResult": {"ips": [{"address": "10.0.0.7/24"}]},
    "cni.dev/valid-attachments": []
}"#;

/// More than an event of the kubelet has room for: our messages are truncated long before.
const LONGEST_REFUSAL: usize = 1024;

/// Any bytes on stdin: each verb is read, or refused in one line of JSON with a code; a DEL is
/// always read; and what ADD reads is a JSON object that names its version and network.
pub fn stdin(input: &[u8]) {
    for command in COMMANDS {
        match read(command, ARGS.as_ref(), input) {
            Err(failure) => is_a_refusal(command, &failure),
            Ok(Call::Add(attach)) => {
                let written: Value = serde_json::from_slice(input).expect("JSON");
                assert_eq!(written["cniVersion"], attach.version.to_string());
                assert_eq!(written["name"], attach.network);
                assert!(written["ipam"].is_object());
            }
            Ok(_) => {}
        }
    }
}

/// Any `CNI_ARGS`: each verb is read or refused likewise; and the pod that ADD reads is the one
/// that a naive split into pairs finds.
pub fn cni_args(input: &[u8]) {
    let args = OsStr::from_bytes(input);
    for command in COMMANDS {
        match read(command, args, CONFIGURATION.as_bytes()) {
            Err(failure) => is_a_refusal(command, &failure),
            Ok(Call::Add(attach)) => {
                let pod = attach.pod;
                let given = |key| naive(input, key);
                assert_eq!(given("K8S_POD_NAMESPACE"), Some(pod.namespace));
                assert_eq!(given("K8S_POD_NAME"), Some(pod.name));
                assert_eq!(given("K8S_POD_UID"), pod.uid);
            }
            Ok(_) => {}
        }
    }
}

/// The last of two values, of which an empty one is none.
fn naive(args: &[u8], key: &str) -> Option<String> {
    let text = std::str::from_utf8(args).expect("UTF-8");
    let is_pair = |pair: &str| pair.matches('=').count() == 1;
    assert!(text.split(';').all(is_pair), "{text:?} was taken for pairs");
    let value = |pair: &str| Some(pair.strip_prefix(key)?.strip_prefix('=')?.to_owned());
    text.rsplit(';')
        .find_map(value)
        .filter(|value| !value.is_empty())
}

fn read(command: &str, args: &OsStr, stdin: &[u8]) -> Result<Call, CniError> {
    let variable = |name: &str| match name {
        "CNI_COMMAND" => Some(command.into()),
        "CNI_CONTAINERID" => Some("4b1d".into()),
        "CNI_NETNS" => Some("/var/run/netns/cni-1".into()),
        "CNI_IFNAME" => Some("net1".into()),
        "CNI_ARGS" => Some(args.to_owned()),
        _ => None,
    };
    Call::read(variable, stdin)
}

/// As a runtime reads it.
fn is_a_refusal(command: &str, failure: &CniError) {
    assert_ne!(
        command, "DEL",
        "a pod must be able to terminate: {failure:?}"
    );
    let mut printed = Vec::new();
    failure.print(&mut printed).expect("memory");
    assert!(printed.len() < LONGEST_REFUSAL, "{failure:?}");
    let line = printed.strip_suffix(b"\n").expect("a line");
    assert!(!line.contains(&b'\n'), "{failure:?}");
    let object: Value = serde_json::from_slice(line).expect("JSON");
    assert!(
        object["code"].is_u64() && object["msg"].is_string(),
        "{object}"
    );
}
