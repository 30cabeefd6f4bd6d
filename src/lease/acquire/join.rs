//! Taking a member of a set.
//!
//! The claim says which addresses are in the set, and their leases which of them a pod has. A pod
//! takes a member that no pod has, the longest kept first. Which addresses become members is not
//! decided here.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::record::{Lease, StoredLease};
use super::super::store::{Commit, LeaseFilter, Store};
use super::super::{Error, State};
use super::eligibility::{self, Cooling, Eligibility};
use super::hints::Hints;
use super::search::Search;
use super::{Allocation, Previous, Refusal, Sets, describe};
use crate::allocate::{Seed, doublings};
use crate::claim::{Claim, Unusable, ordinal};
use crate::pool::Pool;
use crate::retry::{Clock, backoff};

/// How a member is preferred to others, the first difference deciding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Preference {
    /// This interface of this pod has it.
    Own,
    /// A pod of this name had it last.
    SameName,
    /// No pod has had it yet.
    Fresh,
    /// It was released so many doublings of a second ago: by time alone, all rivals would try the
    /// same.
    Released(Reverse<u32>),
    /// It has no lease, or one that cools.
    WithoutMember,
}

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
        loop {
            if claim.deleting {
                return Err(Refusal::Set(Unusable::Deleting(claim.name)).into());
            }
            let members = self.members(&claim).await?;
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
                return Err(Refusal::Set(Unusable::full(&claim, family, &unavailable)).into());
            }
            leases.back_off(&mut pauses).await?;
            claim = self.read_again(claim).await?;
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

    /// Whether a member of a `StatefulSet`'s set is kept for the pod that had it last.
    fn is_kept_for_another(&self, claim: &Claim, last: &str) -> bool {
        let Some(stateful_set) = claim.stateful_set() else {
            return false;
        };
        match (self.replicas.get(), ordinal(stateful_set, last)) {
            (Some(replicas), Some(ordinal)) => ordinal < u64::from(replicas),
            (None, _) | (_, None) => true,
        }
    }

    /// The leases of the set's members.
    pub(super) async fn members(
        &self,
        claim: &Claim,
    ) -> Result<BTreeMap<IpAddr, StoredLease>, Error> {
        let found = self
            .acquirer
            .leases
            .find(LeaseFilter::Claim(&claim.name.name));
        let found = found.await?.into_iter().filter(|stored| {
            claim.name.is_in(stored.lease.claim.as_ref()) && stored.lease.name.vrf == claim.vrf
        });
        Ok(found
            .map(|stored| (stored.lease.name.address, stored))
            .collect())
    }

    /// The addresses of the set that may be taken, each with the pool that has it; of the others,
    /// why not.
    fn in_order(
        &self,
        claim: &Claim,
        members: &BTreeMap<IpAddr, StoredLease>,
        unavailable: &mut BTreeMap<IpAddr, String>,
    ) -> Vec<(IpAddr, &Arc<Pool>)> {
        let us = &self.requester().holder;
        let seed = Seed::of(&us.uid, &us.interface, &us.network, &claim.name.name);
        let mut ordered = Vec::new();
        for address in claim.joinable(self.request.family) {
            if let Some((requested, _)) = &self.request.requested
                && *requested != address
            {
                continue;
            }
            let member = members.get(&address);
            let Some(pool) = self.pool_with(claim, address, member) else {
                unavailable.insert(address, "in no pool that may serve this pod".to_owned());
                continue;
            };
            match self.preference(claim, member) {
                Ok(preference) => ordered.push((preference, seed.rank(address), address, pool)),
                Err(why) => {
                    unavailable.insert(address, why);
                }
            }
        }
        ordered.sort_by_key(|(preference, rank, address, _)| (*preference, *rank, *address));
        let in_order = ordered.into_iter();
        in_order
            .map(|(_, _, address, pool)| (address, pool))
            .collect()
    }

    fn preference(
        &self,
        claim: &Claim,
        member: Option<&StoredLease>,
    ) -> Result<Preference, String> {
        let us = &self.requester().holder;
        let Some(stored) = member else {
            return Ok(Preference::WithoutMember);
        };
        let (lease, holder) = (&stored.lease, stored.lease.holder.as_ref());
        let is_of_this_name = holder.is_some_and(|holder| {
            holder.namespace == us.namespace
                && holder.pod == us.pod
                && holder.interface == us.interface
        });
        match lease.state {
            State::Held if self.is_own_slot(stored) => Ok(Preference::Own),
            State::Retained if lease.held_since.is_none() => Ok(Preference::Fresh),
            State::Retained if is_of_this_name => Ok(Preference::SameName),
            State::Retained
                if let Some(last) =
                    holder.filter(|it| self.is_kept_for_another(claim, &it.pod)) =>
            {
                Err(format!("kept for pod {}/{}", last.namespace, last.pod))
            }
            State::Retained => {
                let released = lease.released_at.unwrap_or(jiff::Timestamp::MIN);
                Ok(Preference::Released(Reverse(doublings(
                    released,
                    self.now(),
                ))))
            }
            State::Held | State::Cooling | State::Quarantined | State::Unknown => {
                Err(describe(lease.state, holder))
            }
        }
    }

    /// The pool that may give an address to this pod, the one that its lease names before others. A
    /// disabled one gives its sets what they have.
    fn pool_with(
        &self,
        claim: &Claim,
        address: IpAddr,
        member: Option<&StoredLease>,
    ) -> Option<&Arc<Pool>> {
        if let Sets::Derived(sets) = self.request.sets {
            let of_claim = sets.iter().find(|it| it.set.has(claim));
            return (of_claim.map(|it| &it.pool)).filter(|pool| pool.usable.contains(address));
        }
        let pools = || self.request.candidates.iter().chain(self.request.resumable);
        let gives = |pool: &&Arc<Pool>| pool.usable.contains(address);
        let named = member.map(|stored| &stored.lease.pool);
        pools()
            .filter(gives)
            .find(|pool| Some(&pool.name) == named)
            .or_else(|| pools().find(gives))
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
                let is_ending = stored.object.metadata.deletion_timestamp.is_some();
                let is_kept = stored.lease.state == State::Retained && is_member && !is_ending;
                let judged = eligibility::judge(&stored, us, Cooling::Failed, self.now());
                let previous = match judged {
                    Eligibility::Taken | Eligibility::Avoided if !is_kept => {
                        let Lease { state, holder, .. } = &stored.lease;
                        let changed = is_member && *state == State::Held;
                        return Ok(if changed {
                            Attempt::Lost
                        } else {
                            Attempt::Unavailable(describe(*state, holder.as_ref()))
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
