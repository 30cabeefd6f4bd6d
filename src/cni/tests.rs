//! Whole calls: an environment and bytes in, a call or an error object out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Add, Call, Check, CniError, Del, Gc};

mod accepted;
mod arbitrary;
mod as_go;
mod del;
mod hostile;
mod refused;

/// What a runtime says.
#[derive(Clone)]
struct Said {
    env: BTreeMap<&'static str, OsString>,
    stdin: Vec<u8>,
}

/// A call by containerd for `net1` of the pod `shop/web-0`, with a configuration that has all it
/// needs.
fn says(command: &str) -> Said {
    Said {
        env: [
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", "4b1d"),
            ("CNI_NETNS", "/var/run/netns/cni-1"),
            ("CNI_IFNAME", "net1"),
            (
                "CNI_ARGS",
                "K8S_POD_NAME=web-0;IgnoreUnknown=1;K8S_POD_UID=u-1;K8S_POD_NAMESPACE=shop;K8S_POD_INFRA_CONTAINER_ID=4b1d",
            ),
            ("CNI_PATH", "/opt/cni/bin"),
        ]
        .map(|(name, value)| (name, value.into()))
        .into(),
        stdin: configuration().to_string().into_bytes(),
    }
}

/// The refusals as a page to be read: the case, then code, message and details.
fn page<'a>(cases: impl IntoIterator<Item = (&'a str, Said)>) -> String {
    let mut page = String::new();
    for (case, said) in cases {
        let refusal = said.refusal();
        let text = |key: &str| refusal[key].as_str().expect("a text").to_owned();
        let details = match text("details").as_str() {
            "" => String::new(),
            details => format!("; {details}"),
        };
        writeln!(
            page,
            "{case}:\n  {} {}{details}",
            refusal["code"],
            text("msg")
        )
        .expect("memory");
    }
    page
}

/// A configuration that every command takes.
fn configuration() -> Value {
    json!({
        "cniVersion": "1.1.0",
        "name": "storage",
        "type": "macvlan",
        "master": "eth1",
        "ipam": {"type": "leasehold", "kubeconfig": "/etc/leasehold/kubeconfig"},
        "prevResult": {"ips": [{"address": "10.0.0.7/24", "gateway": "10.0.0.1", "interface": 0}]},
        "cni.dev/valid-attachments": [{"containerID": "4b1d", "ifname": "net1"}],
    })
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts
        .iter()
        .map(|text| text.parse().expect("an address"))
        .collect()
}

impl Said {
    fn with(mut self, variable: &'static str, value: impl Into<OsString>) -> Self {
        self.env.insert(variable, value.into());
        self
    }

    fn without(mut self, variable: &'static str) -> Self {
        self.env.remove(variable);
        self
    }

    /// With `value` at `pointer` (a JSON pointer to a place whose parent is there), instead of what
    /// stands there.
    fn set(self, pointer: &str, value: Value) -> Self {
        let mut document: Value = serde_json::from_slice(&self.stdin).expect("JSON");
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = document.pointer_mut(parent).expect("the parent");
        parent[key.replace("~1", "/")] = value;
        self.stdin(document.to_string())
    }

    fn unset(self, key: &str) -> Self {
        let mut document: Value = serde_json::from_slice(&self.stdin).expect("JSON");
        document.as_object_mut().expect("an object").remove(key);
        self.stdin(document.to_string())
    }

    fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    fn read(&self) -> Result<Call, CniError> {
        Call::read(|name| self.env.get(name).cloned(), &self.stdin[..])
    }

    fn add(&self) -> Add {
        match self.read() {
            Ok(Call::Add(attach)) => attach,
            other => panic!("{other:?}"),
        }
    }

    fn check(&self) -> Check {
        match self.read() {
            Ok(Call::Check(check)) => check,
            other => panic!("{other:?}"),
        }
    }

    fn del(&self) -> Del {
        match self.read() {
            Ok(Call::Del(detach)) => detach,
            other => panic!("{other:?}"),
        }
    }

    fn gc(&self) -> Gc {
        match self.read() {
            Ok(Call::Gc(sweep)) => sweep,
            other => panic!("{other:?}"),
        }
    }

    /// The error object, as the runtime reads it.
    fn refusal(&self) -> Value {
        let failure = self.read().expect_err("refused");
        let mut printed = Vec::new();
        failure.print(&mut printed).expect("memory");
        let printed = String::from_utf8(printed).expect("a text");
        assert_eq!(printed.lines().count(), 1);
        serde_json::from_str(&printed).expect("JSON")
    }
}
