//! Between a lease as it is written and as it is meant.

use std::time::Duration;

use super::record::{Claim, Holder, Lease, LeaseName, StoredLease};
use crate::api::{self, ClaimRef, IPLease, IPLeaseSpec, MicroTime};
use crate::ip::PoolName;

/// Why an object is not a lease that this version understands. Its address is taken all the same.
#[derive(Debug, thiserror::Error)]
#[error("the lease {name} says nothing that can be understood of {field}")]
pub struct InvalidLease {
    name: String,
    field: &'static str,
}

impl TryFrom<IPLease> for StoredLease {
    type Error = InvalidLease;

    fn try_from(written: IPLease) -> Result<Self, InvalidLease> {
        let called = written.metadata.name.clone().unwrap_or_default();
        let not_understood = |field| InvalidLease {
            name: called.clone(),
            field,
        };
        let name: LeaseName = called.parse().map_err(|_| not_understood("its address"))?;
        let IPLeaseSpec {
            // The schema holds name, address and vrf together.
            address: _,
            vrf: _,
            pool,
            state,
            holder,
            co_holder,
            claim,
            cooldown_seconds,
            termination_grace_period_seconds,
            held_since,
            released_at,
            quarantined_until,
            gone_since,
            foreign_mac,
            unknown: _,
        } = written.spec.clone();
        let lease = Lease {
            name,
            pool: PoolName::from(pool),
            state,
            holder: holder.map(Holder::from),
            co_holder: co_holder.map(Holder::from),
            claim: claim.map(Claim::from),
            cooldown: Duration::from_secs(cooldown_seconds.unsigned_abs()),
            termination: Duration::from_secs(termination_grace_period_seconds.unsigned_abs()),
            held_since: held_since.map(|MicroTime(at)| at),
            released_at: released_at.map(|MicroTime(at)| at),
            quarantined_until: quarantined_until.map(|MicroTime(at)| at),
            gone_since: gone_since.map(|MicroTime(at)| at),
            foreign_mac,
        };
        Ok(Self {
            uid: written
                .metadata
                .uid
                .clone()
                .ok_or_else(|| not_understood("its uid"))?,
            version: written
                .metadata
                .resource_version
                .clone()
                .ok_or_else(|| not_understood("its version"))?,
            lease,
            written: Box::new(written),
        })
    }
}

impl Lease {
    /// As an object of its own.
    #[must_use]
    pub fn to_object(&self) -> IPLease {
        IPLease::new(&self.name.to_string(), self.spec(&IPLeaseSpec::default()))
    }

    /// In the place of what was seen: its metadata stays, and whatever else this version does not know.
    #[must_use]
    pub fn to_object_over(&self, seen: &StoredLease) -> IPLease {
        IPLease {
            spec: self.spec(&seen.written.spec),
            ..(*seen.written).clone()
        }
    }

    fn spec(&self, before: &IPLeaseSpec) -> IPLeaseSpec {
        IPLeaseSpec {
            address: self.name.address.to_string(),
            vrf: self.name.vrf.to_string(),
            pool: self.pool.to_string(),
            state: self.state,
            holder: self
                .holder
                .as_ref()
                .map(|holder| holder.write(before.holder.as_ref())),
            co_holder: self
                .co_holder
                .as_ref()
                .map(|holder| holder.write(before.co_holder.as_ref())),
            claim: self
                .claim
                .as_ref()
                .map(|claim| claim.write(before.claim.as_ref())),
            cooldown_seconds: seconds(self.cooldown),
            termination_grace_period_seconds: seconds(self.termination),
            held_since: self.held_since.map(MicroTime),
            released_at: self.released_at.map(MicroTime),
            quarantined_until: self.quarantined_until.map(MicroTime),
            gone_since: self.gone_since.map(MicroTime),
            foreign_mac: self.foreign_mac.clone(),
            unknown: before.unknown.clone(),
        }
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

impl Holder {
    /// What a newer version knows of this holder stays with it, and goes when another takes its place.
    fn write(&self, before: Option<&api::Holder>) -> api::Holder {
        let Self {
            namespace,
            pod,
            uid,
            node,
            container,
            interface,
            network,
        } = self.clone();
        let known = api::Holder {
            namespace,
            pod,
            uid,
            node,
            container,
            interface,
            network,
            ..Default::default()
        };
        let same = before.filter(|before| Self::from((*before).clone()) == *self);
        api::Holder {
            unknown: same
                .map(|before| before.unknown.clone())
                .unwrap_or_default(),
            ..known
        }
    }
}

impl From<api::Holder> for Holder {
    fn from(written: api::Holder) -> Self {
        let api::Holder {
            namespace,
            pod,
            uid,
            node,
            container,
            interface,
            network,
            unknown: _,
        } = written;
        Self {
            namespace,
            pod,
            uid,
            node,
            container,
            interface,
            network,
        }
    }
}

impl Claim {
    fn write(&self, before: Option<&ClaimRef>) -> ClaimRef {
        let same = before.filter(|before| Self::from((*before).clone()) == *self);
        ClaimRef {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            owner_uid: self.owner_uid.clone(),
            unknown: same
                .map(|before| before.unknown.clone())
                .unwrap_or_default(),
        }
    }
}

impl From<ClaimRef> for Claim {
    fn from(
        ClaimRef {
            namespace,
            name,
            owner_uid,
            unknown: _,
        }: ClaimRef,
    ) -> Self {
        Self {
            namespace,
            name,
            owner_uid,
        }
    }
}
