//! One lease released: after live reads of it, its pod and its node, at exactly the version that was
//! judged.

use std::collections::HashSet;

use jiff::Timestamp;

use super::shared::LiveReads;
use crate::collector::api::Api;
use crate::collector::compact::{Uid, Version};
use crate::collector::index::SnapshotIndex;
use crate::collector::reason::{KeepReason, Reason};
use crate::collector::rules::{Live, confirm};
use crate::collector::snapshot::{HolderSnapshot, LeaseSnapshot, NodeSnapshot, PodSnapshot};
use crate::lease::{Commit, Lease, State, StoredLease, given_up, released};
use crate::retry::{Clock, Error, Retrying};

/// What became of a lease that was due.
pub(super) enum Outcome {
    /// It is this by now; `None`: it is gone.
    Released(Option<State>),
    Kept(KeepReason),
}

/// What all releases of a run have in common.
pub(super) struct Releases<'a, W, C> {
    pub client: &'a Retrying<'a, W, C>,
    pub index: &'a SnapshotIndex<'a>,
    pub dry_run: bool,
    pub failed_teardowns: HashSet<Uid>,
}

impl<W: Api, C: Clock> Releases<'_, W, C> {
    /// Releases one lease, if live reads confirm it.
    pub async fn one(
        &self,
        lease: &LeaseSnapshot,
        reason: &Reason,
        shared: &LiveReads,
    ) -> Result<Outcome, Error> {
        let stored = self.client.read(&lease.name).await?;
        let version = stored.as_ref().map(|stored| stored.version.clone());
        let is_unchanged = version.as_ref().map(Version::from) == Some(lease.version.clone());
        let mut live = Live {
            version,
            ..Live::default()
        };
        if is_unchanged {
            self.read(lease, reason, shared, &mut live).await?;
        }
        if let Err(why) = confirm(lease, reason, &live) {
            return Ok(Outcome::Kept(why));
        }
        let Some(stored) = stored else {
            return Ok(Outcome::Kept(KeepReason::Vanished));
        };
        let now = self.client.clock.now();
        let next = next(&stored.lease, reason, now);
        let held_back = stored.has_finalizers();
        let stays = next.as_ref();
        let stays = stays.filter(|lease| held_back || !lease.has_cooled(now));
        let state = stays.map(|lease| lease.state);
        Ok(if !self.dry_run && !self.write(&stored, next, now).await? {
            Outcome::Kept(KeepReason::Changed)
        } else if held_back && state.is_none() {
            Outcome::Kept(KeepReason::Finalizers)
        } else {
            Outcome::Released(state)
        })
    }

    /// What is needed for no judgment is not read.
    async fn read(
        &self,
        lease: &LeaseSnapshot,
        reason: &Reason,
        shared: &LiveReads,
        live: &mut Live,
    ) -> Result<(), Error> {
        let (client, api) = (self.client, self.client.api);
        match reason {
            Reason::Cooled | Reason::QuarantineOver => {}
            Reason::ClaimGone | Reason::ClaimOmits => {
                live.claim = Some(client.retry(async || api.claim(lease).await).await?);
            }
            Reason::Unused | Reason::Superseded { .. } => {
                live.pod = self.pod_of_slot(lease).await?;
            }
            Reason::OwnerGone | Reason::ScaledDown => {
                live.claim = Some(client.retry(async || api.claim(lease).await).await?);
                live.pod = self.pod_of_slot(lease).await?;
            }
            Reason::PodGone(_) | Reason::PodFinished(..) | Reason::Surplus { .. } => {
                let Some(holder) = &lease.holder else {
                    return Ok(());
                };
                let clock = client.clock;
                let pod = async || self.pod(holder).await;
                live.pod = shared.pod.get(clock, pod).await?;
                let node = async || self.node(&holder.node).await;
                live.node = shared.node.get(clock, node).await?;
                live.teardown_failed = self.failed_teardowns.contains(&holder.uid);
            }
        }
        Ok(())
    }

    /// The pod that has the holder's name now.
    async fn pod(&self, holder: &HolderSnapshot) -> Result<Option<PodSnapshot>, Error> {
        // A node may write any name beside any uid: of a pod that was listed the list knows the
        // name.
        let (namespace, name) = match self.index.pod(&holder.uid) {
            Some(pod) => (&pod.namespace, &pod.name),
            None => (&holder.namespace, &holder.pod),
        };
        // No object has an empty name.
        if namespace.is_empty() || name.is_empty() {
            return Ok(None);
        }
        let read = async || self.client.api.pod(namespace, name).await;
        self.client.retry(read).await
    }

    async fn node(&self, name: &str) -> Result<Option<NodeSnapshot>, Error> {
        if name.is_empty() {
            return Ok(None);
        }
        let read = async || self.client.api.node(name).await;
        self.client.retry(read).await
    }

    async fn pod_of_slot(&self, lease: &LeaseSnapshot) -> Result<Option<PodSnapshot>, Error> {
        let Some(slot) = &lease.claim else {
            return Ok(None);
        };
        let pod = async || self.client.api.pod(&slot.namespace, &slot.name).await;
        self.client.retry(pod).await
    }

    /// Writes it; `false`: another writer was faster.
    async fn write(
        &self,
        stored: &StoredLease,
        next: Option<Lease>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let Some(next) = next else {
            return self.client.delete(stored).await;
        };
        let Commit::Won(won) = self.client.replace(stored, &next).await? else {
            return Ok(false);
        };
        // In two steps even without a cooldown: deploy/policy.yaml lets none but its node delete a
        // Held lease, so that this needs no exception for any user. A pod that takes it in between
        // takes what is free.
        if next.has_cooled(now) {
            self.client.delete(&won).await?;
        }
        Ok(true)
    }
}

/// What the lease is after this; `None`: gone.
fn next(lease: &Lease, reason: &Reason, now: Timestamp) -> Option<Lease> {
    match reason {
        Reason::PodGone(_) | Reason::PodFinished(..) | Reason::Surplus { .. } => {
            Some(released(lease, now))
        }
        Reason::Cooled | Reason::QuarantineOver => None,
        Reason::ClaimGone
        | Reason::ClaimOmits
        | Reason::OwnerGone
        | Reason::ScaledDown
        | Reason::Unused
        | Reason::Superseded { .. } => given_up(lease, now),
    }
}
