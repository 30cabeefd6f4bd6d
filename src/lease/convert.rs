//! Between a lease as it is stored and as it is meant.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::record::{Lease, LeaseName, StoredLease};
use crate::api::{IPLease, IPLeaseSpec, MicroTime};
use crate::ip::PoolName;

/// Why an object is not a lease that this version understands. Its address is taken all the same.
#[derive(Debug, thiserror::Error)]
#[error("lease {name} cannot be read: its {field} is missing or malformed")]
pub struct InvalidLease {
    name: String,
    field: &'static str,
}

impl TryFrom<IPLease> for StoredLease {
    type Error = InvalidLease;

    fn try_from(object: IPLease) -> Result<Self, InvalidLease> {
        let name_text = object.metadata.name.clone().unwrap_or_default();
        let unreadable = |field| InvalidLease {
            name: name_text.clone(),
            field,
        };
        let name: LeaseName = name_text.parse().map_err(|_| unreadable("address"))?;
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
            attachment_failed,
            quarantined_until,
            foreign_mac,
            unknown: _,
        } = object.spec.clone();
        let lease = Lease {
            name,
            pool: PoolName::from(pool),
            state,
            holder,
            co_holder,
            claim,
            cooldown: Duration::from_secs(cooldown_seconds.unsigned_abs()),
            termination: Duration::from_secs(termination_grace_period_seconds.unsigned_abs()),
            held_since: held_since.map(|MicroTime(at)| at),
            released_at: released_at.map(|MicroTime(at)| at),
            attachment_failed,
            quarantined_until: quarantined_until.map(|MicroTime(at)| at),
            foreign_mac,
        };
        Ok(Self {
            uid: object
                .metadata
                .uid
                .clone()
                .ok_or_else(|| unreadable("uid"))?,
            version: object
                .metadata
                .resource_version
                .clone()
                .ok_or_else(|| unreadable("resourceVersion"))?,
            lease,
            object: Box::new(object),
            not_stored: None,
        })
    }
}

impl Lease {
    /// As an object of its own.
    #[must_use]
    pub fn to_object(&self) -> IPLease {
        IPLease::new(&self.name.to_string(), self.spec(BTreeMap::new()))
    }

    /// In the place of `before`. While the holder is the same, the metadata stays, and so does what
    /// this version does not know of; when it changes, everything of the former one goes: an
    /// annotation that allows a release, an owner whose end would delete the lease, a finalizer, a
    /// label.
    #[must_use]
    pub fn to_object_over(&self, before: &StoredLease) -> IPLease {
        let IPLease { metadata, spec } = (*before.object).clone();
        if self.has_holder_of(&before.lease) {
            return IPLease {
                metadata,
                spec: self.spec(spec.unknown),
            };
        }
        let mut object = self.to_object();
        object.metadata.uid = metadata.uid;
        object.metadata.resource_version = metadata.resource_version;
        object
    }

    fn has_holder_of(&self, before: &Self) -> bool {
        match (&self.holder, &before.holder) {
            (Some(holder), Some(before)) => holder.is_same_slot(before),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    fn spec(&self, unknown: BTreeMap<String, Value>) -> IPLeaseSpec {
        IPLeaseSpec {
            address: self.name.address.to_string(),
            vrf: self.name.vrf.to_string(),
            pool: self.pool.to_string(),
            state: self.state,
            holder: self.holder.clone(),
            co_holder: self.co_holder.clone(),
            claim: self.claim.clone(),
            cooldown_seconds: seconds(self.cooldown),
            termination_grace_period_seconds: seconds(self.termination),
            held_since: self.held_since.map(MicroTime),
            released_at: self.released_at.map(MicroTime),
            attachment_failed: self.attachment_failed,
            quarantined_until: self.quarantined_until.map(MicroTime),
            foreign_mac: self.foreign_mac.clone(),
            unknown,
        }
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
