//! Which of a pod's interfaces a call is for, and which network it belongs to.
//!
//! A call names one interface and one network; that there are others is known from the annotation
//! that asks for them. The name of an interface does not determine its network: Multus names what
//! it attaches `net1`, `net2`, … after the place in the list, but attaches the cluster's own
//! `defaultNetworks` first, which shifts all of the pod's, and containerd names what it attaches
//! from several configurations `eth0`, `eth1`, …. So the network's name decides, then an interface
//! that the annotation names, then the place.

use std::fmt;

use super::{PodFacts, Request};
use crate::annotations::{Malformed, Network, default_network, networks};
use crate::pool::{AttachmentName, Pools};

/// The first interface, as every container runtime calls it.
const FIRST: &str = "eth0";

/// How many networks a cluster attaches on its own at most: an interface further off is a typo.
const MOST_UNLISTED: usize = 4;

/// The interfaces of a pod, as one of its calls knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interfaces {
    current: String,
    place: Place,
    /// What the pod's annotation asks for.
    networks: Vec<Network>,
    attachment: NetworkAttachment,
}

/// Where the interface of the call comes among the pod's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    /// It is attached to this network of the pod's list.
    Listed(usize),
    /// The cluster attaches it: by this number in its name, if it has one.
    Unlisted(Option<usize>),
}

/// Which item of a list without names is about an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemPlace {
    /// The one of this index, if the list is as long.
    At(usize),
    /// The list is about the pod's own networks, and this one is the cluster's.
    NotListed,
}

impl Interfaces {
    pub(super) fn of(pod: &PodFacts, request: &Request, pools: &Pools) -> Result<Self, Malformed> {
        let networks = networks(&pod.annotations)?;
        let selected = || pools.iter().flatten().flat_map(|pool| &pool.attachments);
        let selects = || selected().any(|attachment| attachment.name == request.network);
        let place = place(&networks, request, selects);
        let (definition, home) = match place {
            // Multus searches for it in its own namespace, which is this one unless configured
            // otherwise.
            Place::First if selected().next().is_some() => {
                (default_network(&pod.annotations)?, "kube-system")
            }
            Place::Listed(index) => (networks.get(index).cloned(), pod.namespace.as_str()),
            Place::First | Place::Unlisted(_) => (None, ""),
        };
        let definition = definition.map(|network| AttachmentName {
            namespace: Some(network.namespace.unwrap_or_else(|| home.to_owned())),
            name: network.name,
        });
        Ok(Self {
            current: request.interface.clone(),
            place,
            networks,
            attachment: NetworkAttachment {
                definition,
                network: request.network.clone(),
            },
        })
    }

    /// The item of a list of `count` without names: the first is about the first interface. A
    /// longer list than the pod's networks need counts those of the cluster too, which come before.
    pub(super) fn item(&self, count: usize) -> ItemPlace {
        let unlisted = count.saturating_sub(self.networks.len() + 1);
        match self.place {
            Place::First => ItemPlace::At(0),
            Place::Listed(index) if self.is_by_place(index) => ItemPlace::At(1 + index),
            Place::Listed(index) => ItemPlace::At(1 + unlisted + index),
            Place::Unlisted(Some(number)) if number <= unlisted => ItemPlace::At(number),
            Place::Unlisted(_) if self.current.starts_with("eth") => {
                ItemPlace::At(number(&self.current, "eth").unwrap_or(count))
            }
            Place::Unlisted(_) => ItemPlace::NotListed,
        }
    }

    /// Whether neither a name nor an interface shows that it is this network of the list.
    fn is_by_place(&self, index: usize) -> bool {
        let network = &self.networks[index];
        network.interface.is_none() && network.name != self.attachment.network
    }

    /// Whether the pod has no other interface, as far as this call can know.
    pub(super) fn is_only_one(&self) -> bool {
        self.place == Place::First && self.networks.is_empty()
    }

    /// Whether the pod's default route goes by this interface, unless the pod sets another.
    pub(super) fn is_first(&self) -> bool {
        self.place == Place::First
    }

    /// Whether the pod has an interface of this name, as far as this call can know.
    pub(super) fn may_have(&self, name: &str) -> bool {
        let further = number(name, "net").or_else(|| number(name, "eth"));
        name == self.current
            || self.names().iter().any(|known| known == name)
            || further.is_some_and(|n| n <= self.networks.len() + MOST_UNLISTED)
    }

    /// Whether it is the interface of this name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.current == name
    }

    /// The names of those that the pod asks for.
    pub(super) fn names(&self) -> Vec<String> {
        let first = if self.is_first() {
            &self.current
        } else {
            FIRST
        };
        let further = (0..self.networks.len()).map(|index| self.name(index));
        std::iter::once(first.to_owned()).chain(further).collect()
    }

    fn name(&self, index: usize) -> String {
        match &self.networks[index].interface {
            Some(name) => name.clone(),
            None if self.place == Place::Listed(index) => self.current.clone(),
            None => format!("net{}", index + 1),
        }
    }

    pub(super) fn attachment(&self) -> &NetworkAttachment {
        &self.attachment
    }
}

/// Decides by the network's name, then by the interface that the list names, then by the place.
fn place(networks: &[Network], request: &Request, selects: impl Fn() -> bool) -> Place {
    let current = request.interface.as_str();
    if current == FIRST {
        return Place::First;
    }
    let number_of_net = number(current, "net");
    let is_free = |network: &Network| network.interface.as_deref().is_none_or(|i| i == current);
    let of_name: Vec<usize> = (0..networks.len())
        .filter(|&index| networks[index].name == request.network && is_free(&networks[index]))
        .collect();
    let asks_for_it = |&index: &usize| networks[index].interface.as_deref() == Some(current);
    // One definition may be listed twice; what precedes the list only moves its interfaces up.
    let not_behind = |&&index: &&usize| number_of_net.is_none_or(|n| index < n);
    let by_name = of_name
        .iter()
        .find(|index| asks_for_it(index))
        .or_else(|| of_name.iter().rfind(not_behind))
        .or_else(|| of_name.first());
    if let Some(&index) = by_name {
        return Place::Listed(index);
    }
    if let Some(index) = (0..networks.len()).find(asks_for_it) {
        return Place::Listed(index);
    }
    let Some(n) = number_of_net.or_else(|| number(current, "eth")) else {
        return Place::First;
    };
    let at_place = number_of_net.and_then(|n| networks.get(n - 1));
    // A name that pools select by is that of a definition, and the list would name it.
    if at_place.is_some_and(|network| network.interface.is_none()) && !selects() {
        return Place::Listed(n - 1);
    }
    Place::Unlisted(number_of_net)
}

/// The number behind `prefix`, from 1 on.
fn number(name: &str, prefix: &str) -> Option<usize> {
    let digits = name.strip_prefix(prefix)?;
    let number: usize = digits.parse().ok()?;
    (number > 0 && number.to_string() == digits).then_some(number)
}

/// What an interface is attached to: a definition that the pod names, and the name of the network
/// in the CNI configuration, which is the definition's name unless its author chose another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NetworkAttachment {
    definition: Option<AttachmentName>,
    network: String,
}

impl NetworkAttachment {
    pub(super) fn is(&self, wanted: &AttachmentName) -> bool {
        match &self.definition {
            Some(definition) if definition.name == wanted.name => {
                wanted.namespace.is_none() || wanted.namespace == definition.namespace
            }
            // The namespace of this definition is not known.
            Some(_) | None => wanted.name == self.network,
        }
    }
}

impl fmt::Display for NetworkAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.definition {
            Some(definition) => write!(f, "{definition}"),
            None => write!(f, "network {}", self.network),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::support::{Setup, setup};
    use super::*;

    const LIST: &str = "k8s.v1.cni.cncf.io/networks";
    const PRIMARY: &str = "v1.multus-cni.io/default-network";

    /// The place of a call's interface, and what it is attached to.
    fn of(setup: &Setup, call: &str) -> String {
        let (interface, network) = call.split_once(' ').unwrap_or((call, "test"));
        let mut request = setup.request.clone();
        (request.interface, request.network) = (interface.to_owned(), network.to_owned());
        let interfaces = Interfaces::of(&setup.facts.pod, &request, &setup.pools());
        let interfaces = interfaces.expect("well-formed annotations");
        let place = match interfaces.place {
            Place::First => "first".to_owned(),
            Place::Listed(index) => format!("item {index}"),
            Place::Unlisted(_) => "unlisted".to_owned(),
        };
        format!("{place}: {}", interfaces.attachment())
    }

    #[test]
    fn a_network_is_known_by_its_name_then_by_its_interface_then_by_its_place() {
        let json = r#"[{"name":"b"},{"name":"r","namespace":"x","interface":"net7"}]"#;
        for (list, call, expected) in [
            ("", "eth0", "first: network test"),
            ("", "ens1", "first: network test"),
            (" ", "eth0", "first: network test"),
            ("b,x/r@net7", "eth0", "first: network test"),
            ("b,x/r@net7", "eth0 b", "first: network b"),
            // By name, wherever the cluster's own networks have moved it.
            ("blue", "net1 blue", "item 0: default/blue"),
            ("blue", "net2 blue", "item 0: default/blue"),
            ("blue,x/red", "net3 red", "item 1: x/red"),
            ("blue,x/red", "net1 red", "item 1: x/red"),
            ("blue,x/red", "ens7 red", "item 1: x/red"),
            ("blue,blue", "net1 blue", "item 0: default/blue"),
            ("blue,x/blue", "net2 blue", "item 1: x/blue"),
            ("blue@net7,blue", "net7 blue", "item 0: default/blue"),
            // Another interface was requested, so it is not that one.
            ("blue@net7,other", "net2 blue", "item 1: default/other"),
            // By the interface that the list names.
            ("b,x/r@net7", "net7 test", "item 1: x/r"),
            (json, "net7 test", "item 1: x/r"),
            ("b@eth1", "eth1 test", "item 0: default/b"),
            // By place.
            ("b,x/r@net7", "net1 test", "item 0: default/b"),
            (json, "net1 test", "item 0: default/b"),
            ("a,b", "net2 test", "item 1: default/b"),
            // Its place has another name, or there is none.
            ("b,x/r@net7", "net2 test", "unlisted: network test"),
            ("b", "net2 mgmt", "unlisted: network mgmt"),
            ("b", "net0 mgmt", "first: network mgmt"),
            ("b", "net01 mgmt", "first: network mgmt"),
            ("", "net1 mgmt", "unlisted: network mgmt"),
            ("", "eth1 storage", "unlisted: network storage"),
        ] {
            let pod = setup().pod(LIST, list);
            assert_eq!(of(&pod, call), expected, "{call} of {list}");
        }
    }

    #[test]
    fn a_name_that_pools_select_by_is_not_the_listed_network_of_another_name() {
        let town = |multus: &str| {
            let pools = setup().v4("a", serde_json::json!({"multusName": [multus]}));
            pools.pod(LIST, "blue")
        };
        for multus in ["mgmt", "kube-system/mgmt"] {
            assert_eq!(of(&town(multus), "net1 mgmt"), "unlisted: network mgmt");
        }
        assert_eq!(of(&town("blue"), "net1 mgmt"), "item 0: default/blue");
    }

    #[test]
    fn the_clusters_network_may_be_the_pods_choice() {
        for (primary, expected) in [
            ("g", "first: kube-system/g"),
            ("x/g", "first: x/g"),
            (r#"[{"name":"g","namespace":"x"}]"#, "first: x/g"),
        ] {
            let town = || setup().v4("a", serde_json::json!({"multusName": ["any"]}));
            assert_eq!(of(&town().pod(PRIMARY, primary), "eth0"), expected);
            let both = town().pod(PRIMARY, primary).pod(LIST, "b");
            assert_eq!(of(&both, "eth0"), expected);
            assert_eq!(of(&both, "net1"), "item 0: default/b");
        }
    }

    #[test]
    fn multus_name_counts_a_namespace_where_one_is_written_and_known() {
        let attached = |definition: Option<&str>, network: &str| NetworkAttachment {
            definition: definition.map(AttachmentName::from),
            network: network.into(),
        };
        for (attachment, wanted, is) in [
            (attached(Some("x/blue"), "blue"), "blue", true),
            (attached(Some("x/blue"), "blue"), "x/blue", true),
            (attached(Some("x/blue"), "blue"), "y/blue", false),
            (attached(Some("x/blue"), "blue"), "x/red", false),
            (attached(Some("x/blue"), "underlay"), "x/blue", true),
            (attached(Some("x/blue"), "underlay"), "underlay", true),
            (attached(None, "blue"), "blue", true),
            (attached(None, "blue"), "y/blue", true),
            (attached(None, "blue"), "y/red", false),
        ] {
            assert_eq!(attachment.is(&wanted.into()), is, "{attachment} {wanted}");
        }
    }

    #[test]
    fn a_list_without_names_is_about_the_pods_networks_in_their_order() {
        let item = |list: &str, call: &str, count| {
            let (interface, network) = call.split_once(' ').expect("a call");
            let setup = setup().pod(LIST, list);
            let mut request = setup.request.clone();
            (request.interface, request.network) = (interface.to_owned(), network.to_owned());
            let interfaces = Interfaces::of(&setup.facts.pod, &request, &setup.pools());
            interfaces.expect("well-formed annotations").item(count)
        };
        for (list, call, count, expected) in [
            ("blue", "eth0 k8s", 2, ItemPlace::At(0)),
            ("blue", "net1 blue", 2, ItemPlace::At(1)),
            ("blue", "net2 blue", 2, ItemPlace::At(1)),
            ("blue", "net2 mgmt", 2, ItemPlace::NotListed),
            ("blue", "net1 test", 2, ItemPlace::At(1)),
            // An item for the cluster's network too.
            ("blue", "net2 blue", 3, ItemPlace::At(2)),
            ("blue", "net1 test", 3, ItemPlace::At(1)),
            ("", "net1 mgmt", 2, ItemPlace::At(1)),
            ("", "net1 mgmt", 1, ItemPlace::NotListed),
            ("", "eth1 storage", 2, ItemPlace::At(1)),
            ("", "eth1 storage", 1, ItemPlace::At(1)),
            ("a,b", "net2 test", 1, ItemPlace::At(2)),
        ] {
            assert_eq!(
                item(list, call, count),
                expected,
                "{call} of {list}: {count}"
            );
        }
    }
}
