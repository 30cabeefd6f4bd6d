//! Making members of a set out of addresses that are free, some at a time.
//!
//! What is free is proposed: by what this node knows, then by a list. The write of a member's lease
//! decides. Whether the new members are listed is not decided here.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;

use super::super::record::{Lease, StoredLease};
use super::super::store::Store;
use super::super::{Error, State};
use super::eligibility::{self, Cooling, Eligibility};
use super::hints::Hints;
use super::office::Office;
use super::search::Search;
use super::{Allocation, Previous};
use crate::allocate::{self, Seed, Taken};
use crate::claim::Claim;
use crate::pool::Pool;
use crate::retry::{Clock, Commit};

/// How many leases a maker writes at once: those of most sets, few beside what other calls write.
const AT_ONCE: usize = 16;

/// An address that may become a member.
pub(super) enum Proposal {
    /// A member of this set already, which no list names.
    Adopt(Box<StoredLease>),
    /// Without a lease, as of a list.
    Free(IpAddr),
    /// Released.
    Released(IpAddr),
}

impl Proposal {
    fn address(&self) -> IpAddr {
        match self {
            Self::Adopt(stored) => stored.lease.name.address,
            Self::Free(address) | Self::Released(address) => *address,
        }
    }
}

/// New members, as far as they are made.
pub(super) struct Members {
    /// How many there are to be.
    wanted: usize,
    /// Those whose leases this call has written.
    pub made: Vec<Allocation>,
    /// Those that pods of the set hold, although no list names them: its claim was deleted.
    pub held: Vec<IpAddr>,
    /// Addresses that others were faster to take since the last list: they may give them back.
    pub lost: BTreeSet<IpAddr>,
    /// Whether another call makes members of this set too.
    pub has_rival: bool,
}

impl Members {
    /// So many are to be made.
    pub fn wanted(wanted: usize) -> Self {
        Self {
            wanted,
            made: Vec::new(),
            held: Vec::new(),
            lost: BTreeSet::new(),
            has_rival: false,
        }
    }

    pub fn count(&self) -> usize {
        self.made.len() + self.held.len()
    }

    pub fn missing(&self) -> usize {
        self.wanted - self.count()
    }
}

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    /// Makes members of what this node knows to be free, as long as that is right.
    pub(super) async fn add_known(
        &self,
        pool: &Arc<Pool>,
        office: &mut Office,
        members: &mut Members,
    ) -> Result<bool, Error> {
        members.lost.clear();
        while members.missing() > 0 && members.lost.is_empty() {
            let count = members.missing().min(AT_ONCE);
            let known = self.known(pool, &office.claim, count);
            if known.is_empty() {
                break;
            }
            let known = known.into_iter().map(Proposal::Free);
            if !self.add(pool, office, members, known).await? {
                return Ok(false);
            }
        }
        // They may have been released since: a list says so.
        members.lost.clear();
        Ok(true)
    }

    /// Up to `count` addresses that this node knows to be free, none of which another call of it
    /// will try.
    pub(super) fn known(&self, pool: &Pool, claim: &Claim, count: usize) -> Vec<IpAddr> {
        let (seed, now) = (self.seed_of(pool, claim), self.now());
        let mut known = self.hint(pool, |hint| hint.take_open(&pool.usable, seed, now, count));
        known.retain(|address| !claim.lists(*address));
        known
    }

    pub(super) fn seed_of(&self, pool: &Pool, claim: &Claim) -> Seed {
        let us = &self.requester().holder;
        let name = claim.name.to_string();
        Seed::of(&name, &us.interface, &us.network, pool.name.as_str())
    }

    /// The known addresses, then those that a list shows to be free, then the released ones, the
    /// longest released first.
    pub(super) fn proposals<'p>(
        &self,
        pool: &'p Pool,
        claim: &Claim,
        taken: &[Taken],
        known: Vec<IpAddr>,
    ) -> impl Iterator<Item = Proposal> + use<'p, S, C, H> {
        let seed = self.seed_of(pool, claim);
        let usable = &pool.usable;
        let cooled = allocate::cooled(usable, taken, self.now(), seed);
        let cooling = allocate::cooling(usable, taken).map(|(_, address)| address);
        let released = cooled.chain(cooling).map(Proposal::Released);
        let mut excluded: BTreeSet<IpAddr> = known.iter().copied().collect();
        excluded.extend(&claim.addresses);
        excluded.extend(&*self.ending.borrow());
        excluded.extend(self.avoided.borrow().keys());
        let known = known.into_iter().map(Proposal::Free);
        let others = (allocate::free(usable, taken, seed).map(Proposal::Free)).chain(released);
        known.chain(others.filter(move |proposal| !excluded.contains(&proposal.address())))
    }

    /// Makes members of what is proposed until there are enough, some at a time.
    pub(super) async fn add(
        &self,
        pool: &Arc<Pool>,
        office: &mut Office,
        members: &mut Members,
        proposals: impl Iterator<Item = Proposal>,
    ) -> Result<bool, Error> {
        let mut proposals = proposals;
        loop {
            let tried: BTreeSet<IpAddr> = (members.made.iter())
                .map(|member| member.stored.lease.name.address)
                .chain(members.held.iter().copied())
                .chain(members.lost.iter().copied())
                .collect();
            let next: Vec<Proposal> = (proposals.by_ref())
                .filter(|proposal| !tried.contains(&proposal.address()))
                .take(members.missing().min(AT_ONCE))
                .collect();
            if next.is_empty() {
                return Ok(true);
            }
            if !self.renew(office).await? {
                return Ok(false);
            }
            let claim = &office.claim;
            let writes = (next.iter()).map(async |proposal| {
                let made = self.make_member(pool, claim, proposal).await;
                (proposal, made)
            });
            // All end: what is written must be known, to be given back.
            let mut outcome = Ok(());
            for (proposal, made) in join_all(writes).await {
                match made {
                    Ok(Some(member)) => {
                        let whole = member.stored.check_whole().map_err(Error::from);
                        outcome = outcome.and(whole);
                        members.made.push(member);
                    }
                    Ok(None) => {
                        members.lost.insert(proposal.address());
                        members.has_rival |= matches!(proposal, Proposal::Adopt(_));
                    }
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
            outcome?;
        }
    }

    /// A create, or a replace of what no pod has; `None`: another call was first.
    async fn make_member(
        &self,
        pool: &Arc<Pool>,
        claim: &Claim,
        proposal: &Proposal,
    ) -> Result<Option<Allocation>, Error> {
        let us = &self.requester().holder;
        let name = self.name(proposal.address());
        let lease = Lease {
            holder: Some(us.clone()),
            ..Lease::of_a_member(name.clone(), pool, claim.reference())
        };
        let stored = match proposal {
            Proposal::Adopt(stored) => Some((**stored).clone()),
            Proposal::Free(_) => None,
            Proposal::Released(_) => self.acquirer.leases.read(&name).await?,
        };
        let (previous, written) = match stored {
            None => (Previous::Absent, self.acquirer.create(&lease).await?),
            Some(stored) => {
                let judged = eligibility::judge(&stored, us, Cooling::Any, self.now());
                let previous = match (proposal, judged) {
                    // Another call made it, and may list it yet: it is never given back.
                    (Proposal::Adopt(_), _) => Previous::Own,
                    (_, Eligibility::Vacant) => Previous::Vacant(Box::new(Lease {
                        holder: Some(us.clone()),
                        ..stored.lease.clone()
                    })),
                    (_, Eligibility::Avoided) => {
                        self.avoid(&stored, pool);
                        return Ok(None);
                    }
                    _ => {
                        if stored.is_being_deleted() {
                            self.ending.borrow_mut().insert(name.address);
                        }
                        return Ok(None);
                    }
                };
                (previous, self.acquirer.replace(&stored, &lease).await?)
            }
        };
        Ok(match written {
            Commit::Won(stored) => Some(Allocation {
                stored,
                pool: pool.clone(),
                previous,
            }),
            Commit::Lost => None,
        })
    }
}

/// Whether it was made and no pod has had it.
pub(super) fn is_fresh(stored: &StoredLease) -> bool {
    stored.lease.state == State::Retained
        && stored.lease.held_since.is_none()
        && !stored.is_being_deleted()
}
