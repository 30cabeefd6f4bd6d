//! Why a lease is released, and why one that looks dead is kept, in words.

use std::fmt;
use std::net::IpAddr;

use super::compact::Uid;
use super::labels::labeled;
use super::snapshot::PodEnd;

/// Why a lease is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its pod is gone, and so is the container.
    PodGone(Proof),
    /// Its pod has run to its end, and the container is gone.
    PodFinished(PodEnd, Proof),
    /// Its pod has another one for the same interface.
    Surplus {
        /// The one that the pod keeps.
        keeps: IpAddr,
    },
    /// The time after its release is over.
    Cooled,
    /// Its quarantine is over.
    QuarantineOver,
    /// It was kept for a claim that is gone.
    ClaimGone,
    /// It was kept for a claim that does not list it.
    ClaimOmits,
    /// It was kept for a pod of a StatefulSet that is gone.
    OwnerGone,
    /// It was kept for a pod that its StatefulSet was scaled down by.
    ScaledDown,
    /// It was kept for a pod's name that no pod has had for a day.
    Unused,
    /// The pod of the name that it was kept for has another one for the same interface.
    Superseded {
        /// The one that the pod has.
        keeps: IpAddr,
        /// The pod's uid at the API server.
        pod: Uid,
    },
}

labeled! {
    /// A [`Reason`] without its particulars.
    pub enum ReasonKind {
        /// [`Reason::PodGone`].
        PodGone = "pod_gone",
        /// [`Reason::PodFinished`].
        PodFinished = "pod_finished",
        /// [`Reason::Surplus`].
        Surplus = "surplus",
        /// [`Reason::Cooled`].
        Cooled = "cooled",
        /// [`Reason::QuarantineOver`].
        QuarantineOver = "quarantine_over",
        /// [`Reason::ClaimGone`].
        ClaimGone = "claim_gone",
        /// [`Reason::ClaimOmits`].
        ClaimOmits = "claim_omits",
        /// [`Reason::OwnerGone`].
        OwnerGone = "owner_gone",
        /// [`Reason::ScaledDown`].
        ScaledDown = "scaled_down",
        /// [`Reason::Unused`].
        Unused = "unused",
        /// [`Reason::Superseded`].
        Superseded = "superseded",
    }
}

/// What shows that a pod does not run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Its node was heard of since it was gone, is Ready, and has had the time to tear it down.
    Heartbeat,
    /// The Node object is gone, and as much time has passed.
    NodeGone,
    /// An administrator vouches by a taint that the node is shut down.
    OutOfService,
    /// Its kubelet has reported that each of its containers has ended.
    ContainersEnded,
    /// None: an administrator waived it.
    Waived,
}

labeled! {
    /// Why a lease that looks dead is kept.
    pub enum KeepReason {
        /// No earlier run has marked it.
        Marked = "marked",
        /// The node has not renewed its heartbeat since the pod was gone.
        Silent = "silent",
        /// The node is not Ready: the kubelet is away, or has lost the container runtime.
        Unready = "unready",
        /// The time that the kubelet has to tear the pod down is not over.
        Ending = "ending",
        /// The kubelet has reported that the teardown fails.
        TeardownFailed = "teardown_failed",
        /// It is a static pod's, whose object is a mirror only.
        StaticPod = "static_pod",
        /// Another living pod uses the address.
        Reported = "reported",
        /// Two holders share it.
        Shared = "shared",
        /// It is in a surplus that an ADD may still be working on.
        Young = "young",
        /// It is to leave its set, and an ADD may still be taking it.
        Leaving = "leaving",
        /// A pod of the name that it is kept for may be made again.
        Awaited = "awaited",
        /// The claim that keeps it could not be read, or lists it again.
        Claimed = "claimed",
        /// The pod lives after all.
        Alive = "alive",
        /// The lease has changed since it was listed.
        Changed = "changed",
        /// The lease is gone already.
        Vanished = "vanished",
        /// It is deleted, and its finalizers keep it there.
        Finalizers = "finalizers",
        /// There are as many marks as there may be.
        NoRoom = "no_room",
    }
}

impl Reason {
    /// Without its particulars.
    #[must_use]
    pub fn kind(&self) -> ReasonKind {
        match self {
            Self::PodGone(_) => ReasonKind::PodGone,
            Self::PodFinished(..) => ReasonKind::PodFinished,
            Self::Surplus { .. } => ReasonKind::Surplus,
            Self::Cooled => ReasonKind::Cooled,
            Self::QuarantineOver => ReasonKind::QuarantineOver,
            Self::ClaimGone => ReasonKind::ClaimGone,
            Self::ClaimOmits => ReasonKind::ClaimOmits,
            Self::OwnerGone => ReasonKind::OwnerGone,
            Self::ScaledDown => ReasonKind::ScaledDown,
            Self::Unused => ReasonKind::Unused,
            Self::Superseded { .. } => ReasonKind::Superseded,
        }
    }

    /// Whether its pod left the address behind, rather than gave it back.
    #[must_use]
    pub fn is_reclaim(&self) -> bool {
        match self {
            Self::PodGone(_) | Self::PodFinished(..) | Self::Surplus { .. } => true,
            Self::Cooled
            | Self::QuarantineOver
            | Self::ClaimGone
            | Self::ClaimOmits
            | Self::OwnerGone
            | Self::ScaledDown
            | Self::Unused
            | Self::Superseded { .. } => false,
        }
    }

    /// Whether it rests on the word of a kubelet, which may have reported since that the teardown
    /// fails.
    #[must_use]
    pub fn rests_on_kubelet(&self) -> bool {
        match self {
            Self::PodGone(proof) | Self::PodFinished(_, proof) => proof.rests_on_kubelet(),
            Self::Surplus { .. }
            | Self::Cooled
            | Self::QuarantineOver
            | Self::ClaimGone
            | Self::ClaimOmits
            | Self::OwnerGone
            | Self::ScaledDown
            | Self::Unused
            | Self::Superseded { .. } => false,
        }
    }
}

impl Proof {
    /// Whether it rests on the word of a kubelet.
    #[must_use]
    pub fn rests_on_kubelet(self) -> bool {
        match self {
            Self::Heartbeat | Self::NodeGone | Self::ContainersEnded => true,
            Self::OutOfService | Self::Waived => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PodGone(proof) => write!(f, "the pod is gone, and {proof}"),
            Self::PodFinished(end, proof) => write!(f, "the pod {end}, and {proof}"),
            Self::Surplus { keeps } => write!(f, "the pod has {keeps} on the same interface"),
            Self::Cooled => f.write_str("its cooldown is over"),
            Self::QuarantineOver => f.write_str("its quarantine is over"),
            Self::ClaimGone => f.write_str("the claim that kept it is gone"),
            Self::ClaimOmits => f.write_str("the claim that kept it does not list it"),
            Self::OwnerGone => {
                f.write_str("the StatefulSet of the pod that it was kept for is gone")
            }
            Self::ScaledDown => {
                f.write_str("the StatefulSet was scaled down by the pod that it was kept for")
            }
            Self::Unused => {
                f.write_str("no pod of the name that it was kept for has been there for a day")
            }
            Self::Superseded { keeps, .. } => {
                write!(
                    f,
                    "the pod that it was kept for has {keeps} on the same interface"
                )
            }
        }
    }
}

impl fmt::Display for PodEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "has succeeded",
            Self::Failed => "has failed",
        })
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heartbeat => {
                "its node is Ready, has renewed its heartbeat since and has had time to tear it down"
            }
            Self::NodeGone => "its Node object has been gone for long enough",
            Self::OutOfService => "its node has the taint node.kubernetes.io/out-of-service",
            Self::ContainersEnded => "its containers have ended",
            Self::Waived => "--release-unreachable waives any proof",
        })
    }
}

impl KeepReason {
    /// Whether it takes a person to end the wait: time alone does not.
    #[must_use]
    pub fn needs_a_person(self) -> bool {
        match self {
            Self::Silent
            | Self::Unready
            | Self::TeardownFailed
            | Self::StaticPod
            | Self::Reported
            | Self::Shared
            | Self::Finalizers => true,
            Self::Marked
            | Self::Ending
            | Self::Young
            | Self::Leaving
            | Self::Awaited
            | Self::Claimed
            | Self::Alive
            | Self::Changed
            | Self::Vanished
            | Self::NoRoom => false,
        }
    }

    /// Whether an administrator has to check the node.
    #[must_use]
    pub fn is_about_the_node(self) -> bool {
        match self {
            Self::Silent | Self::Unready | Self::TeardownFailed | Self::StaticPod => true,
            Self::Marked
            | Self::Ending
            | Self::Reported
            | Self::Shared
            | Self::Finalizers
            | Self::Young
            | Self::Leaving
            | Self::Awaited
            | Self::Claimed
            | Self::Alive
            | Self::Changed
            | Self::Vanished
            | Self::NoRoom => false,
        }
    }

    /// The reason with the node's name, and what to do.
    #[must_use]
    pub fn explain(self, node: &str) -> String {
        let node = if node.is_empty() {
            "without a name"
        } else {
            node
        };
        match self {
            Self::Marked => "this run is the first to see it; the next one decides".to_owned(),
            Self::Silent => format!(
                "node {node} has not renewed its heartbeat since the pod was gone, so the pod may still be running: restart its \
                 kubelet, {}",
                if_it_is_off(node)
            ),
            Self::Unready => format!(
                "node {node} is not Ready, so the pod may still be running: repair the node, {}",
                if_it_is_off(node)
            ),
            Self::Ending => format!("node {node} still has time to tear the pod down"),
            Self::TeardownFailed => format!(
                "node {node} reports FailedKillPod, so the network namespace may still answer: see the kubelet's log there"
            ),
            Self::StaticPod => format!(
                "it is a static pod's, which outlives its object: if its manifest is gone from node {node}, delete the lease \
                 with the annotation ipam.leasehold.io/release"
            ),
            Self::Reported => {
                "another living pod uses the address: delete that pod first".to_owned()
            }
            Self::Shared => "two holders share the lease: delete it once neither runs".to_owned(),
            Self::Leaving => "it leaves its set once no ADD can be taking it any more".to_owned(),
            Self::Young => "an ADD may still be working on it".to_owned(),
            Self::Awaited => "a pod of its name may be made again (--claim-grace)".to_owned(),
            Self::Claimed => "its claim could not be read, or lists it".to_owned(),
            Self::Alive => "the pod lives".to_owned(),
            Self::Changed => "the lease has changed since it was listed".to_owned(),
            Self::Vanished => "the lease is gone already".to_owned(),
            Self::Finalizers => {
                "it is deleted, but its finalizers keep it: remove them from the lease once nothing needs them".to_owned()
            }
            Self::NoRoom => {
                "the limit of marks is reached; it waits until others are released".to_owned()
            }
        }
    }
}

/// What an administrator may vouch for, and how.
fn if_it_is_off(node: &str) -> String {
    format!(
        "or if the machine is off, delete the Node or taint it (kubectl taint node {node} \
         node.kubernetes.io/out-of-service=nodeshutdown:NoExecute)"
    )
}
