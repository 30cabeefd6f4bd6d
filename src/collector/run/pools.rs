//! What is written about pools: their status.

use std::collections::HashMap;

use super::{Run, Stop};
use crate::api::IPPool;
use crate::collector::api::Api;
use crate::collector::gather::Gathered;
use crate::collector::report::Reporter;
use crate::collector::status::{Counted, CountedLease, pool_status};
use crate::ip::PoolName;
use crate::lease::{LeaseName, State};
use crate::pool::Pools;
use crate::retry::{Clock, Error};

/// How often a status is written against rivals. One that loses so often leaves it to them: they
/// count the same leases.
const TRIES: usize = 5;

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Counts every pool as it is after this run, and writes the statuses that are not so.
    pub(super) async fn count(&mut self, gathered: &Gathered, pools: &Pools) -> Result<(), Stop> {
        let listed = gathered.snapshot.leases.iter().filter_map(|lease| {
            let state = self.state(lease)?;
            Some(CountedLease {
                name: &lease.name,
                state,
                pool: &lease.pool,
                over: lease.over,
            })
        });
        let recreated = new_leases(&self.changes.recreated, State::Held);
        let made = new_leases(&self.changes.made, State::Retained);
        self.summary.pools =
            Counted::all(pools, listed.chain(recreated).chain(made), &self.findings);
        if self.options.dry_run {
            return Ok(());
        }
        let written = gathered.pools.iter();
        let written: HashMap<&str, &IPPool> = written
            .filter_map(|pool| Some((pool.metadata.name.as_deref()?, pool)))
            .collect();
        for counted in self.summary.pools.clone() {
            self.go_on_late()?;
            let Some(pool) = written.get(counted.name.as_str()) else {
                continue;
            };
            match self.write_status(&counted, (*pool).clone()).await {
                Ok(wrote) => self.summary.statuses += usize::from(wrote),
                Err(error) => {
                    let what = format!("the status of pool {} was not written", counted.name);
                    self.failed(what, error);
                }
            }
        }
        Ok(())
    }

    /// Whether it had to be written.
    async fn write_status(&self, counted: &Counted, mut pool: IPPool) -> Result<bool, Error> {
        let client = self.late_client;
        let reclaimed = self.changes.reclaimed.get(&counted.name).copied();
        // What was counted is this generation, not a newer one.
        let generation = pool.metadata.generation;
        for _ in 0..TRIES {
            let now = client.clock.now();
            let before = pool.status.as_ref();
            let reclaimed = reclaimed.unwrap_or(0);
            let Some(status) = pool_status(counted, generation, before, reclaimed, now) else {
                return Ok(false);
            };
            pool.status = Some(status);
            if client
                .retry(async || client.api.write_status(&pool).await)
                .await?
            {
                return Ok(true);
            }
            let read = async || client.api.pool(counted.name.as_str()).await;
            match client.retry(read).await? {
                Some(newer) => pool = newer,
                None => return Ok(false),
            }
        }
        Ok(false)
    }
}

/// Leases that this run has made, as they are counted.
fn new_leases(
    made: &[(LeaseName, PoolName)],
    state: State,
) -> impl Iterator<Item = CountedLease<'_>> {
    made.iter().map(move |(name, pool)| CountedLease {
        name,
        state,
        pool,
        over: None,
    })
}
