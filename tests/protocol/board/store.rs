//! The board as the protocol sees it.

use leasehold::lease::{
    Commit, Freshness, Lease, LeaseName, Scope, Seen, State, Store, Trouble, Whose,
};
use leasehold::pick::{Owner, Taken, TakenState};

use super::{Board, Write, on_its_way, told};

impl Store for Board<'_> {
    async fn read(&self, name: &LeaseName) -> Result<Option<Seen>, Trouble> {
        on_its_way().await;
        let seen = self.get(name);
        if seen.is_some()
            && self
                .adrift
                .borrow()
                .iter()
                .any(|write| write.name() == name)
        {
            let leaving = (self.turn.get(), name.clone());
            self.left.borrow_mut().insert(leaving);
        }
        let version = seen.as_ref().map(|seen| seen.version.clone());
        self.learn(version, |_| match &seen {
            Some(seen) => format!("read {}", told(&seen.lease)),
            None => format!("read {name}: absent"),
        });
        Ok(seen)
    }

    async fn create(&self, lease: &Lease) -> Result<Commit, Trouble> {
        let done = self.send(Write::Create(lease.clone())).await?;
        Ok(done.map_or(Commit::Lost, Commit::Won))
    }

    async fn replace(&self, seen: &Seen, lease: &Lease) -> Result<Commit, Trouble> {
        let done = self
            .send(Write::Replace(Box::new(seen.clone()), lease.clone()))
            .await?;
        Ok(done.map_or(Commit::Lost, Commit::Won))
    }

    async fn delete(&self, seen: &Seen) -> Result<bool, Trouble> {
        let done = self.send(Write::Delete(Box::new(seen.clone()))).await?;
        Ok(done.is_some())
    }

    async fn taken(&self, _: Scope<'_>, freshness: Freshness) -> Result<Vec<Taken>, Trouble> {
        on_its_way().await;
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

    async fn find(&self, whose: Whose<'_>) -> Result<Vec<Seen>, Trouble> {
        on_its_way().await;
        let is_whose = |seen: &&Seen| {
            seen.lease
                .holder
                .as_ref()
                .is_some_and(|holder| match whose {
                    Whose::Pod(uid) => holder.uid == uid,
                    Whose::Container(id) => holder.container == id,
                    Whose::Node(name) => holder.node == name,
                })
        };
        let found: Vec<Seen> = self
            .leases
            .borrow()
            .values()
            .filter(is_whose)
            .cloned()
            .collect();
        let versions: Vec<String> = found.iter().map(|seen| seen.version.clone()).collect();
        self.learn(versions, |_| {
            format!(
                "find [{}]",
                found
                    .iter()
                    .map(|seen| told(&seen.lease))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        });
        Ok(found)
    }
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
