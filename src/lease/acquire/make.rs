//! Making a set, and enlarging it: the leases first, then the list.
//!
//! The maker takes its office, makes the leases of the new members, and commits the list that names
//! them. All or nothing: where it gets fewer addresses than it needs, it gives them back.
//!
//! # Invariants
//!
//! - An address is listed once its lease is a member's, and was written by the call that lists it or
//!   is held by a pod of the set.
//! - A call gives back only leases that it made itself and no list names, each at the version that
//!   it wrote: what another call has adopted since is that one's. What it has adopted itself it
//!   leaves: a call that has the office by now may have written it before, and list it yet.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;

use super::super::record::{Lease, StoredLease};
use super::super::store::{Freshness, ListScope, Store};
use super::super::{Error, State};
use super::eligibility::{self, Cooling, Eligibility};
use super::hints::Hints;
use super::office::Office;
use super::search::Search;
use super::{Allocation, Previous};
use crate::allocate::{self, Seed, Taken};
use crate::claim::Claim;
use crate::pool::Pool;
use crate::retry::{Clock, Commit, backoff};

/// How many leases a maker writes at once: enough to hide their latency, few beside what other
/// calls write.
const AT_ONCE: usize = 8;

/// What became of a call's attempt to make a set or to enlarge it.
pub(super) enum Made {
    /// It has committed the list.
    Listed,
    /// Another call has the office, or had it and committed.
    Lost,
    /// There are only so many addresses to be had.
    Short(usize),
}

/// An address that may become a member.
enum Proposal {
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
#[derive(Default)]
struct Members {
    /// Those whose leases this call has written.
    made: Vec<Allocation>,
    /// Those that pods of the set hold, although no list names them: its claim was deleted.
    held: Vec<IpAddr>,
    /// Addresses that others were faster to take.
    lost: BTreeSet<IpAddr>,
    /// Whether another call makes members of this set too.
    has_rival: bool,
}

impl Members {
    fn count(&self) -> usize {
        self.made.len() + self.held.len()
    }
}

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    /// Adds so many addresses of `pool` to the set.
    pub(super) async fn make(
        &self,
        pool: &Arc<Pool>,
        claim: &Claim,
        missing: usize,
    ) -> Result<Made, Error> {
        let Some(mut office) = self.take_office(claim).await? else {
            return Ok(Made::Lost);
        };
        let mut members = Members::default();
        let made = self.make_members(pool, &mut office, missing, &mut members);
        match made.await {
            Ok(true) if members.count() < missing && !members.has_rival => {
                let count = members.count();
                self.acquirer.rollback(members.made).await;
                self.give_up_office(office, count).await
            }
            Ok(true) if members.count() == missing => self.commit(office, members).await,
            Ok(_) => self.give_back_unlisted(office, members.made).await,
            Err(error) => {
                self.acquirer.rollback(members.made).await;
                Err(error)
            }
        }
    }

    /// Makes members until there are enough, or no more addresses. `false`: the office is lost.
    async fn make_members(
        &self,
        pool: &Arc<Pool>,
        office: &mut Office,
        missing: usize,
        members: &mut Members,
    ) -> Result<bool, Error> {
        let found = self.members(&office.claim).await?;
        let unlisted = (found.into_values()).filter(|stored| {
            let address = stored.lease.name.address;
            pool.usable.contains(address) && !office.claim.lists(address)
        });
        let (held, fresh): (Vec<_>, Vec<_>) =
            unlisted.partition(|stored| stored.lease.state == State::Held);
        members.held = (held.iter())
            .map(|stored| stored.lease.name.address)
            .take(missing)
            .collect();
        let fresh = (fresh.into_iter()).filter(is_fresh).map(Box::new);
        let fresh = fresh.map(Proposal::Adopt);
        if !self.add(pool, office, missing, members, fresh).await? {
            return Ok(false);
        }
        // Other pools' leases lie in this one's way seldom, and all of a vrf may be many.
        let mut scope = ListScope::Pool(&pool.name);
        let mut pauses = backoff();
        while members.count() < missing {
            let taken = self.acquirer.leases.taken(scope, Freshness::Consistent);
            let proposals = self.proposals(pool, &office.claim, &taken.await?);
            let lost_before = members.lost.len();
            if !self.add(pool, office, missing, members, proposals).await? {
                return Ok(false);
            }
            if members.lost.len() == lost_before {
                break;
            }
            if let ListScope::Vrf(_) = scope {
                self.acquirer.leases.back_off(&mut pauses).await?;
            }
            scope = ListScope::Vrf(&pool.vrf);
        }
        if members.count() < missing {
            let us = Some(&self.requester().holder);
            let now = self.members(&office.claim).await?;
            members.has_rival |= (now.values()).any(|stored| {
                let address = stored.lease.name.address;
                is_fresh(stored)
                    && pool.usable.contains(address)
                    && !office.claim.lists(address)
                    && stored.lease.holder.as_ref() != us
            });
        }
        Ok(true)
    }

    /// The addresses that a list shows to be free, then the released ones, the longest released
    /// first.
    fn proposals<'p>(
        &self,
        pool: &'p Pool,
        claim: &Claim,
        taken: &[Taken],
    ) -> impl Iterator<Item = Proposal> + use<'p, S, C, H> {
        let us = &self.requester().holder;
        let name = claim.name.to_string();
        let seed = Seed::of(&name, &us.interface, &us.network, pool.name.as_str());
        let usable = &pool.usable;
        let cooled = allocate::cooled(usable, taken, self.now(), seed);
        let cooling = allocate::cooling(usable, taken).map(|(_, address)| address);
        let listed = claim.addresses.clone();
        let released = cooled.chain(cooling).map(Proposal::Released);
        (allocate::free(usable, taken, seed).map(Proposal::Free))
            .chain(released)
            .filter(move |proposal| !listed.contains(&proposal.address()))
    }

    /// Makes members of what is proposed until there are enough, some at a time.
    async fn add(
        &self,
        pool: &Arc<Pool>,
        office: &mut Office,
        missing: usize,
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
                .take((missing - members.count()).min(AT_ONCE))
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
                    _ => return Ok(None),
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

    /// Writes the list, which makes the leases members.
    async fn commit(&self, mut office: Office, members: Members) -> Result<Made, Error> {
        let added = (members.made.iter()).map(|member| member.stored.lease.name.address);
        let added: BTreeSet<IpAddr> = added.chain(members.held).collect();
        loop {
            let all: BTreeSet<IpAddr> = office.claim.addresses.union(&added).copied().collect();
            let written = self.write_status(&office.claim, |status| {
                status.size = i64::try_from(all.len()).unwrap_or(i64::MAX);
                status.addresses = all.iter().map(ToString::to_string).collect();
                status.maker = None;
            });
            match written.await {
                Ok(Commit::Won(_)) => return Ok(Made::Listed),
                Ok(Commit::Lost) if self.read_office(&mut office).await? => {}
                Ok(Commit::Lost) => return self.give_back_unlisted(office, members.made).await,
                Err(Error::Late) => {
                    self.acquirer.rollback(members.made).await;
                    return Err(Error::Late);
                }
                // The list may have been written, or will be: its leases are the collector's.
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives up the office, in which so few addresses were found: else others would wait for this
    /// call in vain. Where it was lost before, another call may have found more.
    async fn give_up_office(&self, mut office: Office, found: usize) -> Result<Made, Error> {
        loop {
            let given_up = self.write_status(&office.claim, |status| status.maker = None);
            match given_up.await? {
                Commit::Won(_) => return Ok(Made::Short(found)),
                Commit::Lost if self.read_office(&mut office).await? => {}
                Commit::Lost => return Ok(Made::Lost),
            }
        }
    }

    /// Gives back what the list does not name. Where that can't be read, it is kept.
    async fn give_back_unlisted(
        &self,
        office: Office,
        made: Vec<Allocation>,
    ) -> Result<Made, Error> {
        let now = self.acquirer.leases.read_claim(&office.claim.name).await?;
        let is_listed = |address| now.as_ref().is_some_and(|claim| claim.lists(address));
        let unlisted = (made.into_iter()).filter(|it| !is_listed(it.stored.lease.name.address));
        self.acquirer.rollback(unlisted.collect()).await;
        Ok(Made::Lost)
    }
}

/// Whether it was made and no pod has had it.
fn is_fresh(stored: &StoredLease) -> bool {
    stored.lease.state == State::Retained
        && stored.lease.held_since.is_none()
        && stored.object.metadata.deletion_timestamp.is_none()
}
