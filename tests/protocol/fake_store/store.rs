//! The board as the protocol sees it.

use leasehold::allocate::{Owner, Taken, TakenState};
use leasehold::ip::Family;
use leasehold::lease::{
    Commit, Freshness, Lease, LeaseFilter, LeaseName, ListScope, Peek, State, Store, StoredLease,
};
use leasehold::retry::ApiError;

use crate::runtime::V6_POOL;

use super::{FakeStore, Write, describe};

impl Store for FakeStore<'_> {
    async fn read(&self, name: &LeaseName) -> Result<Option<StoredLease>, ApiError> {
        self.on_its_way(Some(Family::of(name.address))).await;
        let seen = self.get(name);
        if seen.is_some()
            && self
                .adrift
                .borrow()
                .iter()
                .any(|write| write.name() == Some(name))
        {
            let leaving = (self.turn.get(), name.clone());
            self.left.borrow_mut().insert(leaving);
        }
        let version = seen.as_ref().map(|seen| seen.version.clone());
        self.learn((name, version), |_| match &seen {
            Some(seen) => format!("read {}", describe(&seen.lease)),
            None => format!("read {name}: absent"),
        });
        Ok(seen)
    }

    async fn peek(&self, names: &[LeaseName]) -> Result<Vec<Peek>, ApiError> {
        let family = names.first().map(|name| Family::of(name.address));
        self.on_its_way(family).await;
        let seen: Vec<_> = names.iter().map(|name| self.get(name)).collect();
        let versions: Vec<_> = (seen.iter())
            .map(|seen| seen.as_ref().map(|seen| seen.version.clone()))
            .collect();
        self.learn(versions, |_| format!("peek at {} names", names.len()));
        let peeks = seen.into_iter();
        Ok(peeks
            .map(|seen| seen.map_or(Peek::Absent, |seen| Peek::Stored(Box::new(seen))))
            .collect())
    }

    async fn create(&self, lease: &Lease) -> Result<Commit, ApiError> {
        let write = Write::Create(lease.clone());
        let done = self.send(write, family_of(&lease.name)).await?;
        Ok(done.map_or(Commit::Lost, |done| Commit::Won(done.lease())))
    }

    async fn replace(&self, seen: &StoredLease, lease: &Lease) -> Result<Commit, ApiError> {
        let write = Write::Replace(Box::new(seen.clone()), lease.clone());
        let done = self.send(write, family_of(&lease.name)).await?;
        Ok(done.map_or(Commit::Lost, |done| Commit::Won(done.lease())))
    }

    async fn delete(&self, seen: &StoredLease) -> Result<bool, ApiError> {
        let write = Write::Delete(Box::new(seen.clone()));
        let done = self.send(write, family_of(&seen.lease.name)).await?;
        Ok(done.is_some())
    }

    async fn taken(
        &self,
        scope: ListScope<'_>,
        freshness: Freshness,
    ) -> Result<Vec<Taken>, ApiError> {
        let family = match scope {
            ListScope::Pool(pool) | ListScope::Cooling(pool) => Some(if pool.as_str() == V6_POOL {
                Family::V6
            } else {
                Family::V4
            }),
            ListScope::Vrf(_) | ListScope::CoolingInVrf(_) => None,
        };
        self.on_its_way(family).await;
        let now = self.taken_now();
        let may_lag = freshness == Freshness::Cached && self.faults.get() > 0 && now != self.stale;
        if self.choices.of(if may_lag { 2 } else { 1 }) == 1 {
            self.faults.set(self.faults.get() - 1);
            return Ok(self.learn(self.stale.clone(), |stale| {
                format!("list {} leases, stale", stale.len())
            }));
        }
        Ok(self.learn(now, |now| format!("list {} leases", now.len())))
    }

    async fn find(
        &self,
        filter: LeaseFilter<'_>,
        freshness: Freshness,
    ) -> Result<Vec<StoredLease>, ApiError> {
        match filter {
            // One that may lag shows what other actors' writes make of it.
            LeaseFilter::Claim(name) if self.faults.get() == 0 => {
                self.on_its_way_to_claim(None, name).await;
            }
            LeaseFilter::Claim(_)
            | LeaseFilter::Pod(_)
            | LeaseFilter::Container(_)
            | LeaseFilter::Node(_) => self.on_its_way(None).await,
        }
        let is_whose = |seen: &&StoredLease| {
            if let LeaseFilter::Claim(name) = filter {
                let claim = seen.lease.claim.as_ref();
                return self.lists_claims && claim.is_some_and(|claim| claim.name == name);
            }
            seen.lease
                .holder
                .as_ref()
                .is_some_and(|holder| match filter {
                    LeaseFilter::Pod(uid) => holder.uid == uid,
                    LeaseFilter::Container(id) => holder.container == id,
                    LeaseFilter::Node(name) => holder.node == name,
                    LeaseFilter::Claim(_) => false,
                })
        };
        let mut found: Vec<StoredLease> = self.leases().values().cloned().collect();
        found.retain(|seen| is_whose(&seen));
        if freshness == Freshness::Cached && self.faults.get() > 0 && !self.only_kills {
            let mut behind = self.all_behind();
            behind.retain(|seen| is_whose(&seen));
            if behind != found && self.choices.of(2) == 1 {
                self.faults.set(self.faults.get() - 1);
                found = behind;
            }
        }
        let versions: Vec<String> = found.iter().map(|seen| seen.version.clone()).collect();
        self.learn(versions, |_| {
            format!(
                "find [{}]",
                found
                    .iter()
                    .map(|seen| describe(&seen.lease))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        });
        Ok(found)
    }
}

fn family_of(name: &LeaseName) -> Family {
    Family::of(name.address)
}

/// What a list says of a lease.
pub(super) fn taken(lease: &Lease) -> Taken {
    let owner = lease.holder.as_ref().map(|holder| Owner {
        namespace: holder.namespace.clone(),
        pod: holder.pod.clone(),
        interface: holder.interface.clone(),
    });
    let state = match lease.state {
        State::Cooling => TakenState::Cooling {
            released_at: lease.released_at.unwrap_or_default(),
            cooldown: lease.cooldown,
        },
        State::Retained => TakenState::Retained,
        State::Quarantined => TakenState::Quarantined,
        State::Held | State::Unknown => TakenState::Held,
    };
    Taken {
        address: lease.name.address,
        state,
        owner,
    }
}
