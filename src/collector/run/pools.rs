//! What is written about pools and Subnets: their status.

use std::collections::{HashMap, HashSet};

use super::{Run, Stop};
use crate::api::{IPPool, IPPoolStatus, ResourceExt, Subnet};
use crate::collector::api::Api;
use crate::collector::gather::Gathered;
use crate::collector::report::Reporter;
use crate::collector::status::{Counted, CountedLease, pool_status};
use crate::ip::PoolName;
use crate::lease::{LeaseName, State};
use crate::pool::Pools;
use crate::retry::{ApiError, Clock, Error};

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
        let leases: Vec<CountedLease<'_>> = listed.chain(recreated).chain(made).collect();
        let counted = Counted::pools(pools, leases.iter().copied(), &self.findings);
        let of_subnets = Counted::subnets(pools, leases.iter().copied(), &self.findings);
        // One that is there for pools to inherit from gives nothing itself.
        let used: HashSet<&PoolName> = leases.iter().map(|lease| lease.pool).collect();
        let used = of_subnets.iter().filter(|it| used.contains(&it.name));
        self.summary.pools = counted.iter().chain(used).cloned().collect();
        if self.options.dry_run {
            return Ok(());
        }
        let objects = gathered.pools.iter().cloned().map(Object::Pool);
        let objects = objects.chain(gathered.subnets.iter().cloned().map(Object::Subnet));
        let mut objects: HashMap<PoolName, Object> =
            objects.map(|object| (object.name(), object)).collect();
        for counted in counted.into_iter().chain(of_subnets) {
            self.go_on_late()?;
            let Some(object) = objects.remove(&counted.name) else {
                continue;
            };
            match self.write_status(&counted, object).await {
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
    async fn write_status(&self, counted: &Counted, mut object: Object) -> Result<bool, Error> {
        let client = self.late_client;
        let reclaimed = self.changes.reclaimed.get(&counted.name).copied();
        // What was counted is this generation, not a newer one.
        let generation = object.generation();
        for _ in 0..TRIES {
            let now = client.clock.now();
            let before = object.status();
            let reclaimed = reclaimed.unwrap_or(0);
            let Some(status) = pool_status(counted, generation, before, reclaimed, now) else {
                return Ok(false);
            };
            object.set_status(status);
            if client
                .retry(async || object.write(client.api).await)
                .await?
            {
                return Ok(true);
            }
            match client.retry(async || object.read(client.api).await).await? {
                Some(newer) => object = newer,
                None => return Ok(false),
            }
        }
        Ok(false)
    }
}

/// What has such a status.
#[derive(Clone)]
enum Object {
    Pool(IPPool),
    Subnet(Subnet),
}

impl Object {
    fn name(&self) -> PoolName {
        match self {
            Self::Pool(pool) => pool.name_any().into(),
            Self::Subnet(subnet) => PoolName::of_subnet(&subnet.name_any()),
        }
    }

    fn generation(&self) -> Option<i64> {
        match self {
            Self::Pool(pool) => pool.metadata.generation,
            Self::Subnet(subnet) => subnet.metadata.generation,
        }
    }

    fn status(&self) -> Option<&IPPoolStatus> {
        match self {
            Self::Pool(pool) => pool.status.as_ref(),
            Self::Subnet(subnet) => subnet.status.as_ref(),
        }
    }

    fn set_status(&mut self, status: IPPoolStatus) {
        match self {
            Self::Pool(pool) => pool.status = Some(status),
            Self::Subnet(subnet) => subnet.status = Some(status),
        }
    }

    async fn write(&self, api: &impl Api) -> Result<bool, ApiError> {
        match self {
            Self::Pool(pool) => api.write_status(pool).await,
            Self::Subnet(subnet) => api.write_subnet_status(subnet).await,
        }
    }

    async fn read(&self, api: &impl Api) -> Result<Option<Self>, ApiError> {
        Ok(match self {
            Self::Pool(pool) => api.pool(&pool.name_any()).await?.map(Self::Pool),
            Self::Subnet(subnet) => api.subnet(&subnet.name_any()).await?.map(Self::Subnet),
        })
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
