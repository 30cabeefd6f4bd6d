//! Taking a member of a set.
//!
//! The claim says which addresses are in the set, and their leases which of them a pod has. A pod
//! takes a member that no pod has, the longest kept first. Which addresses become members is not
//! decided here.
//!
//! The first list comes from the watch cache, because the replace of a member finds out whether it
//! was right. That a pod has no member yet, or that none is left, is said only of a consistent one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::record::{Lease, StoredLease};
use super::super::store::{Commit, Freshness, LeaseFilter, Store};
use super::super::{Error, State};
use super::eligibility::{self, Cooling, Eligibility};
use super::hints::Hints;
use super::search::Search;
use super::{Allocation, Previous, Refusal, describe};
use crate::claim::{Claim, ClaimName, Unusable};
use crate::pool::Pool;
use crate::retry::{Clock, backoff};

/// What became of an attempt at a member.
#[expect(clippy::large_enum_variant, reason = "a process has one of them")]
enum Attempt {
    Taken(Allocation),
    /// Another pod was first.
    Lost,
    /// It is not available, and this is why.
    Unavailable(String),
}

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    /// Takes a member of the set as it was read, or as it is by now.
    pub(super) async fn join(&self, claim: &Claim) -> Result<Allocation, Error> {
        let leases = self.acquirer.leases;
        let mut claim = claim.clone();
        let mut pauses = backoff();
        if !claim.deleting && self.may_join_at_once(&claim) {
            let members = self.members(&claim, Freshness::Cached).await?;
            if let Some(allocation) = self.join_at_once(&claim, &members).await? {
                return Ok(allocation);
            }
        }
        loop {
            if claim.deleting {
                return Err(Refusal::Set(Unusable::Deleting(claim.name)).into());
            }
            let members = self.members(&claim, Freshness::Consistent).await?;
            if let Some(former) = self.former_of_our_name(&claim, &members) {
                self.wait_for(former).await?;
                claim = self.read_again(claim).await?;
                continue;
            }
            let mut unavailable = BTreeMap::new();
            let mut is_lost = false;
            for (address, pool) in self.in_order(&claim, &members, &mut unavailable) {
                let member = members.get(&address);
                match self.try_join(pool, address, &claim, member).await? {
                    Attempt::Taken(allocation) => return Ok(allocation),
                    Attempt::Lost => is_lost = true,
                    Attempt::Unavailable(why) => {
                        unavailable.insert(address, why);
                    }
                }
            }
            if !is_lost {
                let family = self.request.family;
                let held = members.iter().filter(|(address, stored)| {
                    stored.lease.state == State::Held && unavailable.contains_key(*address)
                });
                let full = Unusable::full(&claim, family, &unavailable, held.count());
                return Err(Refusal::Set(full).into());
            }
            leases.back_off(&mut pauses).await?;
            claim = self.read_again(claim).await?;
        }
    }

    /// Whether the pod need not look for a member of its own, or of its name, before it takes any.
    fn may_join_at_once(&self, claim: &Claim) -> bool {
        !self.requester().returning && claim.stateful_set().is_none()
    }

    /// Takes a member that this call has made.
    pub(super) async fn join_made(
        &self,
        claim: &Claim,
        made: Vec<StoredLease>,
    ) -> Result<Option<Allocation>, Error> {
        if !self.may_join_at_once(claim) {
            return Ok(None);
        }
        let made = made.into_iter();
        let members = made.map(|stored| (stored.lease.name.address, stored));
        self.join_at_once(claim, &members.collect()).await
    }

    /// Tries the best of these members, which may not be all, and may have changed.
    async fn join_at_once(
        &self,
        claim: &Claim,
        members: &BTreeMap<IpAddr, StoredLease>,
    ) -> Result<Option<Allocation>, Error> {
        let order = self.in_order(claim, members, &mut BTreeMap::new());
        let best = (order.first()).and_then(|(address, pool)| Some((pool, members.get(address)?)));
        let Some((pool, member)) = best.filter(|(_, member)| member.lease.state == State::Retained)
        else {
            return Ok(None);
        };
        let address = member.lease.name.address;
        match self.try_join(pool, address, claim, Some(member)).await? {
            Attempt::Taken(allocation) => Ok(Some(allocation)),
            Attempt::Lost | Attempt::Unavailable(_) => Ok(None),
        }
    }

    async fn read_again(&self, claim: Claim) -> Result<Claim, Error> {
        let read = self.acquirer.leases.read_claim(&claim.name).await?;
        Ok(read.ok_or(Refusal::Set(Unusable::Missing(claim.name)))?)
    }

    /// The member that an earlier pod of our name in a `StatefulSet` still has. No other is ours.
    fn former_of_our_name<'m>(
        &self,
        claim: &Claim,
        members: &'m BTreeMap<IpAddr, StoredLease>,
    ) -> Option<&'m StoredLease> {
        let us = &self.requester().holder;
        let mut of_our_name = members.values().filter(|stored| {
            let holder = stored.lease.holder.as_ref();
            stored.lease.state == State::Held && holder.is_some_and(|it| it.pod == us.pod)
        });
        let is_waiting = claim.stateful_set().is_some()
            && !(of_our_name.clone()).any(|stored| self.is_own_slot(stored));
        is_waiting.then(|| of_our_name.next())?
    }

    /// The leases of the set's members.
    pub(super) async fn members(
        &self,
        claim: &Claim,
        freshness: Freshness,
    ) -> Result<BTreeMap<IpAddr, StoredLease>, Error> {
        let of_claim = LeaseFilter::Claim(&claim.name.name);
        let found = self.acquirer.leases.find_at(of_claim, freshness);
        let found = found.await?.into_iter().filter(|stored| {
            claim.name.is_in(stored.lease.claim.as_ref()) && stored.lease.name.vrf == claim.vrf
        });
        Ok(found
            .map(|stored| (stored.lease.name.address, stored))
            .collect())
    }

    /// A create where there is no lease, else a replace of a member that no pod has, or of what
    /// cools.
    async fn try_join(
        &self,
        pool: &Arc<Pool>,
        address: IpAddr,
        claim: &Claim,
        member: Option<&StoredLease>,
    ) -> Result<Attempt, Error> {
        let us = &self.requester().holder;
        let lease = Lease {
            claim: Some(claim.reference()),
            ..self.requester().lease(pool, address)
        };
        let stored = match member {
            // The list was as good a read.
            Some(stored) => Some(stored.clone()),
            None => self.acquirer.leases.read(&lease.name).await?,
        };
        let (previous, written) = match stored {
            None => (Previous::Absent, self.acquirer.create(&lease).await?),
            Some(stored) => {
                let is_member = claim.name.is_in(stored.lease.claim.as_ref());
                let is_ending = stored.is_being_deleted();
                let is_kept = stored.lease.state == State::Retained && is_member && !is_ending;
                let judged = eligibility::judge(&stored, us, Cooling::Failed, self.now());
                let previous = match judged {
                    Eligibility::Taken | Eligibility::Avoided if !is_kept => {
                        let Lease { state, holder, .. } = &stored.lease;
                        let changed = is_member && *state == State::Held;
                        let of = stored.lease.claim.as_ref().and_then(ClaimName::of);
                        return Ok(match of {
                            _ if changed => Attempt::Lost,
                            Some(other) if !is_member => {
                                Attempt::Unavailable(format!("in IPClaim {other} already"))
                            }
                            _ => Attempt::Unavailable(describe(*state, holder.as_ref())),
                        });
                    }
                    Eligibility::Mine if is_member => {
                        return Ok(Attempt::Taken(Allocation {
                            stored,
                            pool: pool.clone(),
                            previous: Previous::Own,
                        }));
                    }
                    Eligibility::Mine | Eligibility::Earlier => Previous::Own,
                    // With us as its last holder: a node may release only what it holds, its holder
                    // unchanged.
                    Eligibility::Vacant | Eligibility::Taken | Eligibility::Avoided => {
                        Previous::Vacant(Box::new(Lease {
                            holder: Some(us.clone()),
                            ..stored.lease.clone()
                        }))
                    }
                };
                (previous, self.acquirer.replace(&stored, &lease).await?)
            }
        };
        Ok(match written {
            Commit::Won(stored) => Attempt::Taken(Allocation {
                stored,
                pool: pool.clone(),
                previous,
            }),
            Commit::Lost => Attempt::Lost,
        })
    }
}
