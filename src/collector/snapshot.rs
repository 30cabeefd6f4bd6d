//! What the collector keeps of what it saw: of large objects, the few fields that a decision needs.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::reason::PodEnd;
use crate::ip::PoolName;
use crate::lease::{LeaseName, State};

/// A lease, without what only its next write needs.
#[derive(Debug, Clone, PartialEq)]
pub struct LeaseSnapshot {
    /// Its name.
    pub name: LeaseName,
    /// The object's uid.
    pub uid: Box<str>,
    /// The object's `resourceVersion`.
    pub version: Box<str>,
    /// When this version was written, by the API server's clock; `None` if it does not say.
    pub written: Option<Timestamp>,
    /// What it says of its address.
    pub state: State,
    /// The pool that the address came out of.
    pub pool: PoolName,
    /// Who has it.
    pub holder: Option<HolderSnapshot>,
    /// Whether a second holder shares it, as during a live migration.
    pub shared: bool,
    /// What keeps it beyond its pod: namespace and name.
    pub claim: Option<(Box<str>, Box<str>)>,
    /// When the process that took it began, by its node's clock.
    pub held_since: Option<Timestamp>,
    /// When this state ends by itself, if it does: the cooldown, the quarantine.
    pub over: Option<Timestamp>,
    /// How long the holder's containers may take to end.
    pub termination: Duration,
    /// Since when an earlier run knew that the holder's pod is gone, by the API server's clock.
    pub gone_since: Option<Timestamp>,
}

/// Who has a lease, without the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderSnapshot {
    /// The pod's namespace.
    pub namespace: Box<str>,
    /// The pod's name.
    pub pod: Box<str>,
    /// The pod's uid as its runtime says it.
    pub uid: Box<str>,
    /// Its node.
    pub node: Box<str>,
    /// The interface.
    pub interface: Box<str>,
    /// The `name` of the CNI configuration.
    pub network: Box<str>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSnapshot {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its uid at the API server.
    pub uid: Box<str>,
    /// Of a mirror pod: the uid of the static pod that it mirrors, which is what the runtime says.
    pub mirrors: Option<Box<str>>,
    /// The node that it is bound to; empty before.
    pub node: Box<str>,
    /// Whether it can still run.
    pub life: Life,
    /// How long its containers may take to end.
    pub termination: Duration,
    /// The addresses that it reports; none for a pod in its node's own network.
    pub reports: Vec<Report>,
}

impl PodSnapshot {
    /// Whether a runtime knows this pod by `uid`.
    #[must_use]
    pub fn is(&self, uid: &str) -> bool {
        *self.uid == *uid || self.mirrors.as_deref() == Some(uid)
    }

    /// What a runtime calls it.
    #[must_use]
    pub fn runtime_uid(&self) -> &str {
        self.mirrors.as_deref().unwrap_or(&self.uid)
    }

    /// Whether it reports this address.
    #[must_use]
    pub fn reports(&self, address: IpAddr) -> bool {
        self.reports.iter().any(|report| report.address == address)
    }

    /// Whether it is not finished: terminating or not, whatever its node.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.life == Life::Alive
    }
}

/// Whether a pod that exists can still run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs, will run, or nobody has said that it has ended.
    Alive,
    /// It has run to its end.
    Finished(PodEnd),
}

/// An address that a pod reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The address.
    pub address: IpAddr,
    /// The interface, where the report says it.
    pub interface: Option<Box<str>>,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeSnapshot {
    /// Its InternalIPs.
    pub addresses: Vec<IpAddr>,
    /// Whether somebody vouches that it is shut down: the taint `node.kubernetes.io/out-of-service`.
    pub out_of_service: bool,
    /// Whether its condition `Ready` is `True`: kubelet reaches the API server, and the container runtime.
    pub ready: bool,
}

/// What is known of a claim that keeps a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimSnapshot {
    /// It lists the address.
    Lists,
    /// It is there and does not list the address.
    Omits,
    /// There is none of that name, or it is another owner's.
    Gone,
    /// It could not be read.
    Unknown,
}

/// One look at the whole cluster, in the order in which it was taken.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// All leases.
    pub leases: Vec<LeaseSnapshot>,
    /// All pods.
    pub pods: Vec<PodSnapshot>,
    /// All nodes by name.
    pub nodes: HashMap<Box<str>, NodeSnapshot>,
    /// When each node showed last that it lives, by name of the node.
    pub heartbeats: HashMap<Box<str>, Timestamp>,
    /// The claims of retained leases, as far as they were read.
    pub claims: BTreeMap<LeaseName, ClaimSnapshot>,
}
