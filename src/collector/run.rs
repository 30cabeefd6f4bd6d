//! The story of one run: read the marks of the last one, list, recreate, release, mark, report.
//!
//! Time for the marks and for the status of pools is kept back, so that a run which can't do all of
//! its work still reports how things are.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use super::api::Api;
use super::gather::{Gathered, gather};
use super::grace_extended::grace_extended;
use super::index::SnapshotIndex;
use super::marks::MarkTable;
use super::now::Now;
use super::pod_name::PodName;
use super::recreate::missing;
use super::report::{Event, Reporter, Summary};
use super::rules::{Case, Due, Judgment, Keep};
use super::snapshot::LeaseSnapshot;
use super::status::{Findings, KeptLease};
use super::{Error, Options};
use crate::ip::PoolName;
use crate::lease::{LeaseName, State};
use crate::pool::Pools;
use crate::retry::{self, Clock, Deadline, Retrying};
use crate::text::counted;

mod admit;
mod applications;
mod claims;
mod ended;
mod extend;
mod marking;
mod nodes;
mod notices;
mod pools;
mod reclaim;
mod recreate;
mod share;

use share::{AT_ONCE, in_time, rotate};

/// What is kept of the time for marks and status: a fifth, and no more than this.
const KEPT_BACK: Duration = Duration::from_mins(1);

/// Releases what dead pods left behind, recreates what is missing, and counts. Ends early, between
/// two writes, once `stop` returns true.
///
/// The summary has what was done, whatever became of the rest.
pub async fn run<W: Api, C: Clock>(
    api: &W,
    clock: &C,
    options: &Options,
    reporter: &impl Reporter,
    stop: &dyn Fn() -> bool,
) -> (Summary, Result<(), Error>) {
    let kept_back = KEPT_BACK.min(options.deadline / 5);
    let work = options.deadline.saturating_sub(kept_back);
    let client = Retrying::new(api, clock, Deadline::after(work));
    let late_client = Retrying::new(api, clock, Deadline::after(options.deadline));
    let mut run = Run {
        client: Rc::new(client),
        late_client: &late_client,
        options,
        reporter,
        stop,
        summary: Summary {
            dry_run: options.dry_run,
            ..Summary::default()
        },
        problems: Problems::default(),
        changes: Changes::default(),
        findings: Findings::default(),
        by_node: HashMap::new(),
    };
    // Of all that it awaits it has much at hand: some 18 KB.
    let outcome = Box::pin(run.through()).await;
    let Run {
        mut summary,
        problems,
        ..
    } = run;
    let outcome = match outcome {
        Err(Stop::Stopped) => {
            summary.stopped = true;
            Ok(())
        }
        Err(Stop::Failed(error)) => Err(error),
        Ok(()) => problems.outcome(),
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

/// What was not done, or not understood.
#[derive(Debug, Default)]
struct Problems {
    count: usize,
    first: Option<(String, Option<retry::Error>)>,
}

impl Problems {
    fn add(&mut self, what: String, source: Option<retry::Error>) {
        self.count += 1;
        self.first.get_or_insert((what, source));
    }

    fn outcome(self) -> Result<(), Error> {
        let count = self.count;
        match self.first {
            None => Ok(()),
            Some((what, None)) => Err(Error::Incompletely { count, what }),
            Some((what, Some(source))) => Err(Error::Partly {
                count,
                what,
                source,
            }),
        }
    }
}

/// What this run has changed since the lists.
#[derive(Debug, Default)]
struct Changes {
    /// What a lease is by now; `None`: it is gone.
    states: HashMap<LeaseName, Option<State>>,
    recreated: Vec<(LeaseName, PoolName)>,
    /// Made for sets.
    made: Vec<(LeaseName, PoolName)>,
    reclaimed: HashMap<PoolName, i64>,
}

struct Run<'a, W, C, T> {
    /// For the work, which ends early enough for marks and status.
    client: Rc<Retrying<'a, W, C>>,
    /// For marks and status.
    late_client: &'a Retrying<'a, W, C>,
    options: &'a Options,
    reporter: &'a T,
    stop: &'a dyn Fn() -> bool,
    summary: Summary,
    problems: Problems,
    changes: Changes,
    findings: Findings,
    /// The leases that look dead and are kept, by node.
    by_node: HashMap<Box<str>, super::status::KeptLeases>,
}

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    async fn through(&mut self) -> Result<(), Stop> {
        let stored = self.read_marks().await;
        let mut gathered = gather(&self.client, self.options, self.reporter).await?;
        let pools = self.listed(&gathered);
        let snapshot = &mut gathered.snapshot;
        let admit = async |run: &mut Self| run.admit(snapshot, &pools).await;
        self.in_share("the annotations of all pods were not judged", admit)
            .await?;
        let now = self.now();
        let before = self.valid_marks(stored.as_ref(), &now);
        let index = SnapshotIndex::of(&gathered.snapshot);
        let case = Case::new(&index, &before, now, self.options);
        self.report_contested(&index, &pools);

        let mut marks = MarkTable::default();
        let worked = self.work(&case, &pools, &mut marks).await;
        if let Err(Stop::Stopped) = worked {
            return worked;
        }
        self.write_marks(stored, &before, &marks).await?;
        self.reserve_nodes(&gathered, &pools, &now).await?;
        self.count(&gathered, &pools).await?;
        self.record_notices(&gathered).await?;
        worked
    }

    /// What ends with the time for it.
    async fn work(
        &mut self,
        case: &Case<'_>,
        pools: &Pools,
        marks: &mut MarkTable,
    ) -> Result<(), Stop> {
        let missing = missing(case.index, pools, case.marks);
        let leases = &case.index.snapshot.leases;
        let mut due: Vec<(&LeaseSnapshot, Due)> = Vec::new();
        for lease in leases {
            match case.judge(lease) {
                Judgment::Fine => {}
                Judgment::Due(this) => due.push((lease, this)),
                Judgment::Keep(keep) => self.keep(lease, keep, case, marks),
            }
        }
        // What is due and not reached keeps its mark.
        for (lease, due) in &due {
            if let Some(mark) = &due.mark {
                marks.set(lease.name.clone(), mark.clone());
            }
        }
        let recreate = async |run: &mut Self| run.recreate(&missing, &case.now, marks).await;
        self.in_share("some missing leases were not recreated", recreate)
            .await?;
        let extended = grace_extended(case.index);
        let extend = async |run: &mut Self| run.extend(&extended).await;
        self.in_share(
            "some leases lack how long their pods may take to end",
            extend,
        )
        .await?;
        let resolve = async |run: &mut Self| run.resolve_claims(case, pools).await;
        self.in_share("some IPClaims were not resolved", resolve)
            .await?;
        self.reclaim(due, case, marks).await
    }

    /// The pools that were listed, and what became known with them.
    fn listed(&mut self, gathered: &Gathered) -> Pools {
        let snapshot = &gathered.snapshot;
        self.summary.looked = true;
        self.summary.leases = snapshot.leases.len();
        self.summary.pods = snapshot.pods.len();
        self.summary.nodes = snapshot.nodes.len();
        self.summary.unreadable = gathered.unreadable;
        if gathered.unreadable > 0 {
            let what = format!(
                "{} could not be read",
                counted(gathered.unreadable, "object")
            );
            self.problems.add(what, None);
        }
        if let Some(why) = &gathered.no_stateful_sets {
            self.problem(format!(
                "no address is released that is kept for a pod of a StatefulSet, because the StatefulSets could not be \
                 listed: {why}"
            ));
        }
        let (pools, subnets) = (gathered.pools.clone(), &gathered.subnets);
        for unreadable in crate::pool::Reserved::read(&gathered.reserved).unreadable() {
            self.summary.unreadable += 1;
            self.problem(format!(
                "no pool of its vrf gives an address until this is corrected: {unreadable}"
            ));
        }
        Pools::read_each(pools, subnets, &gathered.reserved)
    }

    fn now(&self) -> Now {
        Now {
            server: self.client.api.server_time(),
            own: self.client.clock.now(),
        }
    }

    /// Ends between two writes, where that is asked for or the time for work is over.
    fn go_on(&self) -> Result<(), Stop> {
        self.until(self.client.deadline.at)
    }

    /// The same for what comes last.
    fn go_on_late(&self) -> Result<(), Stop> {
        self.until(self.options.deadline)
    }

    fn until(&self, deadline: Duration) -> Result<(), Stop> {
        if (self.stop)() {
            return Err(Stop::Stopped);
        }
        if self.client.clock.elapsed() > deadline {
            return Err(Stop::Failed(Error::OutOfTime {
                seconds: self.options.deadline.as_secs(),
            }));
        }
        Ok(())
    }

    /// One operation that failed keeps no other from being tried, unless there is no time left for
    /// any.
    fn failed(&mut self, what: String, error: retry::Error) {
        self.summary.failed += 1;
        self.reporter.event(&Event::Problem(format!(
            "{what}: {}",
            crate::text::chain(&error)
        )));
        self.problems.add(what, Some(error));
    }

    /// Something that a person has to correct.
    fn problem(&mut self, what: String) {
        self.reporter.event(&Event::Problem(what.clone()));
        self.problems.add(what, None);
    }

    /// The state of a lease of the lists by now; `None`: it is gone.
    fn state(&self, lease: &LeaseSnapshot) -> Option<State> {
        let changed = self.changes.states.get(&lease.name).copied();
        changed.unwrap_or(Some(lease.state))
    }

    /// Marks, counts and reports a lease that looks dead and is kept.
    fn keep(&mut self, lease: &LeaseSnapshot, keep: Keep, case: &Case<'_>, marks: &mut MarkTable) {
        let Keep {
            mut why,
            mark,
            until,
        } = keep;
        let since = mark.as_ref().map(|mark| mark.since);
        match mark {
            Some(mark) => {
                if !marks.set(lease.name.clone(), mark) {
                    why = super::KeepReason::NoRoom;
                }
            }
            None => marks.remove(&lease.name),
        }
        let age = since.and_then(|since| case.now.age(since));
        self.summary.oldest_suspect = self.summary.oldest_suspect.max(age);
        *self.summary.kept.entry(why).or_default() += 1;
        let node = lease.holder.as_ref().map_or("", |holder| &holder.node);
        let kept = KeptLease { why, node, until };
        self.findings
            .kept
            .entry(lease.pool.clone())
            .or_default()
            .add(kept);
        self.by_node.entry(node.into()).or_default().add(kept);
        let rival = (why == super::KeepReason::Reported)
            .then(|| case.index.rival(lease).map(PodName::from))
            .flatten();
        self.reporter.event(&Event::Kept {
            lease: lease.name.clone(),
            pool: lease.pool.clone(),
            holder: lease.holder.clone(),
            why,
            until,
            rival,
        });
    }

    /// Reports the addresses of pools that two living pods use.
    fn report_contested(&mut self, index: &SnapshotIndex<'_>, pools: &Pools) {
        for (address, pods) in index.contested() {
            if !pools.iter().flatten().any(|pool| pool.lists(address)) {
                continue;
            }
            let pods: Vec<PodName> = pods.into_iter().map(PodName::from).collect();
            self.summary.contested += 1;
            self.findings.contested.push((address, pods.clone()));
            self.reporter.event(&Event::Contested { address, pods });
        }
    }
}
