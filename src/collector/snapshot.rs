//! What the collector keeps of what it read: of large objects, the few fields that a decision
//! needs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use arcstr::ArcStr;
use jiff::Timestamp;

use super::compact::{Moment, SharedTexts, Uid, Version};
use crate::api::SetOwner;
use crate::claim::{Claim, ClaimName, SetSize, ordinal};
use crate::ip::PoolName;
use crate::lease::{ClaimKind, ClaimOwner, ClaimRef, LeaseName, State, StoredLease};
use crate::select::Labels;

/// For how long an address is kept for the name of a pod that no StatefulSet makes.
const KEPT_UNUSED: Duration = Duration::from_hours(24);

/// A lease, without what only its next write needs.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseSnapshot {
    /// Its name.
    pub name: LeaseName,
    /// The object's uid.
    pub uid: Uid,
    /// The object's `resourceVersion`.
    pub version: Version,
    /// The state of its address; [`State::Unknown`] for a lease that could not be read.
    pub state: State,
    /// The pool that the address came out of.
    pub pool: PoolName,
    /// Who has it.
    pub holder: Option<HolderSnapshot>,
    /// Whether a second holder shares it, as during a live migration.
    pub shared: bool,
    /// Whether it was deleted, and finalizers keep it there.
    pub deleting: bool,
    /// What keeps it beyond its pod.
    pub claim: Option<Box<ClaimRef>>,
    /// When the process that took it began, by its node's clock.
    pub held_since: Option<Moment>,
    /// When it was released last.
    pub released_at: Option<Moment>,
    /// When this state ends by itself, if it does: the cooldown, the quarantine, a day without a
    /// pod of the name.
    pub over: Option<Moment>,
    /// How long the holder's containers may take to end.
    pub termination: Duration,
}

/// Who has a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderSnapshot {
    /// The pod's namespace.
    pub namespace: ArcStr,
    /// The pod's name.
    pub pod: ArcStr,
    /// The pod's uid as its runtime knows it.
    pub uid: Uid,
    /// Its node; empty in a lease that was recreated for a pod that was bound to none.
    pub node: ArcStr,
    /// Whether a container took it, rather than the collector, which knows of none.
    pub has_container: bool,
    /// The interface.
    pub interface: ArcStr,
    /// The `name` of the CNI configuration.
    pub network: ArcStr,
}

impl HolderSnapshot {
    /// Whether the holder is a static pod: the kubelet makes its uid, a hash without hyphens, and
    /// the pod outlives the mirror that the API server shows of it.
    #[must_use]
    pub fn is_static(&self) -> bool {
        self.uid.is_of_static_pod()
    }
}

impl LeaseSnapshot {
    /// What is kept of a lease.
    #[must_use]
    pub fn of(stored: StoredLease, texts: &SharedTexts) -> Self {
        let deleting = stored.is_being_deleted();
        let StoredLease {
            lease,
            uid,
            version,
            ..
        } = stored;
        let over = match lease.state {
            State::Cooling => {
                // Without a time it was released at any.
                let released = lease.released_at.unwrap_or(Timestamp::MIN);
                released.checked_add(lease.cooldown).ok()
            }
            State::Quarantined => lease.quarantined_until,
            State::Retained => lease.claim.as_ref().and_then(|claim| {
                let is_alone = claim.kind == ClaimKind::Pod && claim.stateful_set().is_none();
                let released = lease.released_at.filter(|_| is_alone)?;
                released.checked_add(KEPT_UNUSED).ok()
            }),
            State::Held | State::Unknown => None,
        };
        let holder = |holder: crate::lease::Holder| HolderSnapshot {
            namespace: texts.share(&holder.namespace),
            pod: texts.share(&holder.pod),
            uid: holder.uid.into(),
            // A kubelet may call itself in capitals; no Node is named so.
            node: texts.share(&holder.node.to_ascii_lowercase()),
            has_container: !holder.container.is_empty(),
            interface: texts.share(&holder.interface),
            network: texts.share(&holder.network),
        };
        Self {
            name: lease.name,
            uid: uid.into(),
            version: version.into(),
            state: lease.state,
            pool: texts.share(lease.pool.as_str()).into(),
            holder: lease.holder.map(holder),
            shared: lease.co_holder.is_some(),
            deleting,
            claim: lease.claim.map(Box::new),
            held_since: lease.held_since.map(Moment::from),
            released_at: lease.released_at.map(Moment::from),
            over: over.map(Moment::from),
            termination: lease.termination,
        }
    }
}

/// A pod.
#[derive(Debug, Clone, PartialEq)]
pub struct PodSnapshot {
    /// Its namespace.
    pub namespace: ArcStr,
    /// Its name.
    pub name: ArcStr,
    /// Its uid at the API server.
    pub uid: Uid,
    /// Of a mirror pod: the uid of the static pod that it mirrors, which is the one that the
    /// runtime knows. Anyone who may write pods may forge it.
    pub mirrors: Option<Uid>,
    /// The node that it is bound to; empty before.
    pub node: ArcStr,
    /// Its `status.phase`.
    pub phase: Phase,
    /// Whether it has a deletion timestamp.
    pub deleting: bool,
    /// Whether each of its containers has terminated, or never started.
    pub containers_ended: bool,
    /// How long its containers may take to end.
    pub termination: Duration,
    /// The IPClaim that it names.
    pub claim: Option<Box<str>>,
    /// Of a pod whose name has its address for ever: what is known besides.
    pub sticky: Option<Box<StickyPod>>,
    /// What it asks of the sets that the plugin makes for its application, if it asks for one.
    pub derived: Option<Box<DerivedRequest>>,
    /// Its `podIPs`, which only its kubelet writes; none for a pod in its node's own network.
    pub addresses: Vec<IpAddr>,
    /// What the annotation `network-status` reports of further interfaces.
    pub attached: Option<Box<Attached>>,
}

impl PodSnapshot {
    /// Whether a runtime knows this pod by `uid`.
    #[must_use]
    pub fn is(&self, uid: &Uid) -> bool {
        self.uid == *uid || self.mirrors.as_ref() == Some(uid)
    }

    /// What a runtime calls it. A pod that claims to mirror one of the API server's own pods is a
    /// forgery: nothing is done in that one's name.
    #[must_use]
    pub fn runtime_uid(&self) -> &Uid {
        let mirrored = self.mirrors.as_ref();
        let mirrored = mirrored.filter(|uid| uid.is_of_static_pod());
        mirrored.unwrap_or(&self.uid)
    }

    /// Whether its kubelet reports this address of it.
    #[must_use]
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }

    /// Whether it may run: whatever its node does, and whether it is being deleted or not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.phase.end().is_none()
    }

    /// Whether it asks for a set of this application.
    #[must_use]
    pub fn is_of(&self, owner: &SetOwner) -> bool {
        let application = (self.derived.as_ref()).and_then(|it| it.application.as_ref());
        application == Some(&owner.object())
    }
}

/// A pod whose name has its address for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyPod {
    /// Its controller.
    pub owner: Option<ClaimOwner>,
}

/// What a pod asks of the sets that the plugin makes for its application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedRequest {
    /// The application; `None`: unknown, so it may be any of the namespace.
    pub application: Option<ClaimOwner>,
    /// How large a set should be; `None`: unknown.
    pub size: Option<SetSize>,
    /// The Subnets that it names, each by the name of the pool that it is; `None`: unknown, so it may
    /// be any.
    pub subnets: Option<Box<[PoolName]>>,
}

/// What is known of an application that a set was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApplicationSnapshot {
    /// It exists, and this is how many pods it is to have; `None`: objects of its kind do not say.
    Exists(Option<u32>),
    /// It does not exist.
    Gone,
    /// The API server has no objects of its kind.
    UnknownKind,
}

/// A pod's phase, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `Pending`, `Unknown`, or a phase that only a newer API server knows.
    Other,
    /// `Running`.
    Running,
    /// `Succeeded` or `Failed`.
    Finished(PodEnd),
}

impl Phase {
    /// How the pod has ended, if it has.
    #[must_use]
    pub fn end(self) -> Option<PodEnd> {
        match self {
            Self::Finished(end) => Some(end),
            Self::Other | Self::Running => None,
        }
    }
}

/// How a pod that still exists has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodEnd {
    /// Phase `Succeeded`.
    Succeeded,
    /// Phase `Failed`.
    Failed,
}

/// Labels or annotations of one of very many pods: a map of its own would take a kilobyte.
pub type Pairs = Box<[(ArcStr, ArcStr)]>;

/// What a pod's annotations report of interfaces besides its first. Anyone who may write pods may
/// write them.
#[derive(Debug, Clone, PartialEq)]
pub struct Attached {
    /// One address of each family at most for each interface that the annotation `networks` asks
    /// for.
    pub reports: Vec<Report>,
    /// The pod's labels: what its pools ask for.
    pub labels: Pairs,
    /// Those of its annotations that choose networks and pools.
    pub annotations: Pairs,
}

/// An address that an annotation reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The interface.
    pub interface: ArcStr,
    /// The name of the network, as the annotation `networks` asks for it.
    pub network: ArcStr,
    /// The address.
    pub address: IpAddr,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeSnapshot {
    /// Its InternalIPs.
    pub addresses: Vec<IpAddr>,
    /// Whether an administrator vouches that it is shut down: the taint
    /// `node.kubernetes.io/out-of-service`.
    pub out_of_service: bool,
    /// Whether its condition `Ready` is `True`: kubelet reaches the API server, and the container
    /// runtime.
    pub ready: bool,
}

/// The namespace and the name of a StatefulSet.
pub type StatefulSetName = (Box<str>, Box<str>);

/// What a StatefulSet says of the addresses of its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatefulSetSnapshot {
    /// The number of its first pod.
    pub start: u64,
    /// How many pods it has.
    pub replicas: u64,
    /// Whether it keeps the addresses of pods that it was scaled down by.
    pub retains: bool,
}

/// What is known of a claim that keeps a lease; of a slot, what its StatefulSet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimSnapshot {
    /// It lists the address, or makes a pod of that name.
    Lists,
    /// It lists the address, and no pod takes it any more.
    Leaving,
    /// It is there and does not list the address, or makes no pod of that name.
    Omits,
    /// It is a derived one that is not made yet, or that has lost its list.
    Unmade,
    /// There is none of that name, or it is another owner's.
    Gone,
    /// It could not be read.
    Unknown,
}

/// The labels and annotations around a pod, by which pools admit it or not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Surroundings {
    /// Its namespace's labels and annotations.
    pub namespace: crate::select::ObjectMetadata,
    /// Its node's labels.
    pub node: Labels,
}

/// The whole cluster, in the order in which it was read.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// All leases.
    pub leases: Vec<LeaseSnapshot>,
    /// All pods.
    pub pods: Vec<PodSnapshot>,
    /// All nodes by name.
    pub nodes: HashMap<Box<str>, NodeSnapshot>,
    /// The `resourceVersion` of each node's heartbeat, by name of the node: it changes when the
    /// kubelet renews it.
    pub heartbeats: HashMap<Box<str>, Box<str>>,
    /// All claims by name; `None`: it could not be read.
    pub sets: BTreeMap<ClaimName, Option<Claim>>,
    /// All StatefulSets; `None`: they were not listed. Of one that is `None` nothing is known.
    pub stateful_sets: Option<HashMap<StatefulSetName, Option<StatefulSetSnapshot>>>,
    /// What claims say of retained leases, as far as they were read.
    pub claims: BTreeMap<LeaseName, ClaimSnapshot>,
    /// The reports of annotations that count, by pod uid and address: a pool that may serve the pod
    /// has the address.
    pub admitted: HashSet<(Uid, IpAddr)>,
}

impl ClaimSnapshot {
    /// What a claim of this name says of an address.
    #[must_use]
    pub fn of(claim: Option<&Option<Claim>>, address: IpAddr) -> Self {
        match claim {
            None => Self::Gone,
            Some(None) => Self::Unknown,
            Some(Some(claim)) if claim.leaving.contains(&address) => Self::Leaving,
            Some(Some(claim)) if claim.lists(address) => Self::Lists,
            Some(Some(claim)) if claim.is_unmade() => Self::Unmade,
            Some(Some(_)) => Self::Omits,
        }
    }

    /// What the StatefulSet of a slot says of it. A pod of another name than it gives says nothing.
    #[must_use]
    pub fn of_slot(slot: &ClaimRef, set: Option<&Option<StatefulSetSnapshot>>) -> Self {
        let set = match set {
            None => return Self::Gone,
            Some(None) => return Self::Unknown,
            Some(Some(set)) => set,
        };
        let owner = slot.owner.as_ref().map_or("", |owner| &owner.name);
        match set.makes(owner, &slot.name) {
            None => Self::Unknown,
            Some(true) => Self::Lists,
            Some(false) => Self::Omits,
        }
    }
}

impl StatefulSetSnapshot {
    /// Whether the StatefulSet of this name makes a pod of that name, or keeps what one had; `None`
    /// where it names its pods otherwise.
    #[must_use]
    pub fn makes(&self, name: &str, pod: &str) -> Option<bool> {
        let ordinal = ordinal(name, pod)?;
        let is_in_range = ordinal >= self.start && ordinal - self.start < self.replicas;
        Some(self.retains || is_in_range)
    }
}
