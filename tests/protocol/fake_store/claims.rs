//! Claims as the protocol sees them.

use std::cell::Ref;
use std::collections::BTreeMap;

use leasehold::api::{ClaimOwner, IPClaim, IPClaimStatus};
use leasehold::claim::{Claim, ClaimName, DerivedSet};
use leasehold::ip::Family;
use leasehold::lease::{Claims, Replicas};
use leasehold::retry::{ApiError, Commit};

use super::{FakeStore, Write, hash};

/// Sets are of one family here.
const FAMILY: Family = Family::V4;

impl Claims for FakeStore<'_> {
    async fn read_claim(&self, name: &ClaimName) -> Result<Option<Claim>, ApiError> {
        self.on_its_way_to_claim(Some(FAMILY), &name.name).await;
        let read = self.claim(name);
        self.learn(version(read.as_ref()), |_| {
            format!("read claim {name}: {}", describe(read.as_ref()))
        });
        Ok(read)
    }

    async fn create_claim(&self, claim: &IPClaim) -> Result<Commit<Claim>, ApiError> {
        let write = Write::CreateClaim(Box::new(claim.clone()));
        let is_done = self.send(write, FAMILY).await?;
        Ok(is_done.map_or(Commit::Lost, |done| Commit::Won(done.claim())))
    }

    async fn replace_claim_status(
        &self,
        before: &Claim,
        status: &IPClaimStatus,
    ) -> Result<Commit<Claim>, ApiError> {
        let write = Write::ClaimStatus(Box::new(before.clone()), Box::new(status.clone()));
        let is_done = self.send(write, FAMILY).await?;
        Ok(is_done.map_or(Commit::Lost, |done| Commit::Won(done.claim())))
    }

    async fn replicas(&self, _: &str, _: &ClaimOwner) -> Result<Replicas, ApiError> {
        Ok(Replicas::NotFound)
    }
}

impl FakeStore<'_> {
    pub fn claims(&self) -> Ref<'_, BTreeMap<ClaimName, Claim>> {
        self.claims.borrow()
    }

    /// A set as it was made before anything else happened.
    pub fn put_set(&self, set: &DerivedSet, addresses: &[&str]) {
        let created = self.try_create_claim(&set.claim("m0"));
        let status = IPClaimStatus {
            size: i64::try_from(addresses.len()).expect("a few"),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            ..IPClaimStatus::default()
        };
        self.try_replace_status(&created.expect("there was none"), &status);
    }

    fn claim(&self, name: &ClaimName) -> Option<Claim> {
        self.claims.borrow().get(name).cloned()
    }

    pub(super) fn try_create_claim(&self, claim: &IPClaim) -> Option<Claim> {
        let created = stored(claim, "");
        let mut claims = self.claims.borrow_mut();
        if claims.contains_key(&created.name) {
            return None;
        }
        claims.insert(created.name.clone(), created.clone());
        Some(created)
    }

    pub(super) fn try_replace_status(
        &self,
        before: &Claim,
        status: &IPClaimStatus,
    ) -> Option<Claim> {
        let now = self.claim(&before.name)?;
        if version(Some(&now)) != version(Some(before)) {
            return None;
        }
        let object = IPClaim {
            status: Some(status.clone()),
            ..(*before.object).clone()
        };
        let replaced = stored(&object, &version(Some(before)).unwrap_or_default());
        let mut claims = self.claims.borrow_mut();
        claims.insert(replaced.name.clone(), replaced.clone());
        Some(replaced)
    }
}

/// A version has the whole history of the claim.
fn stored(object: &IPClaim, before: &str) -> Claim {
    let mut object = object.clone();
    let history = hash((before, format!("{:?}", object.status)));
    object.metadata.resource_version = Some(history.to_string());
    object.metadata.uid = Some("uid".to_owned());
    Claim::try_from(object).expect("a claim")
}

pub(super) fn version(claim: Option<&Claim>) -> Option<String> {
    claim?.object.metadata.resource_version.clone()
}

pub(super) fn describe(claim: Option<&Claim>) -> String {
    let Some(claim) = claim else {
        return "absent".to_owned();
    };
    describe_status(claim.object.status.as_ref())
}

pub(super) fn describe_status(status: Option<&IPClaimStatus>) -> String {
    let maker = status.and_then(|status| status.maker.as_ref());
    let maker = maker.map_or("none", |maker| maker.container.as_str());
    let addresses = status.map(|status| status.addresses.join(" "));
    format!("[{}], made by {maker}", addresses.unwrap_or_default())
}
