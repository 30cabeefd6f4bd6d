//! What is written about pools: their status, and the addresses of nodes that are kept out of them.

use std::collections::HashMap;

use super::{Run, Stop};
use crate::api::{IPPool, ReservedIP};
use crate::collector::api::Api;
use crate::collector::node_addresses::{is_ours, reservations};
use crate::collector::report::Reporter;
use crate::collector::snapshot::Snapshot;
use crate::collector::status::{Counted, pool_status};
use crate::lease::State;
use crate::pool::Pools;
use crate::retry::{Clock, Error};

/// How often a status is written against rivals. Who loses so often leaves it to them: they count the same leases.
const TRIES: usize = 5;

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Counts every pool as it is after this run, and writes the statuses that are not so.
    pub(super) async fn count(
        &mut self,
        snapshot: &Snapshot,
        pools: &Pools,
        written: &[IPPool],
    ) -> Result<(), Stop> {
        let seen = snapshot.leases.iter().filter_map(|lease| {
            self.state(lease)
                .map(|state| (&lease.name, state, &lease.pool))
        });
        let made = self.changes.made.iter();
        let made = made.map(|(name, pool)| (name, State::Held, pool));
        self.summary.pools = Counted::all(pools, seen.chain(made));
        if self.options.dry_run {
            return Ok(());
        }
        let written: HashMap<&str, &IPPool> = written
            .iter()
            .filter_map(|pool| Some((pool.metadata.name.as_deref()?, pool)))
            .collect();
        for counted in self.summary.pools.clone() {
            self.go_on()?;
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
        let reclaimed = self.changes.reclaimed.get(&counted.name).copied();
        for _ in 0..TRIES {
            let now = self.desk.clock.now();
            let before = pool.status.as_ref();
            let Some(status) = pool_status(counted, before, reclaimed.unwrap_or(0), now) else {
                return Ok(false);
            };
            pool.status = Some(status);
            let write = async || self.desk.api.write_status(&pool).await;
            if self.desk.retry(write).await? {
                return Ok(true);
            }
            let read = async || self.desk.api.pool(counted.name.as_str()).await;
            match self.desk.retry(read).await? {
                Some(newer) => pool = newer,
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Keeps the addresses of nodes out of the pools.
    pub(super) async fn reserve_nodes(
        &mut self,
        snapshot: &Snapshot,
        pools: &Pools,
        written: &[ReservedIP],
    ) -> Result<(), Stop> {
        if self.options.dry_run {
            return Ok(());
        }
        let name = |object: &ReservedIP| object.metadata.name.clone().unwrap_or_default();
        let wanted = reservations(snapshot, pools);
        for object in &wanted {
            self.go_on()?;
            let there = written.iter().find(|there| name(there) == name(object));
            if there.is_some_and(|there| there.spec == object.spec) {
                continue;
            }
            let mut object = object.clone();
            if let Some(there) = there {
                object.metadata = there.metadata.clone();
            }
            // Somebody else's write is seen by the next run.
            let write = async || self.desk.api.reserve(&object).await;
            if let Err(error) = self.desk.retry(write).await {
                self.failed(format!("{} was not written", name(&object)), error);
            }
        }
        let wanted: Vec<String> = wanted.iter().map(name).collect();
        for stale in written {
            if is_ours(&name(stale)) && !wanted.contains(&name(stale)) {
                self.go_on()?;
                let delete = async || self.desk.api.unreserve(stale).await;
                if let Err(error) = self.desk.retry(delete).await {
                    self.failed(format!("{} was not deleted", name(stale)), error);
                }
            }
        }
        Ok(())
    }
}
