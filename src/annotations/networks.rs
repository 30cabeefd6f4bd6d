//! The annotations that attach a pod to networks besides the first, as Multus reads them.
//!
//! The form is that of the Kubernetes Network Custom Resource Definition De-facto Standard, version
//! 1, §4.1.2: a list of `[namespace/]name[@interface]` with commas, or JSON.

use serde::de::MapAccess;

use super::json::{self, Described, Fields, List, Malformed, Object, put};
use super::{Annotations, keys};

const EXAMPLE: &str = r#"a,ns/b@net7 or [{"name":"b","namespace":"ns","interface":"net7"}]"#;

/// A network that the pod is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The namespace of its definition; `None`: that of the pod.
    pub namespace: Option<String>,
    /// The name of its definition.
    pub name: String,
    /// The requested interface.
    pub interface: Option<String>,
}

/// The networks besides the first, in the order in which they are attached.
pub fn networks(annotations: &Annotations) -> Result<Vec<Network>, Malformed> {
    listed(annotations, keys::NETWORKS)
}

/// The definition that replaces the cluster's network, if the pod names one.
pub fn default_network(annotations: &Annotations) -> Result<Option<Network>, Malformed> {
    Ok(listed(annotations, keys::DEFAULT_NETWORK)?
        .into_iter()
        .next())
}

fn listed(annotations: &Annotations, key: &str) -> Result<Vec<Network>, Malformed> {
    let Some(text) = annotations.get(key) else {
        return Ok(Vec::new());
    };
    // Multus distinguishes the forms by these too.
    if !text.contains(['[', '{', '"']) {
        return text
            .split(',')
            .map(str::trim)
            .enumerate()
            .filter(|(_, item)| !item.is_empty())
            .map(|(index, item)| short(item).ok_or_else(|| wrong(key, index, item)))
            .collect();
    }
    let written: Option<List<Object<Written>>> = json::parse(key, text, EXAMPLE)?;
    let networks = written.unwrap_or_default().0.into_iter();
    Ok(networks.map(|Object(written)| written.meant()).collect())
}

fn short(text: &str) -> Option<Network> {
    let (path, interface) = match text.split_once('@') {
        Some((path, interface)) => (path, Some(interface)),
        None => (text, None),
    };
    let (namespace, name) = match path.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, path),
    };
    let parts = || [Some(name), namespace, interface].into_iter().flatten();
    let sound = parts().all(|part| !part.is_empty() && !part.contains(['@', '/']));
    sound.then(|| Network {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        interface: interface.map(str::to_owned),
    })
}

fn wrong(key: &str, index: usize, item: &str) -> Malformed {
    Malformed {
        annotation: key.to_owned(),
        position: format!("item {}", index + 1),
        problem: format!(
            "expected [namespace/]name[@interface], found {:?}",
            crate::text::both_ends(item)
        ),
        example: EXAMPLE,
    }
}

/// An item of the JSON form. Its further keys are for whatever attaches the pod.
#[derive(Default)]
struct Written {
    name: Option<String>,
    namespace: Option<String>,
    interface: Option<String>,
    /// The former name of `interface`.
    interface_request: Option<String>,
}

impl Fields for Written {
    const KEYS: &'static [&'static str] = &["name", "namespace", "interface", "interfaceRequest"];
    const OPEN: bool = true;

    fn set<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "name" => put(map, &mut self.name),
            "namespace" => put(map, &mut self.namespace),
            "interface" => put(map, &mut self.interface),
            _ => put(map, &mut self.interface_request),
        }
    }

    fn missing(&self) -> Option<&'static str> {
        self.name.is_none().then_some("name")
    }
}

impl Described for Written {
    const WHAT: &'static str = "a network";
}

impl Written {
    fn meant(self) -> Network {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Network {
            namespace: given(self.namespace),
            name: self.name.unwrap_or_default(),
            interface: given(self.interface).or(given(self.interface_request)),
        }
    }
}
