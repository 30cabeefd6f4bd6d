//! The conditions by which a set that the plugin made ends: that its application does not exist,
//! and that no pod of it asks for the set any more.
//!
//! Each is the mark of its own: since when it is true. An ADD takes it back.

use jiff::Timestamp;

use super::derived::Existence;
use super::{AllClaims, Plan};
use crate::api::{Condition, SetOwner, Time};
use crate::claim::{Claim, OWNER_GONE, Source, UNUSED};
use crate::ip::PoolName;

impl AllClaims<'_> {
    /// Whether no living pod asks for the set: other pods of its application live, or it has nothing
    /// to keep for those that come. `None`: unknown, or a maker may be at work.
    pub(super) fn is_unused(&self, claim: &Claim, owner: &SetOwner) -> Option<bool> {
        let requests = self.requests.of_claim(claim, owner)?.iter();
        let asked: Option<Vec<&[PoolName]>> = requests.map(|it| it.subnets.as_deref()).collect();
        let asked: Vec<&PoolName> = asked?.into_iter().flatten().collect();
        if asked.contains(&&PoolName::of_subnet(&owner.subnet)) {
            return Some(false);
        }
        let mut leases = self.index.snapshot.leases.iter();
        let is_known = if claim.is_unmade() {
            !leases.any(|lease| claim.name.is_in(lease.claim.as_deref()))
        } else {
            !asked.is_empty()
        };
        is_known.then_some(true)
    }
}

impl Plan {
    /// The conditions `OwnerGone` and `Unused`, where they are or become other than absent.
    pub(super) fn ending(&self, claim: &Claim, now: Timestamp) -> Vec<Condition> {
        let owner_gone = self.existence.as_ref().map(|existence| match existence {
            Existence::Gone(message) => Ok(message.clone()),
            Existence::Exists => Err("Exists"),
        });
        let unused = self.unused.map(|unused| {
            if unused {
                Ok(not_asked(claim))
            } else {
                Err("Asked")
            }
        });
        [
            (OWNER_GONE, "NotFound", owner_gone),
            (UNUSED, "NotAsked", unused),
        ]
        .into_iter()
        .filter_map(|(type_, reason, is_true)| {
            let since = claim.since(type_);
            let (status, reason, message, at) = match (is_true?, since) {
                (Ok(message), since) => ("True", reason, message, since.unwrap_or(now)),
                (Err(reason), Some(_)) => ("False", reason, String::new(), now),
                (Err(_), None) => return None,
            };
            Some(Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message,
                last_transition_time: Time(at),
                observed_generation: claim.object.metadata.generation,
            })
        })
        .collect()
    }

    /// The condition by which the set ends, as this run sees it.
    pub fn ends_by(&self, claim: &Claim) -> Option<&'static str> {
        if matches!(self.existence, Some(Existence::Gone(_))) && claim.is_reclaimed() {
            Some(OWNER_GONE)
        } else {
            let is_unused = self.unused == Some(true);
            (is_unused && (claim.is_reclaimed() || claim.is_unmade())).then_some(UNUSED)
        }
    }
}

fn not_asked(claim: &Claim) -> String {
    let Source::Derived(SetOwner {
        kind, name, subnet, ..
    }) = &claim.source
    else {
        return String::new();
    };
    let then = if claim.is_reclaimed() || claim.is_unmade() {
        "the set goes some time later, once no pod has an address of it"
    } else {
        "the set stays, because spec.reclaim is false"
    };
    format!("no pod of {kind} {name} asks for addresses of Subnet {subnet} any more; {then}")
}
