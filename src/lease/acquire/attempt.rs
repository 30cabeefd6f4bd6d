//! An attempt at one address: a create where no lease stands, a replace where one may be replaced.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::Error;
use super::super::record::{Lease, LeaseName, StoredLease};
use super::super::retrying::{Clock, backoff};
use super::super::store::{Commit, Store};
use super::eligibility::{self, Cooling, Eligibility};
use super::search::Search;
use super::{Allocation, Previous};
use crate::pool::Pool;

impl<S: Store, C: Clock> Search<'_, S, C> {
    /// A create of the lease; `None`: somebody else was first.
    pub(super) async fn create(
        &self,
        pool: &Arc<Pool>,
        address: IpAddr,
    ) -> Result<Option<Allocation>, Error> {
        self.desk.not_late()?;
        Ok(
            match self.desk.create(&self.who.lease(pool, address)).await? {
                Commit::Won(seen) => Some(Allocation {
                    seen,
                    pool: pool.clone(),
                    before: Previous::Absent,
                }),
                Commit::Lost => None,
            },
        )
    }

    /// A replace of the lease that stands there, where it is ours or vacant; `None`: it is not to be had.
    pub(super) async fn try_replace(
        &self,
        pool: &Arc<Pool>,
        address: IpAddr,
        cooling: Cooling,
    ) -> Result<Option<Allocation>, Error> {
        let mut pauses = backoff();
        loop {
            let Some(seen) = self.desk.read(&self.name(address)).await? else {
                return self.create(pool, address).await;
            };
            let before = match eligibility::judge(
                &seen.lease,
                &self.who.holder,
                cooling,
                self.desk.clock.now(),
            ) {
                Eligibility::Taken => return Ok(None),
                Eligibility::Mine => {
                    return Ok(Some(Allocation {
                        seen,
                        pool: pool.clone(),
                        before: Previous::Own,
                    }));
                }
                Eligibility::Earlier => Previous::Own,
                // With us as its last holder: a node may release only what it holds, its holder unchanged.
                Eligibility::Vacant => Previous::Vacant(Box::new(Lease {
                    holder: Some(self.who.holder.clone()),
                    ..seen.lease.clone()
                })),
            };
            self.desk.not_late()?;
            if let Commit::Won(seen) = self
                .desk
                .replace(&seen, &self.who.lease(pool, address))
                .await?
            {
                return Ok(Some(Allocation {
                    seen,
                    pool: pool.clone(),
                    before,
                }));
            }
            self.desk.step_back(&mut pauses).await?;
        }
    }

    pub(super) async fn try_replace_own(
        &self,
        pool: &Arc<Pool>,
        address: IpAddr,
    ) -> Result<Option<Allocation>, Error> {
        match self.desk.read(&self.name(address)).await? {
            Some(seen) if self.is_own_slot(&seen) => {
                self.try_replace(pool, address, Cooling::Cooled).await
            }
            _ => Ok(None),
        }
    }

    /// Whether this interface of this pod holds it, or held it last.
    pub(super) fn is_own_slot(&self, seen: &StoredLease) -> bool {
        seen.lease
            .holder
            .as_ref()
            .is_some_and(|holder| holder.is_same_slot(&self.who.holder))
    }

    pub(super) fn name(&self, address: IpAddr) -> LeaseName {
        LeaseName {
            vrf: self.who.vrf.clone(),
            address,
        }
    }
}
