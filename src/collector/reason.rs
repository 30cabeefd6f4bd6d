//! Why an address is taken back, and why not, in words.

use std::fmt;
use std::net::IpAddr;

/// Why a lease is taken back.
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
}

/// How a pod that still exists has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodEnd {
    /// Phase `Succeeded`.
    Succeeded,
    /// Phase `Failed`.
    Failed,
    /// It is being deleted, and all its containers have terminated.
    Terminated,
}

/// What shows that a pod that is gone does not run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Its node was ready and renewed its heartbeat after the pod had gone: kubelet is there and tears the pod down.
    Heartbeat,
    /// The Node object is gone.
    NodeGone,
    /// Somebody vouches by a taint that the node is shut down.
    OutOfService,
    /// None: an administrator said that it does not take one.
    Waived,
}

/// Why a lease that looked dead is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeepReason {
    /// The lease changed since the first look.
    Changed,
    /// The lease is gone already.
    Vanished,
    /// The pod lives after all.
    Alive,
    /// The node did not renew its heartbeat since the first look.
    Silent,
    /// The node was not ready at both looks: kubelet has lost the container runtime, or is back so lately that what ran
    /// there may not be torn down yet.
    Unready,
    /// The pod had time to end that is not over yet.
    Ending,
    /// Another pod that lives reports the address.
    Reported,
    /// Two holders share it.
    Shared,
    /// It is in a surplus that an ADD may still be working on.
    Young,
    /// The claim that keeps it could not be read, or lists it again.
    Claimed,
}

impl Reason {
    /// One word for a label of a metric.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::PodGone(_) => "pod_gone",
            Self::PodFinished(..) => "pod_finished",
            Self::Surplus { .. } => "surplus",
            Self::Cooled => "cooled",
            Self::QuarantineOver => "quarantine_over",
            Self::ClaimGone => "claim_gone",
            Self::ClaimOmits => "claim_omits",
        }
    }

    /// All labels, so that each has its counter from the start.
    pub const LABELS: [&'static str; 7] = [
        "pod_gone",
        "pod_finished",
        "surplus",
        "cooled",
        "quarantine_over",
        "claim_gone",
        "claim_omits",
    ];

    /// Whether somebody left the address behind, rather than gave it back.
    #[must_use]
    pub fn is_reclaim(&self) -> bool {
        match self {
            Self::PodGone(_) | Self::PodFinished(..) | Self::Surplus { .. } => true,
            Self::Cooled | Self::QuarantineOver | Self::ClaimGone | Self::ClaimOmits => false,
        }
    }
}

impl Proof {
    /// Whether a container may be ending still. Kubelet goes on with that where its Node object was deleted, too.
    #[must_use]
    pub fn needs_time(self) -> bool {
        match self {
            Self::Heartbeat | Self::NodeGone => true,
            Self::OutOfService | Self::Waived => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PodGone(proof) => write!(f, "the pod is gone, and {proof}"),
            Self::PodFinished(end, proof) => write!(f, "the pod {end}, and {proof}"),
            Self::Surplus { keeps } => {
                write!(f, "the pod has {keeps} on the same interface")
            }
            Self::Cooled => f.write_str("its cooldown is over"),
            Self::QuarantineOver => f.write_str("its quarantine is over"),
            Self::ClaimGone => f.write_str("the claim that kept it is gone"),
            Self::ClaimOmits => f.write_str("the claim that kept it does not list it"),
        }
    }
}

impl fmt::Display for PodEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "has succeeded",
            Self::Failed => "has failed",
            Self::Terminated => "is being deleted and its containers have terminated",
        })
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Heartbeat => "its node has shown since that it lives",
            Self::NodeGone => "so is its node",
            Self::OutOfService => "its node has the taint node.kubernetes.io/out-of-service",
            Self::Waived => "--release-unreachable asks for no sign of its node",
        })
    }
}

impl KeepReason {
    /// One word for machines.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Vanished => "vanished",
            Self::Alive => "alive",
            Self::Silent => "silent",
            Self::Unready => "unready",
            Self::Ending => "ending",
            Self::Reported => "reported",
            Self::Shared => "shared",
            Self::Young => "young",
            Self::Claimed => "claimed",
        }
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "the lease has changed meanwhile",
            Self::Vanished => "the lease is gone already",
            Self::Alive => "the pod lives",
            Self::Silent => "the pod's node shows no sign of life, so that the pod may run on",
            Self::Unready => {
                "the pod's node was not ready all the time, so that the pod may run on"
            }
            Self::Ending => {
                "the pod was given longer to end than has passed, so that it may run on"
            }
            Self::Reported => "another pod that lives reports the address",
            Self::Shared => "two holders share the lease",
            Self::Young => "an ADD may still be working on it",
            Self::Claimed => "its claim could not be read, or lists it",
        })
    }
}
