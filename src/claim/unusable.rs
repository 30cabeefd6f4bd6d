//! Why a set has no address for a pod, in words that say what to do.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::derived::SetSize;
use super::set::{Claim, ClaimName, InvalidClaim, Source};
use crate::api::SetOwner;
use crate::ip::Family;
use crate::text::{brief, first_few};

/// Why a set has no address for a pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// There is no such claim.
    #[error(
        "IPClaim {0} does not exist: create it, or correct the pod's annotation ipam.leasehold.io/claim"
    )]
    Missing(ClaimName),
    /// It has a deletion timestamp.
    #[error(
        "IPClaim {0} is being deleted: create it again once it is gone, or name another in the pod's annotation ipam.leasehold.io/claim"
    )]
    Deleting(ClaimName),
    /// It can't be understood.
    #[error("correct IPClaim {0}: {1}")]
    Invalid(ClaimName, Box<InvalidClaim>),
    /// Its addresses are not chosen yet.
    #[error(
        "IPClaim {claim} has no {family} addresses yet: the collector chooses them, and its condition Ready says what keeps it from that"
    )]
    Unresolved {
        /// The claim.
        claim: ClaimName,
        /// Of which family.
        family: Family,
    },
    /// Each of its addresses is in use, or not for this pod.
    #[error("IPClaim {claim} is full: {what}{}; {}", of_terminating(*.terminating, *.held), remedy(*.size))]
    Full {
        /// The claim.
        claim: Box<ClaimName>,
        /// Who has the addresses.
        what: Box<str>,
        /// How many of them pods have.
        held: u32,
        /// How many of these pods are being deleted, at least.
        terminating: u32,
        /// How large the set is to be, where an application's pods say that.
        size: Option<SetSize>,
    },
    /// The claim that has the name of a set is not the set's.
    #[error(
        "IPClaim {0} has the name of this application's set and is for another: delete it, or name an IPClaim of yours in the \
         pod's annotation ipam.leasehold.io/claim"
    )]
    OfAnother(ClaimName),
    /// The claim of an application's set is being deleted, and something keeps it.
    #[error(
        "IPClaim {0}, the set of this application, is being deleted and does not go: remove its metadata.finalizers, and the \
         next attempt makes it again"
    )]
    NotGone(ClaimName),
    /// Another call has been making the set, or enlarging it, until the time was over.
    #[error(
        "IPClaim {claim} is being made or enlarged by the call for pod {}/{}{}, and was not ready after {seconds} s: \
         the next attempt waits again; if that pod is stuck, delete it, and another pod's call takes over",
        .claim.namespace, brief(pod), on_node(node)
    )]
    Making {
        /// The set's claim.
        claim: Box<ClaimName>,
        /// The pod for which it is made.
        pod: Box<str>,
        /// The pod's node; empty: unknown.
        node: Box<str>,
        /// How long that was awaited.
        seconds: u64,
    },
    /// The Subnet has too few free addresses to make the set, or to enlarge it.
    #[error(
        "Subnet {} has too few free addresses for IPClaim {claim}: {missing} are missing and {free} {are} free; \
         enlarge its spec.ips, or name another Subnet too",
        brief(subnet),
        are = if *free == 1 { "is" } else { "are" }
    )]
    NoRoom {
        /// The set's claim.
        claim: Box<ClaimName>,
        /// The name of the Subnet.
        subnet: Box<str>,
        /// How many addresses the set has too few.
        missing: u32,
        /// How many of them there are.
        free: u32,
    },
    /// The application does not exist, so it is unknown how many addresses its set should have.
    #[error(
        "{} {} does not exist, so it is unknown how many addresses its pods need: create it, or end the pod", .0.kind, brief(&.0.name)
    )]
    NoApplication(Box<SetOwner>),
    /// The application does not say how many pods it is to have.
    #[error(
        "how many pods {} {} is to have can't be read, because its kind has no /scale: set the pod's annotation \
         ipam.leasehold.io/ippool-ip-number to a number", .0.kind, brief(&.0.name)
    )]
    NoReplicas(Box<SetOwner>),
    /// None of several sets has an address.
    #[error("none of {} sets has an address: {}", .0.len(), each(.0))]
    NoneOf(Vec<Self>),
}

fn on_node(node: &str) -> String {
    match node {
        "" => String::new(),
        node => format!(" on node {}", brief(node)),
    }
}

fn of_terminating(terminating: u32, held: u32) -> String {
    match terminating {
        0 => String::new(),
        _ => format!("; pods that are terminating hold at least {terminating} of {held}"),
    }
}

fn remedy(size: Option<SetSize>) -> &'static str {
    match size {
        None => "enlarge it or end a pod that has one of its addresses",
        Some(SetSize::Fixed(_)) => {
            "raise the pods' annotation ipam.leasehold.io/ippool-ip-number: until then no pod is added, and a rollout with \
             maxUnavailable: 0 cannot proceed"
        }
        Some(SetSize::Spare(_) | SetSize::Surge) => {
            "wait until a pod ends, or raise the pods' annotation ipam.leasehold.io/ippool-ip-number, for example to \"+5\""
        }
    }
}

fn each(unusable: &[Unusable]) -> String {
    let each: Vec<String> = unusable.iter().map(ToString::to_string).collect();
    each.join("; ")
}

impl Unusable {
    /// A set of which no address is left, each of them for that reason; pods hold so many.
    #[must_use]
    pub fn full(
        claim: &Claim,
        family: Family,
        unavailable: &BTreeMap<IpAddr, String>,
        held: usize,
    ) -> Self {
        let name = claim.name.clone();
        if unavailable.is_empty() && !matches!(claim.source, Source::Listed(_)) {
            return Self::Unresolved {
                claim: name,
                family,
            };
        }
        let each: Vec<String> = unavailable
            .iter()
            .map(|(address, why)| format!("{address} is {why}"))
            .collect();
        let mut what = match each.len() {
            0 => format!("its {family} addresses are to leave it"),
            1 => each.concat(),
            count => format!("of its {count} {family} addresses {}", first_few(&each)),
        };
        if let Source::Sized { size, .. } = claim.source
            && each.len() < size as usize
        {
            what = format!(
                "{what}; it is to have {size}, and its condition Ready says what keeps it from that"
            );
        }
        Self::Full {
            claim: Box::new(name),
            what: what.into(),
            held: u32::try_from(held).unwrap_or(u32::MAX),
            terminating: 0,
            size: None,
        }
    }

    /// The same for an application's set of that size.
    #[must_use]
    pub fn of_size(mut self, wanted: SetSize) -> Self {
        if let Self::Full { size, .. } = &mut self {
            *size = Some(wanted);
        }
        self
    }

    /// The same where the application counts so many pods that are not being deleted: ours is one of
    /// them and has no address, so what the others can't hold is held by pods that are. A count
    /// without ours says nothing.
    #[must_use]
    pub fn among(mut self, existing: u32) -> Self {
        if let Self::Full {
            held, terminating, ..
        } = &mut self
        {
            let others = existing.checked_sub(1).unwrap_or(*held);
            *terminating = held.saturating_sub(others);
        }
        self
    }

    /// Whether more members would help.
    #[must_use]
    pub fn is_for_want_of_members(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Unresolved { .. })
    }

    /// What is wrong with each of several sets.
    #[must_use]
    pub fn of_each(mut unusable: Vec<Self>) -> Self {
        match unusable.len() {
            1 => unusable.remove(0),
            _ => Self::NoneOf(unusable),
        }
    }
}
