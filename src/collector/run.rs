//! The story of one run: look, wait, look again, take back, tell.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::api::Api;
use super::index::SnapshotIndex;
use super::reason::{KeepReason, Reason};
use super::report::{Event, Reporter, Summary};
use super::snapshot::LeaseSnapshot;
use super::suspect::{Suspect, grace_extended, suspects};
use super::{Error, Options, gather};
use crate::ip::PoolName;
use crate::ip::Vrf;
use crate::lease::{LeaseName, State};
use crate::pool::Pools;
use crate::retry::{self, Clock, Deadline, Retrying};

mod mark;
mod pools;
mod reclaim;
mod recreate;
mod second;

use second::NodeReader;

/// How long one request may take. A page of 500 large pods takes a busy server some seconds.
pub const ATTEMPT: Duration = Duration::from_secs(20);

/// How often the wait between the looks is looked up from.
const NAP: Duration = Duration::from_millis(100);

/// Takes back what dead pods left behind, makes again what is missing, and counts. Ends early, between two writes, once
/// `stop` says so.
///
/// The summary says what was done, whatever came of the rest.
pub async fn run<W: Api, C: Clock>(
    world: &W,
    clock: &C,
    options: &Options,
    reporter: &impl Reporter,
    stop: &dyn Fn() -> bool,
) -> (Summary, Result<(), Error>) {
    let patience = Deadline {
        at: options.deadline,
        attempt: ATTEMPT.min(options.deadline / 5),
    };
    let desk = Retrying::new(world, clock, patience);
    let mut run = Run {
        desk: &desk,
        options,
        reporter,
        stop,
        summary: Summary {
            dry_run: options.dry_run,
            ..Summary::default()
        },
        first_failure: None,
        changes: Changes::default(),
    };
    let outcome = run.through().await;
    let Run {
        mut summary,
        first_failure,
        ..
    } = run;
    let outcome = match (outcome, first_failure) {
        (Err(Stop::Stopped), _) => {
            summary.stopped = true;
            Ok(())
        }
        (Err(Stop::Failed(error)), _) => Err(error),
        (Ok(()), None) => Ok(()),
        (Ok(()), Some((what, source))) => Err(Error::Partly {
            count: summary.failed,
            what,
            source,
        }),
    };
    (summary, outcome)
}

/// Why a run ends before its work is done.
enum Stop {
    Stopped,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What has changed since the first look, by this run.
#[derive(Debug, Default)]
struct Changes {
    /// What a lease is by now; `None`: it is gone.
    states: HashMap<LeaseName, Option<State>>,
    made: Vec<(LeaseName, PoolName)>,
    reclaimed: HashMap<PoolName, i64>,
}

struct Run<'a, W, C, T> {
    desk: &'a Retrying<'a, W, C>,
    options: &'a Options,
    reporter: &'a T,
    stop: &'a dyn Fn() -> bool,
    summary: Summary,
    first_failure: Option<(String, retry::Error)>,
    changes: Changes,
}

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    async fn through(&mut self) -> Result<(), Stop> {
        let (snapshot, written) = gather::look(self.desk, self.options, self.reporter).await?;
        self.summary.looked = true;
        self.summary.leases = snapshot.leases.len();
        self.summary.pods = snapshot.pods.len();
        self.summary.nodes = snapshot.nodes.len();
        let pools = Pools::read(
            written.pools.clone(),
            &written.subnets,
            &written.reserved,
            &Vrf::default(),
        );
        let pools = match pools {
            Ok(pools) => Some(pools),
            Err(unreadable) => {
                self.reporter.event(&Event::ApiError(format!(
                    "no pool is counted and no missing lease is made, since what is reserved is unknown: {unreadable}"
                )));
                None
            }
        };
        let index = SnapshotIndex::of(&snapshot);
        let suspects = suspects(&index, self.desk.clock.now());
        let missing = pools
            .as_ref()
            .map_or_else(Vec::new, |pools| super::missing(&index, pools));
        let (dead, over): (Vec<_>, Vec<_>) = suspects
            .into_iter()
            .partition(|suspect| suspect.suspicion.needs_proof());

        for grace_extended in &grace_extended(&index) {
            self.note_grace_extended(grace_extended).await?;
        }
        let mut nodes = NodeReader::default();
        for suspect in &over {
            self.look_again(suspect, &index, &mut nodes).await?;
        }
        if !dead.is_empty() || !missing.is_empty() {
            self.wait().await?;
        }
        for suspect in &dead {
            self.look_again(suspect, &index, &mut nodes).await?;
        }
        for missing in &missing {
            self.make_again(missing).await?;
        }
        if let Some(pools) = &pools {
            self.reserve_nodes(&snapshot, pools, &written.reserved)
                .await?;
            self.count(&snapshot, pools, &written.pools).await?;
        }
        Ok(())
    }

    /// The time between the looks.
    async fn wait(&self) -> Result<(), Stop> {
        let end = self.desk.clock.elapsed() + self.options.grace;
        loop {
            self.go_on()?;
            let left = end.saturating_sub(self.desk.clock.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            self.desk.clock.pause(left.min(NAP)).await;
        }
    }

    /// Ends between two writes, where somebody asks for it or the time is over.
    fn go_on(&self) -> Result<(), Stop> {
        if (self.stop)() {
            return Err(Stop::Stopped);
        }
        if self.desk.clock.elapsed() > self.options.deadline {
            return Err(Stop::Failed(Error::OutOfTime {
                seconds: self.options.deadline.as_secs(),
            }));
        }
        Ok(())
    }

    /// One thing that could not be done keeps nobody from the next, unless there is no time left for any.
    fn failed(&mut self, what: String, error: retry::Error) {
        self.summary.failed += 1;
        self.reporter.event(&Event::ApiError(format!(
            "{what}: {}",
            crate::text::chain(&error)
        )));
        self.first_failure.get_or_insert((what, error));
    }

    /// The state of a lease of the first look by now; `None`: it is gone.
    fn state(&self, lease: &LeaseSnapshot) -> Option<State> {
        self.changes
            .states
            .get(&lease.name)
            .copied()
            .unwrap_or(Some(lease.state))
    }

    fn keep(
        &mut self,
        suspect: &Suspect<'_>,
        index: &SnapshotIndex<'_>,
        kept: KeepReason,
        now: Option<Timestamp>,
    ) {
        let lease = suspect.lease;
        *self.summary.kept.entry(kept).or_default() += 1;
        if kept == KeepReason::Reported {
            let reporter = index.rival(lease);
            self.reporter.event(&Event::Contested {
                lease: lease.name.clone(),
                holder: lease.holder.clone(),
                reporter: reporter.map(|pod| (pod.namespace.clone(), pod.name.clone())),
            });
        }
        let age = lease
            .written
            .zip(now)
            .and_then(|(written, now)| Duration::try_from(now.duration_since(written)).ok());
        self.summary.oldest_suspect = self.summary.oldest_suspect.max(age);
    }

    fn taken_back(&mut self, lease: &LeaseSnapshot, reason: Reason, next: Option<State>) {
        *self.summary.taken_back.entry(reason.label()).or_default() += 1;
        if reason.is_reclaim() && !self.options.dry_run {
            *self
                .changes
                .reclaimed
                .entry(lease.pool.clone())
                .or_default() += 1;
        }
        self.changes.states.insert(lease.name.clone(), next);
        self.reporter.event(&Event::TakenBack {
            lease: lease.name.clone(),
            pool: lease.pool.clone(),
            holder: lease.holder.clone(),
            reason,
            dry_run: self.options.dry_run,
        });
    }
}
