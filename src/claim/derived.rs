//! The set that the plugin makes for an application: what it is called, for whom it is, and how
//! large it should be.

use super::set::{Claim, ClaimName, Source};
use crate::api::{
    ClaimKind, ClaimOwner, ClaimRef, ClaimWriter, IPClaim, IPClaimSpec, MAX_CLAIM_SIZE, SetOwner,
};
use crate::ip::Vrf;

/// How much of the names of application and Subnet the name of a claim shows.
const SHOWN: usize = 60;

/// The annotation of a claim that names the pod for which it was made, and whose call makes the set
/// unless the status says otherwise. The policy for nodes asks whether it is a pod of the node.
const MAKER: &str = "ipam.leasehold.io/maker";

/// How many addresses a set should have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetSize {
    /// So many, whatever the replicas.
    Fixed(u32),
    /// So many more than the application has replicas.
    Spare(u32),
    /// A quarter more than the application has replicas, and at least one: what a Deployment needs
    /// for its rollouts by default (`maxSurge: 25%`, rounded up).
    #[default]
    Surge,
}

impl SetSize {
    /// The number of addresses for so many replicas, within what a set may have.
    #[must_use]
    pub fn of(self, replicas: u32) -> u32 {
        let wanted = match self {
            Self::Fixed(count) => count,
            Self::Spare(more) => replicas.saturating_add(more),
            Self::Surge => replicas.saturating_add(replicas.div_ceil(4).max(1)),
        };
        wanted.clamp(1, MAX_CLAIM_SIZE)
    }

    /// The number of addresses, where that is known without asking for replicas.
    #[must_use]
    pub fn fixed(self) -> Option<u32> {
        match self {
            Self::Fixed(_) => Some(self.of(0)),
            Self::Spare(_) | Self::Surge => None,
        }
    }
}

/// A set of a Subnet's addresses for one interface of an application's pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedSet {
    /// The namespace of the application, and of the claim.
    pub namespace: String,
    /// For what it is.
    pub owner: SetOwner,
    /// The address space of its addresses.
    pub vrf: Vrf,
    /// How many addresses it should have.
    pub size: SetSize,
    /// Whether it goes some time after its application.
    pub reclaim: bool,
}

impl DerivedSet {
    /// The name of its claim: as much of the names of application and Subnet as fits, and a hash of
    /// all that it is for. A hash may be met by another tuple; `spec.owner` says which it is.
    #[must_use]
    pub fn name(&self) -> ClaimName {
        let SetOwner {
            group,
            kind,
            name,
            interface,
            network,
            subnet,
        } = &self.owner;
        let vrf = self.vrf.to_string();
        let hash = hash128([group, kind, name, interface, network, &vrf, subnet]);
        let shown = [name, subnet].map(|name| {
            let end = name.floor_char_boundary(SHOWN);
            name[..end].trim_end_matches(['-', '.'])
        });
        ClaimName {
            namespace: self.namespace.clone(),
            name: format!("{}-{}-{hash:032x}", shown[0], shown[1]),
        }
    }

    /// Whether this claim is its own, and not one that has its name.
    #[must_use]
    pub fn has(&self, claim: &Claim) -> bool {
        claim.vrf == self.vrf
            && matches!(&claim.source, Source::Derived(owner) if *owner == self.owner)
    }

    /// Its claim, as a call for the pod of this name makes it.
    #[must_use]
    pub fn claim(&self, pod: &str) -> IPClaim {
        let name = self.name();
        let spec = IPClaimSpec {
            vrf: self.vrf.to_string(),
            owner: Some(self.owner.clone()),
            reclaim: (!self.reclaim).then_some(false),
            ..IPClaimSpec::default()
        };
        let mut claim = IPClaim::new(&name.name, spec);
        claim.metadata.namespace = Some(name.namespace);
        claim.metadata.annotations = Some([(MAKER.to_owned(), pod.to_owned())].into());
        claim
    }

    /// What the leases of its members say.
    #[must_use]
    pub fn reference(&self) -> ClaimRef {
        let name = self.name();
        ClaimRef {
            kind: ClaimKind::IPClaim,
            namespace: name.namespace,
            name: name.name,
            owner: Some(self.owner.object()),
            ..ClaimRef::default()
        }
    }
}

impl Claim {
    /// The call that makes the set or enlarges it. Before the first write of the status that is the
    /// one that created the claim, of which only the pod is known.
    #[must_use]
    pub fn maker(&self) -> Option<ClaimWriter> {
        let status = self.object.status.clone().unwrap_or_default();
        if status.writer.is_some() || !self.addresses.is_empty() {
            return status.maker;
        }
        let annotations = self.object.metadata.annotations.as_ref()?;
        Some(ClaimWriter {
            pod: annotations.get(MAKER)?.clone(),
            ..ClaimWriter::default()
        })
    }
}

impl SetOwner {
    /// The object that its pods go back to.
    #[must_use]
    pub fn object(&self) -> ClaimOwner {
        ClaimOwner {
            group: self.group.clone(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            ..ClaimOwner::default()
        }
    }
}

/// FNV-1a of 128 bits (draft-eastlake-fnv) over parts that each follow their length, so that
/// ("a", "bc") differs from ("ab", "c").
fn hash128(parts: [&String; 7]) -> u128 {
    parts
        .into_iter()
        .flat_map(|part| {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes();
            length.into_iter().chain(part.bytes())
        })
        .fold(
            0x6c62_272e_07bb_0142_62b8_2175_6295_c58d,
            |hash: u128, byte| {
                (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
            },
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, interface: &str, subnet: &str) -> DerivedSet {
        DerivedSet {
            namespace: "shop".to_owned(),
            owner: SetOwner {
                group: "apps".to_owned(),
                kind: "Deployment".to_owned(),
                name: name.to_owned(),
                interface: interface.to_owned(),
                network: "net".to_owned(),
                subnet: subnet.to_owned(),
            },
            vrf: Vrf::default(),
            size: SetSize::default(),
            reclaim: true,
        }
    }

    #[test]
    fn a_set_has_room_for_a_rollout_unless_its_size_is_given() {
        for (size, replicas, expected) in [
            (SetSize::Surge, 0, 1),
            (SetSize::Surge, 1, 2),
            (SetSize::Surge, 4, 5),
            (SetSize::Surge, 5, 7),
            (SetSize::Surge, 10, 13),
            (SetSize::Surge, 1000, 1024),
            (SetSize::Spare(0), 10, 10),
            (SetSize::Spare(0), 0, 1),
            (SetSize::Spare(2), 10, 12),
            (SetSize::Spare(u32::MAX), 10, 1024),
            (SetSize::Fixed(3), 10, 3),
        ] {
            assert_eq!(size.of(replicas), expected, "{size:?} of {replicas}");
        }
        assert_eq!(SetSize::Fixed(3).fixed(), Some(3));
        assert_eq!(SetSize::Spare(3).fixed(), None);
    }

    #[test]
    fn a_name_tells_the_application_and_is_its_own() {
        insta::assert_snapshot!(set("web", "eth0", "racks").name(), @"shop/web-racks-bee1a695af9f5c51570d496b66b28679");
        let long = set(&"a.".repeat(126), "eth0", &"b".repeat(253)).name().name;
        assert!(long.len() <= 253, "{long}");
        assert!(!long.contains(".-"), "{long}");
        let own = [
            ("web", "eth0", "racks"),
            ("web", "eth1", "racks"),
            ("webe", "th0", "racks"),
        ];
        let names: std::collections::BTreeSet<_> = own
            .map(|(name, interface, subnet)| set(name, interface, subnet).name())
            .into();
        assert_eq!(names.len(), 3);
    }

    #[test]
    fn its_claim_is_the_one_that_its_leases_name() {
        let set = set("web", "eth0", "racks");
        let claim = super::super::Claim::try_from(set.claim("web-0")).expect("a claim");
        assert_eq!(claim.name, set.name());
        assert_eq!(
            claim.maker().map(|maker| maker.pod),
            Some("web-0".to_owned())
        );
        assert_eq!(claim.reference(), set.reference());
    }
}
