//! A lease as it is meant: every field parsed, the stored object kept for what it has besides.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{ClaimRef, Holder, IPLease, State, lease_name};
use crate::ip::PoolName;
use crate::ip::Vrf;
use crate::retry::{self, ApiError, ErrorKind};

/// The name of a lease: its address, in its vrf.
///
/// `10.0.0.7`, `fd00-0-0-0-0-0-0-a`, and with a vrf in front `blue.10.0.0.7`. Uniqueness of
/// addresses rests on it, so the schema of the kind checks that name and address agree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseName {
    /// The address space that the address is unique in.
    pub vrf: Vrf,
    /// The address.
    pub address: IpAddr,
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lease_name(&self.vrf, self.address))
    }
}

/// A text that is not the name of a lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a lease")]
pub struct InvalidLeaseName(String);

impl FromStr for LeaseName {
    type Err = InvalidLeaseName;

    fn from_str(text: &str) -> Result<Self, InvalidLeaseName> {
        let wrong = || InvalidLeaseName(text.to_owned());
        // A vrf begins with a letter, an IPv4 address with a digit, and an IPv6 name has no dot.
        let (vrf, address) = match text.split_once('.') {
            Some((vrf, rest)) if vrf.starts_with(|c: char| c.is_ascii_lowercase()) => {
                (vrf.parse().map_err(|_| wrong())?, rest)
            }
            _ => (Vrf::default(), text),
        };
        let address = if address.contains('-') {
            IpAddr::V6(
                address
                    .replace('-', ":")
                    .parse::<Ipv6Addr>()
                    .map_err(|_| wrong())?,
            )
        } else {
            address.parse().map_err(|_| wrong())?
        };
        let name = Self { vrf, address };
        if name.to_string() == text {
            Ok(name)
        } else {
            Err(wrong())
        }
    }
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Which address, in which vrf.
    pub name: LeaseName,
    /// The pool that it came out of.
    pub pool: PoolName,
    /// Whether it is held, cooling, kept or in quarantine.
    pub state: State,
    /// Who has it; while cooling, who had it last.
    pub holder: Option<Holder>,
    /// A second holder of the same claim, during a live migration only.
    pub co_holder: Option<Holder>,
    /// What keeps it beyond its pod.
    pub claim: Option<ClaimRef>,
    /// How long it cools once it is released.
    pub cooldown: Duration,
    /// How long the holder's containers may take to end.
    pub termination: Duration,
    /// When the process that took it began, by its node's clock.
    pub held_since: Option<Timestamp>,
    /// When it was released, by the clock of the node that did it.
    pub released_at: Option<Timestamp>,
    /// Whether the last holder's attachment failed after the address was given.
    pub attachment_failed: bool,
    /// When its quarantine ends.
    pub quarantined_until: Option<Timestamp>,
    /// The hardware address that answered for it from outside the cluster.
    pub foreign_mac: Option<String>,
}

impl Lease {
    /// Whether the time after its release is over.
    #[must_use]
    pub fn has_cooled(&self, now: Timestamp) -> bool {
        // A release that lies ahead of this clock was just now.
        let age = |at| Duration::try_from(now.duration_since(at)).unwrap_or_default();
        self.state == State::Cooling && self.released_at.is_none_or(|at| age(at) >= self.cooldown)
    }
}

/// A lease as it was read: a write names this version and no other.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredLease {
    /// Its content.
    pub lease: Lease,
    /// The object's uid.
    pub uid: String,
    /// The object's `resourceVersion`.
    pub version: String,
    /// The object as it was read: what else it has of the same holder is kept when it is replaced.
    pub object: Box<IPLease>,
    /// A field that was written and is not in what was stored: the API server prunes what its
    /// definition of the kind does not have (Kubernetes, "Field pruning").
    pub not_stored: Option<String>,
}

/// What was written was not stored whole.
#[derive(Debug, thiserror::Error)]
#[error(
    "apply leasehold's crds/: the API server has an older definition of ipleases.leasehold.io and did not store {0}"
)]
struct NotStored(String);

impl StoredLease {
    /// Whether a deletion leaves it there until someone takes its finalizers off.
    #[must_use]
    pub fn has_finalizers(&self) -> bool {
        let finalizers = self.object.metadata.finalizers.as_deref();
        finalizers.is_some_and(|finalizers| !finalizers.is_empty())
    }

    /// Whether it was deleted, and finalizers keep it there.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    /// Refuses what was not stored whole.
    pub fn check_whole(&self) -> Result<(), retry::Error> {
        match &self.not_stored {
            None => Ok(()),
            Some(field) => Err(retry::Error::Api(ApiError {
                request: format!("the write of lease {}", self.lease.name),
                kind: ErrorKind::Refused,
                source: NotStored(field.clone()).into(),
            })),
        }
    }

    /// What `container` is called in this lease: nothing, where the collector recreated it for the
    /// pod of this uid.
    #[must_use]
    pub fn recorded_container<'c>(&self, container: &'c str, uid: Option<&str>) -> &'c str {
        match &self.lease.holder {
            Some(holder) if holder.container.is_empty() && uid == Some(&holder.uid) => "",
            _ => container,
        }
    }

    /// Whether exactly this attachment holds it now.
    #[must_use]
    pub fn is_held_by(&self, container: &str, interface: &str) -> bool {
        self.lease.state == State::Held
            && (self.lease.holder.as_ref())
                .is_some_and(|holder| holder.is_attachment(container, interface))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lease_is_named_by_its_address() {
        for (vrf, address, name) in [
            ("", "10.0.0.7", "10.0.0.7"),
            ("", "fd00::a", "fd00-0-0-0-0-0-0-a"),
            ("", "::", "0-0-0-0-0-0-0-0"),
            ("blue", "10.0.0.7", "blue.10.0.0.7"),
            ("b-1", "fd00::a", "b-1.fd00-0-0-0-0-0-0-a"),
        ] {
            let vrf = vrf.parse().expect("a vrf");
            let address = address.parse().expect("an address");
            assert_eq!(LeaseName { vrf, address }.to_string(), name);
        }
    }

    #[test]
    fn a_text_that_no_lease_is_named_by_is_refused() {
        for text in [
            "",
            "10.0.0.07",
            "fd00--a",
            "FD00-0-0-0-0-0-0-A",
            "fd00::a",
            "1blue.10.0.0.7",
            "blue.",
            "a.b.10.0.0.1",
        ] {
            assert!(text.parse::<LeaseName>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_read_back_as_what_it_names(address: IpAddr, vrf in "([a-z]([a-z0-9-]{0,8}[a-z0-9])?)?") {
            let name = LeaseName { vrf: vrf.parse().expect("a vrf"), address };
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
    }
}
