//! Calls: any stdin, and any `CNI_ARGS`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use leasehold::cni::{Call, CniError};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
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
            Ok(Call::Add(add)) => {
                // What Go reads and this does not: half of a surrogate pair, a number beyond
                // numbers.
                if let Ok(written) = serde_json::from_slice::<Pairs>(input) {
                    assert_eq!(written.text("name"), Some(&*add.network));
                    // None means the first one.
                    let version = written.text("cniVersion").unwrap_or("0.1.0");
                    assert_eq!(version, add.version.to_string());
                }
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
            Ok(Call::Add(add)) => {
                let pod = add.pod;
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

/// The pairs of a JSON object, as they are written.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        reader.deserialize_map(Object)
    }
}

impl Pairs {
    /// The last text of `key`, in whatever case it is written; an empty one is none.
    fn text(&self, key: &str) -> Option<&str> {
        let same = |(written, value): &&(String, Value)| {
            written.eq_ignore_ascii_case(key) && !value.is_null()
        };
        let (_, value) = self.0.iter().rfind(same)?;
        value.as_str().filter(|text| !text.is_empty())
    }
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
