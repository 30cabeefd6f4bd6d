//! The sets of a pod's application, in order of preference.
//!
//! A pod joins the first set that has a member for it. Where a set is missing, or all its members
//! are taken and it is smaller than this pod wants it, the pod's call makes it or enlarges it, or
//! waits for the call that does.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::Error;
use super::super::store::{Replicas, Store};
use super::hints::Hints;
use super::make::Made;
use super::office::Watch;
use super::search::Search;
use super::{Allocation, Refusal, SetRequest};
use crate::claim::{Claim, DerivedSet, OWNER_GONE, UNUSED, Unusable};
use crate::retry::{self, Clock, Commit, backoff};

/// How many of the shortest pauses a call leaves out that waits for a maker: that one writes a
/// dozen objects. And those that waited with it join one after the other.
const SHORT: usize = 3;

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    /// Takes a member of the first of these sets that has one, or can be given one.
    pub(super) async fn join_derived(&self, sets: &[SetRequest]) -> Result<Allocation, Error> {
        let mut refused = Vec::new();
        for request in sets {
            match self.join_or_make(request).await {
                Err(Error::Refused(Refusal::Set(unusable))) => refused.push(unusable),
                outcome => return outcome,
            }
        }
        Err(Refusal::Set(Unusable::of_each(refused)).into())
    }

    async fn join_or_make(&self, request: &SetRequest) -> Result<Allocation, Error> {
        let SetRequest { set, pool } = request;
        let mut watch = Watch::default();
        let mut pauses = backoff().skip(SHORT);
        let mut waiting_since = None;
        let mut tried: Option<BTreeSet<IpAddr>> = None;
        let mut refusal = None;
        let mut wanted = None;
        loop {
            let claim = self.claim_of(set).await?;
            if tried.as_ref() != Some(&claim.addresses) && !claim.addresses.is_empty() {
                match self.join(&claim).await {
                    Err(Error::Refused(Refusal::Set(full))) if full.is_for_want_of_members() => {
                        refusal = Some(full);
                    }
                    // The collector has taken it away: it is made again.
                    Err(Error::Refused(Refusal::Set(
                        Unusable::Missing(_) | Unusable::Deleting(_),
                    ))) => {
                        self.acquirer.leases.back_off(&mut pauses).await?;
                        continue;
                    }
                    outcome => return outcome,
                }
                tried = Some(claim.addresses.clone());
            }
            let (maker, now) = (claim.maker(), self.elapsed());
            let is_free = watch.is_free(maker.clone(), &self.writer(), now);
            let rival = maker.filter(|_| !is_free);
            waiting_since = rival.as_ref().map(|_| waiting_since.unwrap_or(now));
            // Why a call that waits gets nothing.
            let in_vain = |error: retry::Error| -> Error {
                match (rival, waiting_since) {
                    (Some(rival), Some(since)) => Refusal::Set(Unusable::Making {
                        claim: Box::new(claim.name.clone()),
                        pod: rival.pod.into(),
                        node: rival.node.into(),
                        seconds: self.elapsed().saturating_sub(since).as_secs(),
                    })
                    .into(),
                    _ => Error::from(error),
                }
            };
            if claim.addresses.is_empty() && !is_free {
                let pause = self.acquirer.leases.back_off(&mut pauses).await;
                pause.map_err(in_vain)?;
                continue;
            }
            let size = match wanted {
                Some(size) => size,
                None => *wanted.insert(self.wanted(set).await?),
            };
            let joinable = claim.joinable(self.request.family).into_iter();
            let given = joinable.filter(|address| pool.usable.contains(*address));
            let missing = size.saturating_sub(given.count());
            if missing == 0 {
                let full = || Unusable::full(&claim, self.request.family, &[].into(), 0);
                let full = refusal.unwrap_or_else(full).of_size(set.size);
                let full = self.with_terminating(set, full).await;
                return self.join_at_last(set, &claim, full).await;
            }
            if is_free {
                match self.make(pool, &claim, missing).await? {
                    Made::Listed(claim, made) => match self.join_made(&claim, made).await? {
                        Some(allocation) => return Ok(allocation),
                        None => continue,
                    },
                    Made::Lost => {}
                    Made::Short(found) => {
                        let no_room = Unusable::NoRoom {
                            claim: Box::new(claim.name.clone()),
                            subnet: set.owner.subnet.clone().into(),
                            missing: u32::try_from(missing).unwrap_or(u32::MAX),
                            free: u32::try_from(found).unwrap_or(u32::MAX),
                        };
                        return self.join_at_last(set, &claim, no_room).await;
                    }
                }
            }
            let pause = self.acquirer.leases.back_off(&mut pauses).await;
            pause.map_err(in_vain)?;
        }
    }

    /// The claim of a set, made where there is none, and kept from being deleted.
    async fn claim_of(&self, set: &DerivedSet) -> Result<Claim, Error> {
        let name = set.name();
        let mut pauses = backoff();
        loop {
            let claim = match self.acquirer.leases.read_claim(&name).await? {
                Some(claim) => claim,
                None => match self.create_claim(set).await? {
                    Commit::Won(claim) => {
                        *self.created.borrow_mut() = Some(claim.clone());
                        claim
                    }
                    Commit::Lost => continue,
                },
            };
            if !set.has(&claim) {
                return Err(Refusal::Set(Unusable::OfAnother(name)).into());
            }
            // The plugin gives it no finalizer, so it will be gone in a moment.
            if claim.deleting {
                let pause = self.acquirer.leases.back_off(&mut pauses).await;
                pause.map_err(|_| Refusal::Set(Unusable::NotGone(name.clone())))?;
                continue;
            }
            // By these the collector deletes a set: this pod asks for it.
            let ending = [OWNER_GONE, UNUSED];
            if !ending.iter().any(|it| claim.since(it).is_some()) {
                return Ok(claim);
            }
            let cleared = self.write_status(&claim, |status| {
                (status.conditions).retain(|it| !ending.contains(&&*it.type_));
            });
            if let Commit::Won(claim) = cleared.await? {
                return Ok(claim);
            }
            self.acquirer.leases.back_off(&mut pauses).await?;
        }
    }

    async fn create_claim(&self, set: &DerivedSet) -> Result<Commit<Claim>, Error> {
        let claim = set.claim(&self.requester().holder.pod);
        let name = set.name();
        let leases = self.acquirer.leases;
        let write = async || leases.create_claim(&name, &claim).await;
        self.acquirer.write(None, write).await
    }

    /// How many addresses the set should have, as far as this pod knows.
    async fn wanted(&self, set: &DerivedSet) -> Result<usize, Error> {
        let size = match set.size.fixed() {
            Some(size) => size,
            None => set.size.of(self.read_replicas(set).await?),
        };
        Ok(usize::try_from(size).unwrap_or(usize::MAX))
    }

    async fn read_replicas(&self, set: &DerivedSet) -> Result<u32, Error> {
        let application = set.owner.object();
        let replicas = self.acquirer.leases.replicas(&set.namespace, &application);
        let refuse = |unusable| Err(Refusal::Set(unusable).into());
        match replicas.await? {
            Replicas::Wanted { replicas, .. } => Ok(replicas),
            Replicas::NotFound => refuse(Unusable::NoApplication(Box::new(set.owner.clone()))),
            Replicas::Unscalable => refuse(Unusable::NoReplicas(Box::new(set.owner.clone()))),
        }
    }

    /// A refusal that says how many members are held by pods that are being deleted, where the
    /// application counts only the others.
    async fn with_terminating(&self, set: &DerivedSet, full: Unusable) -> Unusable {
        let application = set.owner.object();
        if !application.counts_no_terminating() {
            return full;
        }
        let replicas = self.acquirer.leases.replicas(&set.namespace, &application);
        match replicas.await {
            Ok(Replicas::Wanted { existing, .. }) => full.among(existing),
            Ok(Replicas::NotFound | Replicas::Unscalable) | Err(_) => full,
        }
    }

    /// In a `StatefulSet`'s set of which nothing else is left, a pod takes what is kept for one that
    /// is not to come back; else it is refused.
    async fn join_at_last(
        &self,
        set: &DerivedSet,
        claim: &Claim,
        refusal: Unusable,
    ) -> Result<Allocation, Error> {
        if claim.stateful_set().is_none() || claim.addresses.is_empty() {
            return Err(Refusal::Set(refusal).into());
        }
        self.replicas.set(Some(self.read_replicas(set).await?));
        let outcome = self.join(claim).await;
        self.replicas.set(None);
        match outcome {
            Err(Error::Refused(Refusal::Set(_))) => Err(Refusal::Set(refusal).into()),
            outcome => outcome,
        }
    }
}
