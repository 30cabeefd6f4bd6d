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

use super::super::record::StoredLease;
use super::super::store::{Freshness, ListScope, Store};
use super::super::{Error, State};
use super::Allocation;
use super::hints::Hints;
use super::members::{Members, Proposal, is_fresh};
use super::office::Office;
use super::search::Search;
use crate::allocate::Listed;
use crate::claim::Claim;
use crate::pool::Pool;
use crate::retry::{Clock, Commit, backoff};

/// What became of a call's attempt to make a set or to enlarge it.
pub(super) enum Made {
    /// It has committed the list: the claim with that list, and the new members that this pod may
    /// take.
    Listed(Box<Claim>, Vec<StoredLease>),
    /// Another call has the office, or had it and committed.
    Lost,
    /// There are only so many addresses to be had.
    Short(usize),
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
        let mut members = Members::wanted(missing);
        let made = self.make_members(pool, &mut office, &mut members);
        match made.await {
            Ok(true) if members.missing() > 0 && !members.has_rival => {
                let count = members.count();
                self.acquirer.rollback(members.made).await;
                self.give_up_office(office, count).await
            }
            Ok(true) if members.missing() == 0 => self.commit(office, members).await,
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
        members: &mut Members,
    ) -> Result<bool, Error> {
        let found = self.members(&office.claim, Freshness::Consistent).await?;
        let unlisted = (found.into_values()).filter(|stored| {
            let address = stored.lease.name.address;
            pool.usable.contains(address) && !office.claim.lists(address)
        });
        let (held, fresh): (Vec<_>, Vec<_>) =
            unlisted.partition(|stored| stored.lease.state == State::Held);
        members.held = (held.iter())
            .map(|stored| stored.lease.name.address)
            .take(members.missing())
            .collect();
        let fresh = (fresh.into_iter()).filter(is_fresh).map(Box::new);
        let fresh = fresh.map(Proposal::Adopt);
        if !self.add(pool, office, members, fresh).await? {
            return Ok(false);
        }
        // Other pools' leases lie in this one's way seldom, and all of a vrf may be many.
        let mut scope = ListScope::Pool(&pool.name);
        let mut pauses = backoff();
        if !self.add_known(pool, office, members).await? {
            return Ok(false);
        }
        let mut was_short = false;
        while members.missing() > 0 {
            members.lost.clear();
            let at = self.now();
            let taken = self.acquirer.leases.taken(scope, Freshness::Consistent);
            let (taken, now) = (taken.await?, self.now());
            let free = Listed::free(&pool.usable, &taken, self.seed_of(pool, &office.claim));
            self.hint(pool, |hint| hint.listed_at(free, at, now));
            let known = self.known(pool, &office.claim, members.missing());
            let proposals = self.proposals(pool, &office.claim, &taken, known);
            if !self.add(pool, office, members, proposals).await? {
                return Ok(false);
            }
            if members.missing() == 0 {
                break;
            }
            if !members.lost.is_empty() {
                if let ListScope::Vrf(_) = scope {
                    self.acquirer.leases.back_off(&mut pauses).await?;
                }
                scope = ListScope::Vrf(&pool.vrf);
                continue;
            }
            members.has_rival |= self.has_rival(pool, office).await?;
            // What a rival has given back between the list and that look, another list shows.
            if members.has_rival || std::mem::replace(&mut was_short, true) {
                break;
            }
        }
        Ok(true)
    }

    /// Whether another call has made members of this set that no list names.
    async fn has_rival(&self, pool: &Pool, office: &Office) -> Result<bool, Error> {
        let us = Some(&self.requester().holder);
        let members = self.members(&office.claim, Freshness::Consistent).await?;
        Ok(members.values().any(|stored| {
            let address = stored.lease.name.address;
            is_fresh(stored)
                && pool.usable.contains(address)
                && !office.claim.lists(address)
                && stored.lease.holder.as_ref() != us
        }))
    }

    /// Writes the list, which makes the leases members.
    async fn commit(&self, mut office: Office, members: Members) -> Result<Made, Error> {
        let added = (members.made.iter()).map(|member| member.stored.lease.name.address);
        let added: BTreeSet<IpAddr> = added.chain(members.held.iter().copied()).collect();
        loop {
            let all: BTreeSet<IpAddr> = office.claim.addresses.union(&added).copied().collect();
            let written = self.write_status(&office.claim, |status| {
                status.size = i64::try_from(all.len()).unwrap_or(i64::MAX);
                status.addresses = all.iter().map(ToString::to_string).collect();
                status.maker = None;
            });
            match written.await {
                Ok(Commit::Won(claim)) => {
                    // Of those that pods have, one may be this pod's.
                    let is_new = members.held.is_empty();
                    let made = members.made.into_iter().filter(|_| is_new);
                    let made = made.map(|member| member.stored).collect();
                    return Ok(Made::Listed(Box::new(claim), made));
                }
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

    /// Gives back what the list does not name: it may be this call's own, whose reply was lost before
    /// the collector wrote the claim. Another call's list needs no such care, because what that
    /// adopts has another version. Where the list can't be read, all is kept.
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
