//! Releasing what is due: after live reads, at exactly the version that was judged, or not at all.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;

use super::{AT_ONCE, Run, Stop, in_time, rotate};
use crate::collector::api::Api;
use crate::collector::compact::Uid;
use crate::collector::marks::MarkTable;
use crate::collector::reason::{KeepReason, Reason};
use crate::collector::report::{Event, Reporter};
use crate::collector::rules::{Case, Due, Keep};
use crate::collector::snapshot::LeaseSnapshot;
use crate::lease::State;
use crate::retry::{Clock, Error};

mod release;
mod shared;

use release::{Outcome, Releases};
use shared::{Neighbors, by_holder};

/// How long ago a kubelet may have reported that it could not tear a pod down.
const FAILED_TEARDOWN: Duration = Duration::from_mins(10);

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Releases what is due, a few at once, and leases of one pod or of one node together: they
    /// share live reads.
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
        due.sort_by(|(a, _), (b, _)| by_holder(a, b));
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
        let client = Rc::clone(&self.client);
        let releases = Releases {
            client: &client,
            index: case.index,
            dry_run: self.options.dry_run,
            failed_teardowns,
        };
        let releases = &releases;
        let mut neighbors = Neighbors::default();
        let mut outcomes = in_time(due, &client, self.stop)
            .map(|(lease, due)| {
                let shared = neighbors.reads_of(lease);
                async move {
                    let outcome = releases.one(lease, &due.reason, &shared).await;
                    (lease, due, outcome)
                }
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
