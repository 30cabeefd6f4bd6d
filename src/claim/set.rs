//! A claim as it is meant.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::api::{ClaimKind, ClaimRef, IPClaim, MAX_CLAIM_SIZE, SetOwner};
use crate::ip::{Family, Span, SpanError, Spans, Vrf};

/// The condition of a claim that says whether its application does not exist.
pub const OWNER_GONE: &str = "OwnerGone";

/// The condition of a claim that says whether pods of its application live and none asks for it.
pub const UNUSED: &str = "Unused";

/// Namespace and name of a claim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ClaimName {
    /// The claim whose set a lease with this claim is in, if it is in one.
    #[must_use]
    pub fn of(claim: &ClaimRef) -> Option<Self> {
        (claim.kind == ClaimKind::IPClaim).then(|| Self {
            namespace: claim.namespace.clone(),
            name: claim.name.clone(),
        })
    }

    /// Whether a lease with this claim is a member of its set.
    #[must_use]
    pub fn is_in(&self, claim: Option<&ClaimRef>) -> bool {
        claim.is_some_and(|claim| {
            claim.kind == ClaimKind::IPClaim
                && claim.namespace == self.namespace
                && claim.name == self.name
        })
    }
}

/// As `kubectl` names it.
impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A claim, and the version of it that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Its namespace and name.
    pub name: ClaimName,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// The address space of its addresses.
    pub vrf: Vrf,
    /// Which addresses it asks for.
    pub source: Source,
    /// The set as it was committed last.
    pub addresses: BTreeSet<IpAddr>,
    /// Members that no other pod can have any more.
    pub confirmed: BTreeSet<IpAddr>,
    /// Members that no pod takes any more.
    pub leaving: BTreeSet<IpAddr>,
    /// The object as it was read.
    pub object: Box<IPClaim>,
}

/// Where the addresses of a claim come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A person has listed them.
    Listed(Spans),
    /// So many of each family of these pools.
    Sized {
        /// How many.
        size: u32,
        /// The names of the pools.
        pools: Vec<String>,
    },
    /// So many of a Subnet as this application needs.
    Derived(SetOwner),
}

/// What is wrong with a claim. Most of it the schema refuses too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaim {
    /// The vrf.
    #[error("spec.vrf {0}")]
    Vrf(crate::ip::InvalidVrf),
    /// An item of `addresses`.
    #[error("spec.addresses[{0}] {1}")]
    Span(usize, SpanError),
    /// More than a set may have.
    #[error(
        "spec.addresses lists {count} {family} addresses: at most {MAX_CLAIM_SIZE} are possible"
    )]
    TooMany {
        /// How many there are.
        count: u128,
        /// Of which family.
        family: Family,
    },
    /// It says in no way which addresses it has.
    #[error("spec says in no way which addresses it has")]
    Empty,
    /// An address in its status.
    #[error("status.{field} has {text:?}, which is no address")]
    Member {
        /// Which list.
        field: &'static str,
        /// As written.
        text: String,
    },
}

impl TryFrom<IPClaim> for Claim {
    type Error = InvalidClaim;

    fn try_from(object: IPClaim) -> Result<Self, InvalidClaim> {
        let (metadata, spec) = (&object.metadata, &object.spec);
        let status = object.status.clone().unwrap_or_default();
        Ok(Self {
            name: ClaimName {
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: metadata.name.clone().unwrap_or_default(),
            },
            deleting: metadata.deletion_timestamp.is_some(),
            vrf: spec.vrf.parse().map_err(InvalidClaim::Vrf)?,
            source: match (&spec.owner, spec.size) {
                (Some(owner), _) => Source::Derived(owner.clone()),
                (None, Some(size)) => Source::Sized {
                    size: u32::try_from(size).map_err(|_| InvalidClaim::Empty)?,
                    pools: spec.pools.clone(),
                },
                (None, None) => Source::Listed(listed(&spec.addresses)?),
            },
            addresses: members("addresses", &status.addresses)?,
            confirmed: members("confirmed", &status.confirmed)?,
            leaving: members("leaving", &status.leaving)?,
            object: Box::new(object),
        })
    }
}

fn listed(texts: &[String]) -> Result<Spans, InvalidClaim> {
    let read = |(index, text): (usize, &String)| {
        text.parse::<Span>()
            .map_err(|error| InvalidClaim::Span(index, error))
    };
    let spans: Spans = texts
        .iter()
        .enumerate()
        .map(read)
        .collect::<Result<_, _>>()?;
    if spans.is_empty() {
        return Err(InvalidClaim::Empty);
    }
    for family in Family::BOTH {
        let of_family = spans.iter().filter(|span| span.family() == family);
        let count = of_family.fold(0, |sum, span| u128::saturating_add(sum, span.len()));
        if count > u128::from(MAX_CLAIM_SIZE) {
            return Err(InvalidClaim::TooMany { count, family });
        }
    }
    Ok(spans)
}

fn members(field: &'static str, texts: &[String]) -> Result<BTreeSet<IpAddr>, InvalidClaim> {
    let read = |text: &String| {
        text.parse().map_err(|_| InvalidClaim::Member {
            field,
            text: text.clone(),
        })
    };
    texts.iter().map(read).collect()
}

impl Claim {
    /// The addresses of `family` that a pod of the set may have: what a person has listed counts
    /// before the collector has seen it, and what is to leave the set does not.
    #[must_use]
    pub fn joinable(&self, family: Family) -> Vec<IpAddr> {
        let members: Vec<IpAddr> = match &self.source {
            Source::Listed(_) => self.listed().collect(),
            Source::Sized { .. } | Source::Derived(_) => self.addresses.iter().copied().collect(),
        };
        let is_joinable =
            |address: &IpAddr| Family::of(*address) == family && !self.leaving.contains(address);
        members.into_iter().filter(is_joinable).collect()
    }

    /// What a person has listed; nothing of any other claim.
    pub fn listed(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let spans = match &self.source {
            Source::Listed(spans) => Some(spans),
            Source::Sized { .. } | Source::Derived(_) => None,
        };
        spans.into_iter().flat_map(addresses)
    }

    /// The name of the `StatefulSet` whose set it is: its pods keep their names.
    #[must_use]
    pub fn stateful_set(&self) -> Option<&str> {
        match &self.source {
            Source::Derived(owner) => owner.object().is_stateful_set().then_some(&owner.name),
            Source::Listed(_) | Source::Sized { .. } => None,
        }
    }

    /// Since when this condition is true.
    #[must_use]
    pub fn since(&self, condition: &str) -> Option<Timestamp> {
        let conditions = self.object.status.iter().flat_map(|it| &it.conditions);
        let mut conditions = conditions.into_iter();
        let found = conditions.find(|it| it.type_ == condition && it.status == "True")?;
        Some(found.last_transition_time.0)
    }

    /// What the leases of its members say.
    #[must_use]
    pub fn reference(&self) -> ClaimRef {
        ClaimRef {
            kind: ClaimKind::IPClaim,
            namespace: self.name.namespace.clone(),
            name: self.name.name.clone(),
            owner: match &self.source {
                Source::Derived(owner) => Some(owner.object()),
                Source::Listed(_) | Source::Sized { .. } => None,
            },
            ..ClaimRef::default()
        }
    }

    /// Whether it is a derived one without a list: not made yet, or its list is lost.
    #[must_use]
    pub fn is_unmade(&self) -> bool {
        matches!(self.source, Source::Derived(_)) && self.addresses.is_empty()
    }

    /// Whether `address` is a member, or is to become one because a person lists it.
    #[must_use]
    pub fn lists(&self, address: IpAddr) -> bool {
        let is_listed = match &self.source {
            Source::Listed(spans) => spans.contains(address),
            Source::Sized { .. } | Source::Derived(_) => false,
        };
        is_listed || self.addresses.contains(&address)
    }
}

/// Every address of a set that [`listed`] has bounded.
fn addresses(spans: &Spans) -> impl Iterator<Item = IpAddr> + '_ {
    (0..spans.len()).filter_map(|index| spans.nth(index))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(spec: &serde_json::Value, status: &serde_json::Value) -> Result<Claim, InvalidClaim> {
        let object = json!({
            "apiVersion": "leasehold.io/v1alpha1", "kind": "IPClaim",
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": spec, "status": status,
        });
        Claim::try_from(serde_json::from_value::<IPClaim>(object).expect("a claim"))
    }

    fn texts(addresses: &[IpAddr]) -> String {
        let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        texts.join(" ")
    }

    #[test]
    fn what_a_person_lists_counts_before_the_collector_has_seen_it() {
        let spec = json!({"addresses": ["10.0.0.9", "10.0.0.1-10.0.0.3", "fd00::9"]});
        let status = json!({"addresses": ["10.0.0.1", "10.0.0.7"], "leaving": ["10.0.0.2"]});
        let claim = claim(&spec, &status).expect("a claim");
        assert_eq!(
            texts(&claim.joinable(Family::V4)),
            "10.0.0.1 10.0.0.3 10.0.0.9"
        );
        assert_eq!(texts(&claim.joinable(Family::V6)), "fd00::9");
        for (address, lists) in [("10.0.0.9", true), ("10.0.0.7", true), ("10.0.0.8", false)] {
            assert_eq!(claim.lists(address.parse().expect("an address")), lists);
        }
    }

    #[test]
    fn of_a_size_only_what_was_committed_counts() {
        let spec = json!({"size": 3, "pools": ["a"]});
        let status = json!({"addresses": ["10.0.0.1", "10.0.0.7"], "leaving": ["10.0.0.7"]});
        let claim = claim(&spec, &status).expect("a claim");
        assert_eq!(texts(&claim.joinable(Family::V4)), "10.0.0.1");
        assert_eq!(texts(&claim.joinable(Family::V6)), "");
    }

    #[test]
    fn a_set_has_a_bound_in_each_family() {
        let of = |addresses: &serde_json::Value| {
            claim(&json!({"addresses": addresses}), &json!({}))
                .map(drop)
                .map_err(|error| error.to_string())
        };
        assert_eq!(of(&json!(["10.0.0.0/22", "fd00::/118"])), Ok(()));
        insta::assert_snapshot!(of(&json!(["10.0.0.0/22", "10.1.0.0"])).unwrap_err(), @"spec.addresses lists 1025 IPv4 addresses: at most 1024 are possible");
        insta::assert_snapshot!(of(&json!(["fd00::/64"])).unwrap_err(), @"spec.addresses lists 18446744073709551616 IPv6 addresses: at most 1024 are possible");
        insta::assert_snapshot!(of(&json!(["fd00::9-fd00::1"])).unwrap_err(), @r#"spec.addresses[0] "fd00::9-fd00::1" ends before it begins: write the lower address first"#);
        insta::assert_snapshot!(of(&json!([])).unwrap_err(), @"spec says in no way which addresses it has");
    }
}
