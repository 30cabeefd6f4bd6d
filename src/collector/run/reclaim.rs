//! Releasing what is due: after live reads, at exactly the version that was judged, or not at all.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;

use super::{Run, Stop};
use crate::collector::api::Api;
use crate::collector::compact::{Uid, Version};
use crate::collector::index::SnapshotIndex;
use crate::collector::marks::MarkTable;
use crate::collector::reason::{KeepReason, Reason};
use crate::collector::report::{Event, Reporter};
use crate::collector::rules::{Case, Due, Keep, Live, confirm};
use crate::collector::snapshot::{LeaseSnapshot, NodeSnapshot, PodSnapshot};
use crate::lease::{Commit, Lease, State, StoredLease, given_up, released};
use crate::retry::{Clock, Error, Retrying};

/// Releases under way at once: enough to hide the way to the API server, and no burden on it.
const AT_ONCE: usize = 8;

/// For how long a live read of a node serves all its leases.
const FRESH: Duration = Duration::from_secs(5);

/// How long ago a kubelet may have reported that it could not tear a pod down.
const FAILED_TEARDOWN: Duration = Duration::from_mins(10);

/// What became of a lease that was due.
enum Outcome {
    /// It is this by now; `None`: it is gone.
    Released(Option<State>),
    Kept(KeepReason),
}

/// What all releases share.
struct Releases<'a, W, C> {
    client: &'a Retrying<'a, W, C>,
    index: &'a SnapshotIndex<'a>,
    dry_run: bool,
    failed_teardowns: HashSet<Uid>,
    nodes: RefCell<HashMap<Box<str>, NodeRead>>,
}

/// A live read of a node, and when it was.
struct NodeRead {
    at: Duration,
    node: Option<NodeSnapshot>,
}

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Releases what is due, a few at once. Where the run begins with it changes from run to run,
    /// so that what takes long or fails keeps no other from its turn.
    pub(super) async fn reclaim(
        &mut self,
        mut due: Vec<(&LeaseSnapshot, Due)>,
        case: &Case<'_>,
        marks: &mut MarkTable,
    ) -> Result<(), Stop> {
        if due.is_empty() {
            return Ok(());
        }
        self.go_on()?;
        rotate(&mut due, self.client.clock.chance());
        if due.iter().any(|(_, due)| due.reason.rests_on_kubelet()) {
            let since = self.client.clock.now() - FAILED_TEARDOWN;
            match self.failed_teardowns(since).await {
                Ok(failed) => return self.release(due, failed, case, marks).await,
                Err(error) => {
                    let what = "no lease of a pod that is gone is released, because the Events FailedKillPod could not be listed";
                    self.failed(what.to_owned(), error);
                    due.retain(|(_, due)| !due.reason.rests_on_kubelet());
                }
            }
        }
        self.release(due, HashSet::new(), case, marks).await
    }

    async fn failed_teardowns(&self, since: Timestamp) -> Result<HashSet<Uid>, Error> {
        let api = self.client.api;
        self.client
            .retry(async || api.failed_teardowns(since).await)
            .await
    }

    async fn release(
        &mut self,
        due: Vec<(&LeaseSnapshot, Due)>,
        failed_teardowns: HashSet<Uid>,
        case: &Case<'_>,
        marks: &mut MarkTable,
    ) -> Result<(), Stop> {
        let releases = Releases {
            client: self.client,
            index: case.index,
            dry_run: self.options.dry_run,
            failed_teardowns,
            nodes: RefCell::default(),
        };
        let (releases, stop) = (&releases, self.stop);
        let deadline = self.client.deadline.at;
        let is_over = || stop() || releases.client.clock.elapsed() > deadline;
        let mut outcomes = stream::iter(due)
            .take_while(|_| std::future::ready(!is_over()))
            .map(async |(lease, due)| {
                let outcome = releases.one(lease, &due.reason).await;
                (lease, due, outcome)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((lease, due, outcome)) = outcomes.next().await {
            match outcome {
                Ok(Outcome::Released(state)) => {
                    marks.remove(&lease.name);
                    self.reclaimed(lease, due.reason, state);
                }
                Ok(Outcome::Kept(why)) => self.keep(lease, kept(due, why), case, marks),
                Err(error) => {
                    self.failed(format!("lease {} was not released", lease.name), error);
                }
            }
        }
        self.go_on()
    }

    fn reclaimed(&mut self, lease: &LeaseSnapshot, reason: Reason, state: Option<State>) {
        *self.summary.reclaimed.entry(reason.kind()).or_default() += 1;
        if reason.is_reclaim() && !self.options.dry_run {
            let pool = self.changes.reclaimed.entry(lease.pool.clone());
            *pool.or_default() += 1;
        }
        self.changes.states.insert(lease.name.clone(), state);
        self.reporter.event(&Event::Reclaimed {
            lease: lease.name.clone(),
            pool: lease.pool.clone(),
            holder: lease.holder.clone(),
            reason,
            dry_run: self.options.dry_run,
        });
    }
}

/// A lease that was due and is kept after all. What its mark has noted of a node that is not Ready
/// now is void; a lease that has changed has lost its mark anyway.
fn kept(due: Due, why: KeepReason) -> Keep {
    let mut mark = due.mark;
    if why == KeepReason::Unready
        && let Some(gone) = mark.as_mut().and_then(|mark| mark.gone.as_mut())
    {
        gone.contact = None;
        gone.node_absent = None;
    }
    let is_void = matches!(
        why,
        KeepReason::Changed | KeepReason::Vanished | KeepReason::Alive | KeepReason::Reported
    );
    Keep {
        why,
        mark: mark.filter(|_| !is_void),
        until: None,
    }
}

fn rotate<T>(items: &mut [T], chance: f64) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list, by chance"
    )]
    let begin = (items.len() as f64 * chance) as usize;
    let begin = begin.min(items.len());
    items.rotate_left(begin);
}

impl<W: Api, C: Clock> Releases<'_, W, C> {
    async fn one(&self, lease: &LeaseSnapshot, reason: &Reason) -> Result<Outcome, Error> {
        let stored = self.client.read(&lease.name).await?;
        let version = stored.as_ref().map(|stored| stored.version.clone());
        let is_unchanged = version.as_ref().map(Version::from) == Some(lease.version.clone());
        let mut live = Live {
            version,
            ..Live::default()
        };
        if is_unchanged {
            self.read(lease, reason, &mut live).await?;
        }
        if let Err(why) = confirm(lease, reason, &live) {
            return Ok(Outcome::Kept(why));
        }
        let Some(stored) = stored else {
            return Ok(Outcome::Kept(KeepReason::Vanished));
        };
        let now = self.client.clock.now();
        let next = next(&stored.lease, reason, now);
        let stays = next.as_ref().filter(|lease| !lease.has_cooled(now));
        let state = stays.map(|lease| lease.state);
        if self.dry_run || self.write(&stored, next, now).await? {
            Ok(Outcome::Released(state))
        } else {
            Ok(Outcome::Kept(KeepReason::Changed))
        }
    }

    /// What is needed for no judgment is not read.
    async fn read(
        &self,
        lease: &LeaseSnapshot,
        reason: &Reason,
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
                // A node may write any name beside any uid: of a pod that was listed the list knows
                // the name.
                let listed = self.index.pod(&holder.uid);
                let (namespace, name) = match listed {
                    Some(pod) => (&pod.namespace, &pod.name),
                    None => (&holder.namespace, &holder.pod),
                };
                // No object has an empty name.
                if !namespace.is_empty() && !name.is_empty() {
                    live.pod = client
                        .retry(async || api.pod(namespace, name).await)
                        .await?;
                }
                live.node = self.node(&holder.node).await?;
                live.teardown_failed = self.failed_teardowns.contains(&holder.uid);
            }
        }
        Ok(())
    }

    async fn pod_of_slot(&self, lease: &LeaseSnapshot) -> Result<Option<PodSnapshot>, Error> {
        let Some(slot) = &lease.claim else {
            return Ok(None);
        };
        let pod = async || self.client.api.pod(&slot.namespace, &slot.name).await;
        self.client.retry(pod).await
    }

    async fn node(&self, name: &str) -> Result<Option<NodeSnapshot>, Error> {
        // No object has an empty name.
        if name.is_empty() {
            return Ok(None);
        }
        let now = self.client.clock.elapsed();
        if let Some(read) = self.nodes.borrow().get(name)
            && now < read.at + FRESH
        {
            return Ok(read.node.clone());
        }
        let api = self.client.api;
        let node = self.client.retry(async || api.node(name).await).await?;
        let read = NodeRead {
            at: now,
            node: node.clone(),
        };
        self.nodes.borrow_mut().insert(name.into(), read);
        Ok(node)
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
