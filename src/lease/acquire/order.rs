//! Which member of a set a pod takes before others, and which it may not have.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::State;
use super::super::record::StoredLease;
use super::super::store::Store;
use super::hints::Hints;
use super::search::Search;
use super::{Sets, describe};
use crate::allocate::{Seed, doublings};
use crate::claim::{Claim, ordinal};
use crate::pool::Pool;
use crate::retry::Clock;

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

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    /// The addresses of the set that may be taken, each with the pool that has it; of the others,
    /// why not.
    pub(super) fn in_order(
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
}
