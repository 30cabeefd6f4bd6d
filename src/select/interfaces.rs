//! Which of a pod's interfaces is at hand, and what it is attached to.
//!
//! A call knows one interface by name. That there are others is known from the annotation that asks for them: Multus
//! names what it attaches `net1`, `net2`, … after the place in the list, unless another name is asked for. What is not
//! in the list is the first interface. Where a list member is at hand, the first one is taken to be `eth0`, which is
//! what every container runtime calls it.

use std::fmt;

use super::PodFacts;
use crate::annotations::{Malformed, Network, default_network, networks};
use crate::pool::AttachmentName;

/// The interfaces of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interfaces {
    names: Vec<String>,
    /// What all but the first are attached to.
    networks: Vec<Network>,
    current: usize,
}

impl Interfaces {
    pub(super) fn of(pod: &PodFacts, current: &str) -> Result<Self, Malformed> {
        let networks = networks(&pod.annotations)?;
        let further: Vec<String> = networks
            .iter()
            .enumerate()
            .map(|(index, network)| match &network.interface {
                Some(name) => name.clone(),
                None => format!("net{}", index + 1),
            })
            .collect();
        let place = further.iter().position(|name| name == current);
        let first = if place.is_some() { "eth0" } else { current };
        let mut names = vec![first.to_owned()];
        names.extend(further);
        Ok(Self {
            names,
            networks,
            current: place.map_or(0, |place| place + 1),
        })
    }

    /// The place of the interface at hand, the first being 0.
    pub(super) fn place(&self) -> usize {
        self.current
    }

    pub(super) fn first(&self) -> &str {
        &self.names[0]
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn is_only_one(&self) -> bool {
        self.names.len() == 1
    }

    /// What the interface at hand is attached to; `None`: it is the cluster's network, and no definition is known.
    pub(super) fn attachment(
        &self,
        pod: &PodFacts,
    ) -> Result<Option<NetworkAttachment>, Malformed> {
        let (network, home) = match self.current.checked_sub(1) {
            Some(index) => (self.networks.get(index).cloned(), pod.namespace.as_str()),
            // Multus looks for it in its own namespace, which is this one unless configured otherwise.
            None => (default_network(&pod.annotations)?, "kube-system"),
        };
        Ok(network.map(|network| NetworkAttachment {
            namespace: network.namespace.unwrap_or_else(|| home.to_owned()),
            name: network.name,
        }))
    }
}

/// The network attachment definition behind an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NetworkAttachment {
    namespace: String,
    name: String,
}

impl NetworkAttachment {
    pub(super) fn is(&self, wanted: &AttachmentName) -> bool {
        self.name == wanted.name
            && wanted
                .namespace
                .as_ref()
                .is_none_or(|n| *n == self.namespace)
    }
}

impl fmt::Display for NetworkAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(annotations: &[(&str, &str)]) -> PodFacts {
        PodFacts {
            namespace: "default".into(),
            annotations: annotations
                .iter()
                .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
                .collect(),
            ..PodFacts::default()
        }
    }

    #[test]
    fn an_interface_is_known_by_the_list_that_asks_for_it() {
        let list = "k8s.v1.cni.cncf.io/networks";
        let primary = "v1.multus-cni.io/default-network";
        let json = r#"[{"name":"b"},{"name":"r","namespace":"x","interface":"net7"}]"#;
        for (annotations, current, place, attachment) in [
            (vec![], "eth0", 0, None),
            (vec![], "ens1", 0, None),
            (vec![(list, " ")], "eth0", 0, None),
            (vec![(list, "b, x/r@net7")], "eth0", 0, None),
            (vec![(list, "b, x/r@net7")], "net1", 1, Some("default/b")),
            (vec![(list, "b, x/r@net7")], "net7", 2, Some("x/r")),
            // Its place is taken by the name that was asked for.
            (vec![(list, "b, x/r@net7")], "net2", 0, None),
            (vec![(list, json)], "net1", 1, Some("default/b")),
            (vec![(list, json)], "net7", 2, Some("x/r")),
            (
                vec![(list, "b"), (primary, "g")],
                "eth0",
                0,
                Some("kube-system/g"),
            ),
            (
                vec![(list, "b"), (primary, "g")],
                "net1",
                1,
                Some("default/b"),
            ),
            (vec![(primary, "x/g")], "eth0", 0, Some("x/g")),
            (
                vec![(primary, r#"[{"name":"g","namespace":"x"}]"#)],
                "eth0",
                0,
                Some("x/g"),
            ),
        ] {
            let pod = pod(&annotations);
            let interfaces = Interfaces::of(&pod, current).expect("well-formed annotations");
            let found = interfaces
                .attachment(&pod)
                .expect("well-formed annotations");
            let found = found.map(|a| a.to_string());
            assert_eq!(
                (interfaces.place(), found.as_deref()),
                (place, attachment),
                "{current} of {annotations:?}"
            );
        }
    }

    #[test]
    fn multus_name_counts_a_namespace_only_where_one_is_written() {
        let attachment = NetworkAttachment {
            namespace: "x".into(),
            name: "blue".into(),
        };
        assert!(attachment.is(&"blue".into()));
        assert!(attachment.is(&"x/blue".into()));
        assert!(!attachment.is(&"y/blue".into()));
        assert!(!attachment.is(&"x/red".into()));
    }
}
