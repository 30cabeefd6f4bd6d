//! Slots: an interface of whatever pod has a certain name. Its address is kept while no such pod is
//! there.

use crate::api::{ClaimKind, ClaimOwner, ClaimRef, Holder};
use crate::text::brief;

/// Owners whose pods get a new name each time, by kind: of Kubernetes, and of `OpenKruise`.
const RANDOM_NAMES: [&str; 5] = [
    "ReplicaSet",
    "ReplicationController",
    "Job",
    "DaemonSet",
    "CloneSet",
];

/// What the API server makes the end of a generated name of (Kubernetes, `util/rand`), and how long
/// it is.
const GENERATED: &str = "bcdfghjklmnpqrstvwxz2456789";
const GENERATED_LENGTH: usize = 5;

/// What of a pod says whether there will be another of its name.
#[derive(Debug, Clone, Copy)]
pub struct PodIdentity<'a> {
    /// The pod's name.
    pub name: &'a str,
    /// What its name was generated from, if it was; empty otherwise.
    pub generate_name: &'a str,
    /// Its controller.
    pub owner: Option<&'a ClaimOwner>,
}

/// Why no address can be kept for a pod's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSticky {
    /// Its controller names its pods at random.
    #[error(
        "no address can be kept for a pod of {kind} {}, because each of its pods has a new name: leave the annotation \
         ipam.leasehold.io/sticky away, or run the pod in a StatefulSet",
        brief(name)
    )]
    OwnerNamesAtRandom {
        /// The controller's kind.
        kind: String,
        /// The controller's name.
        name: String,
    },
    /// The API server made up its name.
    #[error(
        "no address can be kept for a pod with a generated name: leave the annotation ipam.leasehold.io/sticky away, or name \
         the pod without generateName"
    )]
    GeneratedName,
}

impl PodIdentity<'_> {
    /// Whether an address is kept for the name of this pod, whose annotation says `annotated`:
    /// those of a `StatefulSet` are, unless they say otherwise.
    ///
    /// # Errors
    ///
    /// [`NotSticky`] where it is asked for, and no other pod will have that name.
    pub fn is_sticky(&self, annotated: Option<bool>) -> Result<bool, NotSticky> {
        let of_stateful_set = (self.owner).is_some_and(ClaimOwner::is_stateful_set);
        match annotated {
            None => return Ok(of_stateful_set),
            Some(false) => return Ok(false),
            Some(true) if of_stateful_set => return Ok(true),
            Some(true) => {}
        }
        match self.owner {
            Some(owner) if RANDOM_NAMES.contains(&owner.kind.as_str()) => {
                Err(NotSticky::OwnerNamesAtRandom {
                    kind: owner.kind.clone(),
                    name: owner.name.clone(),
                })
            }
            // Controllers that number their pods set generateName too, and then name the pod
            // themselves.
            _ if self.has_generated_name() => Err(NotSticky::GeneratedName),
            _ => Ok(true),
        }
    }

    fn has_generated_name(&self) -> bool {
        let end = self.name.strip_prefix(self.generate_name);
        !self.generate_name.is_empty()
            && end.is_some_and(|end| {
                end.len() == GENERATED_LENGTH && end.chars().all(|c| GENERATED.contains(c))
            })
    }
}

impl ClaimOwner {
    /// Whether it is one of Kubernetes' own, whose pods are numbered.
    #[must_use]
    pub fn is_stateful_set(&self) -> bool {
        self.group == "apps" && self.kind == "StatefulSet"
    }

    /// Whether it is one of Kubernetes' own that leaves pods out of its `status.replicas` while
    /// they are being deleted.
    #[must_use]
    pub fn counts_no_terminating(&self) -> bool {
        matches!(
            (&*self.group, &*self.kind),
            ("apps", "Deployment" | "ReplicaSet") | ("", "ReplicationController")
        )
    }
}

/// The number at the end of a pod's name, as its `StatefulSet` writes it.
#[must_use]
pub fn ordinal(stateful_set: &str, pod: &str) -> Option<u64> {
    let number = pod.strip_prefix(stateful_set)?.strip_prefix('-')?;
    let ordinal: u64 = number.parse().ok()?;
    (ordinal.to_string() == number).then_some(ordinal)
}

impl ClaimRef {
    /// The slot that `holder` is in, of the application `owner`.
    #[must_use]
    pub fn slot_of(holder: &Holder, owner: Option<ClaimOwner>) -> Self {
        Self {
            kind: ClaimKind::Pod,
            namespace: holder.namespace.clone(),
            name: holder.pod.clone(),
            interface: holder.interface.clone(),
            network: holder.network.clone(),
            owner,
            ..Self::default()
        }
    }

    /// The `StatefulSet` of this slot, in its namespace.
    #[must_use]
    pub fn stateful_set(&self) -> Option<&ClaimOwner> {
        let owner = self.owner.as_ref().filter(|_| self.kind == ClaimKind::Pod);
        owner.filter(|owner| owner.is_stateful_set())
    }

    /// Whether it is the slot that `holder` is in, of whatever application.
    #[must_use]
    pub fn is_slot_of(&self, holder: &Holder) -> bool {
        self.kind == ClaimKind::Pod
            && self.namespace == holder.namespace
            && self.name == holder.pod
            && self.interface == holder.interface
            && self.network == holder.network
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(group: &str, kind: &str) -> ClaimOwner {
        ClaimOwner {
            group: group.to_owned(),
            kind: kind.to_owned(),
            name: "web".to_owned(),
            ..ClaimOwner::default()
        }
    }

    fn judged(
        owner: Option<&ClaimOwner>,
        name: &str,
        annotated: Option<bool>,
    ) -> Result<bool, NotSticky> {
        let generate_name = if name.starts_with("web-") { "web-" } else { "" };
        PodIdentity {
            name,
            generate_name,
            owner,
        }
        .is_sticky(annotated)
    }

    #[test]
    fn pods_of_a_stateful_set_are_sticky_unless_they_say_otherwise() {
        let set = owner("apps", "StatefulSet");
        assert_eq!(judged(Some(&set), "web-0", None), Ok(true));
        assert_eq!(judged(Some(&set), "web-0", Some(true)), Ok(true));
        assert_eq!(judged(Some(&set), "web-0", Some(false)), Ok(false));
        // Such a number is no generated end.
        assert_eq!(judged(Some(&set), "web-22222", Some(true)), Ok(true));
    }

    #[test]
    fn other_pods_are_sticky_only_where_they_ask_for_it() {
        let other = owner("apps.kruise.io", "StatefulSet");
        for owner in [None, Some(&other)] {
            assert_eq!(judged(owner, "db", None), Ok(false));
            assert_eq!(judged(owner, "db", Some(false)), Ok(false));
            assert_eq!(judged(owner, "db", Some(true)), Ok(true));
        }
        assert_eq!(judged(Some(&other), "web-0", Some(true)), Ok(true));
    }

    #[test]
    fn a_pod_whose_name_never_comes_again_is_not_sticky() {
        for kind in RANDOM_NAMES {
            let owner = owner("apps", kind);
            assert_eq!(judged(Some(&owner), "web-7d9f", None), Ok(false));
            let refused = judged(Some(&owner), "web-7d9f", Some(true));
            let expected = NotSticky::OwnerNamesAtRandom {
                kind: kind.to_owned(),
                name: "web".to_owned(),
            };
            assert_eq!(refused, Err(expected));
        }
        assert_eq!(
            judged(None, "web-x2k4z", Some(true)),
            Err(NotSticky::GeneratedName)
        );
        assert_eq!(judged(None, "web-x2k4z", None), Ok(false));
    }

    #[test]
    fn a_slot_is_an_interface_in_a_network_of_a_pods_name() {
        let holder = Holder {
            namespace: "shop".to_owned(),
            pod: "web-0".to_owned(),
            interface: "eth0".to_owned(),
            network: "net".to_owned(),
            ..Holder::default()
        };
        let slot = ClaimRef::slot_of(&holder, Some(owner("apps", "StatefulSet")));
        let again = Holder {
            uid: "another".to_owned(),
            node: "n2".to_owned(),
            ..holder.clone()
        };
        assert!(slot.is_slot_of(&again));
        for other in [
            Holder {
                namespace: "x".to_owned(),
                ..holder.clone()
            },
            Holder {
                pod: "x".to_owned(),
                ..holder.clone()
            },
            Holder {
                interface: "x".to_owned(),
                ..holder.clone()
            },
            Holder {
                network: "x".to_owned(),
                ..holder.clone()
            },
        ] {
            assert!(!slot.is_slot_of(&other), "{other:?}");
        }
        let set = ClaimRef {
            kind: ClaimKind::IPClaim,
            ..slot
        };
        assert!(!set.is_slot_of(&holder));
    }
}
