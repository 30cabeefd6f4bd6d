//! What one holder is to another.

use std::fmt;

use crate::api::Holder;

/// As `kubectl` names a pod.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            pod,
            interface,
            node,
            ..
        } = self;
        write!(f, "{namespace}/{pod} ({interface} on {node})")
    }
}

impl Holder {
    /// Whether this is the same interface of the same pod, in whatever sandbox.
    ///
    /// A node can write any uid into its leases, but no other node's name: without the node a lease
    /// that bears the uid of another node's pod would pass for that pod's own.
    #[must_use]
    pub fn is_same_slot(&self, other: &Self) -> bool {
        self.node == other.node && self.uid == other.uid && self.interface == other.interface
    }

    /// Whether this is the attachment (container, interface), the identity of the CNI
    /// specification.
    #[must_use]
    pub fn is_attachment(&self, container: &str, interface: &str) -> bool {
        self.container == container && self.interface == interface
    }

    /// Whether all that this version knows of the two is the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Self {
            namespace,
            pod,
            uid,
            node,
            container,
            interface,
            network,
            unknown: _,
        } = self;
        *namespace == other.namespace
            && *pod == other.pod
            && *uid == other.uid
            && *node == other.node
            && *container == other.container
            && *interface == other.interface
            && *network == other.network
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_uid_on_another_node_is_not_the_same_slot() {
        let victim = Holder {
            uid: "a".to_owned(),
            node: "n1".to_owned(),
            interface: "eth0".to_owned(),
            ..Holder::default()
        };
        let restarted = Holder {
            container: "c2".to_owned(),
            ..victim.clone()
        };
        let forged = Holder {
            node: "n2".to_owned(),
            ..victim.clone()
        };
        assert!(victim.is_same_slot(&restarted));
        assert!(!victim.is_same_slot(&forged));
    }
}
