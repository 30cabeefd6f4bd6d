//! Whether a pool may serve a pod, and which of two pools selects it more precisely.

use std::cmp::Reverse;
use std::fmt;

use super::interfaces::NetworkAttachment;
use super::{Facts, Request};
use crate::ip::{Family, Vrf};
use crate::pool::{Pool, PoolError, Scope};

/// What each pool is matched against: the pod, and the network of its interface.
pub(super) struct MatchInput<'a> {
    pub(super) facts: &'a Facts,
    pub(super) request: &'a Request,
    pub(super) attachment: &'a NetworkAttachment,
}

/// A reason why a pool does not serve a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The pool's spec cannot be understood.
    InvalidPool(Box<PoolError>),
    /// It is being deleted.
    Deleting,
    /// It gives no new address.
    Disabled,
    /// It has addresses of this family, and the pod needs the other one.
    OtherFamily(Family),
    /// Its VRF is not the network's.
    OtherVrf(Vrf),
    /// The pod's labels do not match.
    PodAffinity {
        /// The first condition that they do not meet.
        unmet: String,
    },
    /// The node is not listed.
    NodeName {
        /// The node.
        node: String,
    },
    /// The node's labels do not match.
    NodeAffinity {
        /// The node.
        node: String,
        /// The first condition that they do not meet.
        unmet: String,
    },
    /// The namespace is not listed.
    NamespaceName {
        /// The namespace.
        namespace: String,
    },
    /// The namespace's labels do not match.
    NamespaceAffinity {
        /// The namespace.
        namespace: String,
        /// The first condition that they do not meet.
        unmet: String,
    },
    /// The network attachment is not listed.
    MultusName {
        /// The interface.
        interface: String,
        /// The definition, or the CNI configuration, that attaches it.
        attachment: String,
    },
}

impl Rejection {
    /// The field or state of the pool that rejects, for counting.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidPool(_) => "invalid",
            Self::Deleting => "being deleted",
            Self::Disabled => "disabled",
            Self::OtherFamily(_) => "of the other family",
            Self::OtherVrf(_) => "of another vrf",
            Self::PodAffinity { .. } => "podAffinity",
            Self::NodeName { .. } => "nodeName",
            Self::NodeAffinity { .. } => "nodeAffinity",
            Self::NamespaceName { .. } => "namespaceName",
            Self::NamespaceAffinity { .. } => "namespaceAffinity",
            Self::MultusName { .. } => "multusName",
        }
    }

    /// What to do about it, as the start of a line. `pool` is its kind and its name, `noun` what it
    /// was named as.
    pub(super) fn remedy(&self, pool: &str, noun: &str) -> String {
        let other = format!("or name another {noun}");
        match self {
            Self::InvalidPool(fault) => format!("correct {pool}: {fault}"),
            Self::Deleting => format!("{pool} is being deleted: name another {noun}"),
            Self::Disabled => format!("set \"disable: false\" in {pool}, {other}"),
            Self::OtherFamily(family) => {
                format!("{pool} {self}: name it as an {family} {noun}, {other}")
            }
            Self::OtherVrf(_) => {
                format!("{pool} {self}: set \"vrf\" in the CNI configuration, {other}")
            }
            Self::PodAffinity { .. }
            | Self::NodeName { .. }
            | Self::NodeAffinity { .. }
            | Self::NamespaceName { .. }
            | Self::NamespaceAffinity { .. }
            | Self::MultusName { .. } => {
                format!("correct {} of {pool}, {other}: {self}", self.kind())
            }
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidPool(fault) => write!(f, "{fault}"),
            Self::Deleting | Self::Disabled => f.write_str(self.kind()),
            Self::OtherFamily(family) => write!(f, "has {family} addresses"),
            Self::OtherVrf(vrf) if vrf.is_default() => f.write_str("is of the default vrf"),
            Self::OtherVrf(vrf) => write!(f, "is of vrf {vrf}"),
            Self::PodAffinity { unmet } => write!(f, "the pod {unmet} (podAffinity)"),
            Self::NodeName { node } => write!(f, "node {node} is not listed (nodeName)"),
            Self::NodeAffinity { node, unmet } => write!(f, "node {node} {unmet} (nodeAffinity)"),
            Self::NamespaceName { namespace } => {
                write!(f, "namespace {namespace} is not listed (namespaceName)")
            }
            Self::NamespaceAffinity { namespace, unmet } => {
                write!(f, "namespace {namespace} {unmet} (namespaceAffinity)")
            }
            Self::MultusName {
                interface,
                attachment,
            } => {
                write!(
                    f,
                    "{interface} is attached to {attachment}, which is not listed (multusName)"
                )
            }
        }
    }
}

/// All reasons why `pool` does not serve the pod with addresses of `family`; empty if it does.
pub(super) fn judge(pool: &Pool, family: Family, input: &MatchInput<'_>) -> Vec<Rejection> {
    if pool.vrf != input.request.vrf {
        return vec![Rejection::OtherVrf(pool.vrf.clone())];
    }
    if pool.family() != family {
        return vec![Rejection::OtherFamily(pool.family())];
    }
    let state = [
        pool.deleting.then_some(Rejection::Deleting),
        pool.disabled.then_some(Rejection::Disabled),
    ];
    let affinities = [
        pod(pool, input),
        node(pool, input),
        namespace(pool, input),
        attachment(pool, input),
    ];
    state.into_iter().chain(affinities).flatten().collect()
}

fn pod(pool: &Pool, input: &MatchInput<'_>) -> Option<Rejection> {
    let unmet = pool.pods.unmet(&input.facts.pod.labels)?;
    Some(Rejection::PodAffinity { unmet })
}

fn node(pool: &Pool, input: &MatchInput<'_>) -> Option<Rejection> {
    let node = || input.facts.pod.node.clone();
    match &pool.nodes {
        Scope::Named(names) => {
            (!names.contains(&input.facts.pod.node)).then(|| Rejection::NodeName { node: node() })
        }
        Scope::Labeled(affinity) if affinity.fits_all() => None,
        Scope::Labeled(affinity) => {
            let unmet = match &input.facts.node_labels {
                Some(labels) => affinity.unmet(labels)?,
                None => "has labels that were not read".to_owned(),
            };
            Some(Rejection::NodeAffinity {
                node: node(),
                unmet,
            })
        }
    }
}

fn namespace(pool: &Pool, input: &MatchInput<'_>) -> Option<Rejection> {
    let name = &input.facts.pod.namespace;
    match &pool.namespaces {
        Scope::Named(names) => (!names.contains(name)).then(|| Rejection::NamespaceName {
            namespace: name.clone(),
        }),
        Scope::Labeled(affinity) => {
            let unmet = affinity.unmet(&input.facts.namespace.labels)?;
            Some(Rejection::NamespaceAffinity {
                namespace: name.clone(),
                unmet,
            })
        }
    }
}

fn attachment(pool: &Pool, input: &MatchInput<'_>) -> Option<Rejection> {
    let listed = |wanted| input.attachment.is(wanted);
    let served = pool.attachments.is_empty() || pool.attachments.iter().any(listed);
    (!served).then(|| Rejection::MultusName {
        interface: input.request.interface.clone(),
        attachment: input.attachment.to_string(),
    })
}

/// Sorts the pools of a pattern and the default pools: those that select more precisely what they
/// serve come first.
pub(super) fn specificity(pool: &Pool) -> Reverse<[bool; 6]> {
    let (node_names, node_labels) = sort_of(&pool.nodes);
    let (namespace_names, namespace_labels) = sort_of(&pool.namespaces);
    Reverse([
        !pool.pods.fits_all(),
        node_names,
        node_labels,
        namespace_names,
        namespace_labels,
        !pool.attachments.is_empty(),
    ])
}

/// Whether it selects by names, and whether by labels.
fn sort_of(scope: &Scope) -> (bool, bool) {
    match scope {
        Scope::Named(_) => (true, false),
        Scope::Labeled(affinity) => (false, !affinity.fits_all()),
    }
}
