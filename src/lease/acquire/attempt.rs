//! An attempt at one address: a create where no lease is stored, a replace where one may be
//! replaced.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::record::{Lease, LeaseName, StoredLease};
use super::super::store::{Commit, Store};
use super::super::{ClaimRef, Error, State};
use super::eligibility::{self, Cooling, Eligibility};
use super::hints::Hints;
use super::search::Search;
use super::{Allocation, Previous, Requester};
use crate::pool::Pool;
use crate::retry::{Clock, backoff};

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    /// A create of the lease; `None`: another pod was first.
    pub(super) async fn create(
        &self,
        pool: &Arc<Pool>,
        address: IpAddr,
    ) -> Result<Option<Allocation>, Error> {
        if let Some(allocation) = self.return_before_next_try().await? {
            return Ok(Some(allocation));
        }
        let lease = self.requester().lease(pool, address);
        Ok(match self.acquirer.create(&lease).await? {
            Commit::Won(stored) => Some(Allocation {
                stored,
                pool: pool.clone(),
                previous: Previous::Absent,
            }),
            Commit::Lost => None,
        })
    }

    /// A replace of the lease that is stored, where it is ours or vacant; `None`: it is not
    /// available.
    pub(super) async fn try_replace(
        &self,
        pool: &Arc<Pool>,
        address: IpAddr,
        cooling: Cooling,
    ) -> Result<Option<Allocation>, Error> {
        let leases = self.acquirer.leases;
        let us = &self.requester().holder;
        let mut pauses = backoff();
        loop {
            let Some(stored) = leases.read(&self.name(address)).await? else {
                return self.create(pool, address).await;
            };
            let previous = match eligibility::judge(&stored, us, cooling, leases.clock.now()) {
                Eligibility::Taken if self.is_kept_for_us(&stored) => self.vacant(&stored),
                Eligibility::Taken => {
                    if stored.is_being_deleted() {
                        self.ending.borrow_mut().insert(address);
                    }
                    return Ok(None);
                }
                Eligibility::Avoided => {
                    self.avoid(&stored, pool);
                    return Ok(None);
                }
                Eligibility::Mine => {
                    return Ok(Some(Allocation {
                        stored,
                        pool: pool.clone(),
                        previous: Previous::Own,
                    }));
                }
                Eligibility::Earlier => Previous::Own,
                Eligibility::Vacant => self.vacant(&stored),
            };
            if let Some(allocation) = self.return_before_next_try().await? {
                return Ok(Some(allocation));
            }
            let lease = self.lease_over(&stored, pool);
            if let Commit::Won(stored) = self.acquirer.replace(&stored, &lease).await? {
                return Ok(Some(Allocation {
                    stored,
                    pool: pool.clone(),
                    previous,
                }));
            }
            leases.back_off(&mut pauses).await?;
        }
    }

    /// What it is returned to, with us as its last holder and our claim: a node may release only
    /// what it holds, and changes neither when it does.
    pub(super) fn vacant(&self, stored: &StoredLease) -> Previous {
        let is_kept = stored.lease.state == State::Retained;
        Previous::Vacant(Box::new(Lease {
            holder: Some(self.requester().holder.clone()),
            claim: self.claim_over(stored).filter(|_| is_kept),
            ..stored.lease.clone()
        }))
    }

    /// Our lease in the place of one that is ours, kept for us, or held by no pod.
    pub(super) fn lease_over(&self, stored: &StoredLease, pool: &Pool) -> Lease {
        Lease {
            claim: self.claim_over(stored),
            ..self.requester().lease(pool, stored.lease.name.address)
        }
    }

    /// A pod keeps the claim that its lease has; of a slot's, the owner is written anew.
    fn claim_over(&self, stored: &StoredLease) -> Option<ClaimRef> {
        let Requester { slot, holder, .. } = self.requester();
        match &stored.lease.claim {
            Some(kept) if slot.is_none() || !kept.is_slot_of(holder) => Some(kept.clone()),
            Some(_) | None => slot.clone(),
        }
    }

    pub(super) async fn try_replace_own(
        &self,
        pool: &Arc<Pool>,
        address: IpAddr,
    ) -> Result<Option<Allocation>, Error> {
        match self.acquirer.leases.read(&self.name(address)).await? {
            Some(stored) if self.is_own_slot(&stored) => {
                self.try_replace(pool, address, Cooling::Cooled).await
            }
            _ => Ok(None),
        }
    }

    /// Whether this interface of this pod holds it, or held it last.
    pub(super) fn is_own_slot(&self, stored: &StoredLease) -> bool {
        (stored.lease.holder.as_ref())
            .is_some_and(|holder| holder.is_same_slot(&self.requester().holder))
    }

    pub(super) fn name(&self, address: IpAddr) -> LeaseName {
        LeaseName {
            vrf: self.requester().vrf.clone(),
            address,
        }
    }
}
