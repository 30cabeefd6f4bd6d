//! ADD where pools are nearly full: `cargo bench --bench add -- full [ADDRESSES…]`, by default 1000
//! and 16383.
//!
//! Each pool is filled by the admin to 50, 90, 99 and 99.9 % with leases of other nodes' pods,
//! scattered. At each level: ADDs alone, then twenty at a time, on one node; what they took is
//! given back before the next. Pods of this node take the last 400 addresses, and the last 200 of
//! them are a row: every address must be found. In the same run a `curl` GET on a new connection,
//! and ADDs in a pool with room.
//!
//! The collector counts each minute, so the status is what it would just have written. In one row
//! it has not counted since the level before.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kube::api::{Api, Patch, PatchParams};
use leasehold::api::IPPool;
use serde_json::{Value, json};
use testbed::Attachment;
use tokio::task::JoinSet;

use super::environment::Bench;
use super::figures::{percentile, real};
use super::storms::give_back;
use super::table::Row;

/// Shares of a pool that are taken, in thousandths, and whether the collector has just counted.
const LEVELS: [(usize, bool); 5] = [
    (500, true),
    (900, true),
    (990, false),
    (990, true),
    (999, true),
];

/// So many addresses are left to pods of this node, twenty at a time.
const REST: usize = 400;

/// So many of those pods are the last.
const LAST: usize = 200;

/// How many addresses the collector names where there are few pools.
const SAMPLE: usize = 256;

/// A pool's leases as the collector counts them.
#[derive(Default)]
pub struct Counted {
    pub held: usize,
    pub cooling: usize,
    pub free: Vec<IpAddr>,
    pub overlaps: bool,
}

impl Bench {
    /// The table for pools of these sizes.
    pub async fn full_pools(&self, sizes: &[usize]) -> Result<()> {
        self.begin_table().await?;
        for (index, &size) in sizes.iter().enumerate() {
            self.pool_of(index, size).await?;
            let mut filled = 0;
            let mut is_last_done = false;
            for (level, counted) in LEVELS {
                let wanted = size * level / 1000;
                if size - wanted < REST && !std::mem::replace(&mut is_last_done, true) {
                    self.fill(index, size, &mut filled, size - REST).await?;
                    self.last(index, size).await?;
                }
                self.fill(index, size, &mut filled, wanted).await?;
                let (status, pools) = if counted {
                    self.count(index, size, filled).await?;
                    ("", vec![pool(size)])
                } else {
                    (", not counted since", Vec::new())
                };
                let row = Row {
                    name: format!("{size}, {:.1} % taken{status}", real(level) / 10.0),
                    ipam: vec![("ipv4Pools", json!([pool(size)]))],
                    free: size - filled,
                    counted: pools,
                };
                self.measure_row(&row).await?;
            }
        }
        Ok(())
    }

    /// Fills the pool from so many addresses to so many.
    async fn fill(&self, index: usize, size: usize, filled: &mut usize, to: usize) -> Result<()> {
        let numbers = (*filled..to).map(|number| scattered(number, size));
        let addresses = numbers.map(|number| address(index, number).into());
        self.cluster.hold(&pool(size), addresses).await?;
        *filled = to;
        Ok(())
    }

    async fn count(&self, index: usize, size: usize, filled: usize) -> Result<()> {
        let free = (filled..size).map(|number| address(index, scattered(number, size)).into());
        let counted = Counted {
            held: filled,
            free: free.collect(),
            ..Counted::default()
        };
        self.write_status(&pool(size), counted).await
    }

    /// The pods that take the last addresses of the pool.
    async fn last(&self, index: usize, size: usize) -> Result<()> {
        self.count(index, size, size - REST).await?;
        let mut waiting = self.attachments_on(&pool(size), REST).await?;
        let last = waiting.split_off(REST - LAST);
        let before = at_a_time(20, waiting).await?;
        let name = format!("{size}, the last {LAST} addresses");
        let ended = self.measure_once(&name, last).await?;
        let mut found = BTreeSet::new();
        for eth0 in before.added.iter().chain(&ended.added) {
            found.extend(eth0.ips()?);
        }
        ensure!(found.len() == REST, "{} of {REST} were found", found.len());
        give_back(&before.added).await?;
        give_back(&ended.added).await
    }

    pub async fn pool_of(&self, index: usize, size: usize) -> Result<()> {
        let spec =
            json!({"subnet": subnet(index), "ips": [range(index, 0, size)], "cooldownSeconds": 0});
        self.apply_pool(&pool(size), &spec).await
    }

    pub async fn apply_pool(&self, name: &str, spec: &Value) -> Result<()> {
        let object = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": name},
            "spec": spec});
        self.cluster.apply_yaml(&object.to_string()).await
    }

    /// What the collector would write now.
    pub async fn write_status(&self, pool: &str, counted: Counted) -> Result<()> {
        let Counted {
            held,
            cooling,
            free,
            overlaps,
        } = counted;
        let sampled = if free.len() < held + cooling {
            free.len().min(SAMPLE)
        } else {
            0
        };
        let sample: Vec<_> = free.iter().take(sampled).collect();
        let overlapping = json!({"type": "Overlapping", "status": if overlaps { "True" } else { "False" },
            "reason": "Bench", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({"capacity": held + cooling + free.len(), "held": held, "cooling": cooling,
            "free": free.len(), "retained": 0, "quarantined": 0, "reclaimed": 0, "sample": sample,
            "conditions": [overlapping], "observedAt": now()});
        self.patch_status(pool, status).await
    }

    pub async fn patch_status(&self, pool: &str, status: Value) -> Result<()> {
        let pools: Api<IPPool> = Api::all(self.cluster.admin().await?);
        let patch = Patch::Merge(json!({"status": status}));
        pools
            .patch_status(pool, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }
}

/// How ADDs have ended.
pub struct Ended {
    /// How long all took.
    pub elapsed: Duration,
    /// How long each took, sorted.
    pub each: Vec<Duration>,
    pub added: Vec<Attachment>,
    pub refused: Vec<Attachment>,
}

impl Ended {
    /// The median, and the 99th percentile.
    pub fn percentiles(&self) -> [Duration; 2] {
        [50, 99].map(|percent| percentile(&self.each, percent))
    }
}

/// So many ADDs at once.
pub async fn at_a_time(count: usize, mut waiting: Vec<Attachment>) -> Result<Ended> {
    let begun = Instant::now();
    let (mut each, mut added, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let mut running = JoinSet::new();
    loop {
        while running.len() < count
            && let Some(eth0) = waiting.pop()
        {
            running.spawn(async move {
                let outcome = eth0.add().await;
                outcome.map(|outcome| (eth0, outcome))
            });
        }
        let Some(ended) = running.join_next().await else {
            each.sort_unstable();
            return Ok(Ended {
                elapsed: begun.elapsed(),
                each,
                added,
                refused,
            });
        };
        let (eth0, outcome) = ended??;
        each.push(outcome.elapsed);
        if outcome.succeeded() {
            added.push(eth0);
        } else {
            refused.push(eth0);
        }
    }
}

/// The time of a count.
pub fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

pub fn pool(size: usize) -> String {
    format!("full-{size}")
}

/// The subnet of the pool with this index.
pub fn subnet(index: usize) -> String {
    format!("10.{}.0.0/15", 100 + 2 * index)
}

/// So many of its addresses.
pub fn range(index: usize, from: usize, size: usize) -> String {
    let [first, last] = [from, from + size - 1].map(|number| address(index, number));
    format!("{first}-{last}")
}

pub fn address(index: usize, number: usize) -> Ipv4Addr {
    let base = u32::from(Ipv4Addr::new(10, 100, 0, 1));
    let offset = u32::try_from(index << 17 | number).expect("a few pools of a /15");
    Ipv4Addr::from(base + offset)
}

/// A permutation of the numbers below `size`: its factor is a prime that divides none of the sizes.
pub fn scattered(number: usize, size: usize) -> usize {
    number * 7919 % size
}
