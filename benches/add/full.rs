//! ADD where pools are nearly full: `cargo bench --bench add -- full [ADDRESSES…]`, by default 1000
//! and 16383.
//!
//! Each pool is filled by the admin to 50, 90, 99 and 99.9 % with leases of other nodes' pods,
//! scattered. At each level: ADDs alone, then twenty at a time, on one node; what they took is
//! given back before the next. In the same run a `curl` GET on a new connection, and ADDs in a pool
//! with room.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Result;
use kube::api::{Api, Patch, PatchParams};
use leasehold::api::IPPool;
use serde_json::json;
use testbed::Attachment;
use tokio::task::JoinSet;

use super::{Bench, milli, per_second, real};

/// Shares of a pool that are taken, in thousandths, and whether the collector has just written its
/// status.
const LEVELS: [(usize, bool); 5] = [
    (500, false),
    (900, false),
    (990, false),
    (990, true),
    (999, true),
];

/// What a row of the table measures.
struct Row {
    name: String,
    pool: String,
    alone: usize,
    burst: usize,
}

impl Bench {
    /// The table for pools of these sizes.
    pub async fn full_pools(&self, sizes: &[usize]) -> Result<()> {
        println!(
            "{:28} {:>9} {:>9} {:>9} | {:>7} {:>9} {:>9} {:>9} {:>6}",
            "", "alone p50", "max", "requests", "20: a s", "p50", "p99", "requests", "failed"
        );
        let mut curl = Vec::new();
        for _ in 0..20 {
            curl.push(self.curl()?.run().await?.success()?.elapsed);
        }
        curl.sort_unstable();
        println!("{:28} {:>9}", "curl GET, new connection", milli(curl[10]));
        self.row(&Row {
            name: "plenty of room".to_owned(),
            pool: super::POOL.to_owned(),
            alone: 20,
            burst: 200,
        })
        .await?;
        for (index, &size) in sizes.iter().enumerate() {
            self.pool_of(index, size).await?;
            let mut filled = 0;
            for (level, counted) in LEVELS {
                let wanted = size * level / 1000;
                let numbers = (filled..wanted).map(|number| scattered(number, size));
                let addresses = numbers.map(|number| address(index, number).into());
                self.cluster.hold(&pool(size), addresses).await?;
                filled = wanted;
                let status = if counted {
                    self.write_status(index, size, filled).await?;
                    ", counted"
                } else {
                    ""
                };
                let free = size - filled;
                self.row(&Row {
                    name: format!("{size}, {:.1} % taken{status}", real(level) / 10.0),
                    pool: pool(size),
                    alone: (free / 2).clamp(1, 20),
                    burst: if free > 4 { (free * 2 / 3).min(100) } else { 0 },
                })
                .await?;
            }
        }
        Ok(())
    }

    pub async fn pool_of(&self, index: usize, size: usize) -> Result<()> {
        let range = format!("{}-{}", address(index, 0), address(index, size - 1));
        let object = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": pool(size)},
            "spec": {"subnet": format!("10.{}.0.0/15", 100 + 2 * index), "ips": [range], "cooldownSeconds": 0}});
        self.cluster.apply_yaml(&object.to_string()).await
    }

    /// What the collector would write.
    async fn write_status(&self, index: usize, size: usize, filled: usize) -> Result<()> {
        let pools: Api<IPPool> = Api::all(self.cluster.admin().await?);
        let free = (filled..size).map(|number| address(index, scattered(number, size)));
        let sample: Vec<String> = free
            .map(|free| free.to_string())
            .step_by((size - filled).div_ceil(64))
            .collect();
        let status = json!({"status": {"capacity": size, "held": filled, "free": size - filled, "cooling": 0, "retained": 0,
            "quarantined": 0, "reclaimed": 0, "observedAt": "2026-01-01T00:00:00.000000Z", "sample": sample}});
        let (params, patch) = (PatchParams::default(), Patch::Merge(status));
        pools.patch_status(&pool(size), &params, &patch).await?;
        Ok(())
    }

    async fn row(&self, row: &Row) -> Result<()> {
        let mark = self.cluster.mark().await?;
        let (mut alone, mut added) = (Vec::new(), Vec::new());
        for _ in 0..row.alone {
            let eth0 = self.attachment_on(&row.pool).await?;
            alone.push(eth0.add().await?.success()?.elapsed);
            added.push(eth0);
        }
        alone.sort_unstable();
        let requests = real(self.requests(&mark).await?) / real(row.alone);
        print!(
            "{:28} {:>9} {:>9} {requests:>9.1} | ",
            row.name,
            milli(alone[alone.len() / 2]),
            milli(alone[alone.len() - 1])
        );
        clear(added).await?;
        if row.burst > 0 {
            let mut waiting = Vec::new();
            for _ in 0..row.burst {
                waiting.push(self.attachment_on(&row.pool).await?);
            }
            let mark = self.cluster.mark().await?;
            let ended = at_a_time(20, waiting).await?;
            let requests = real(self.requests(&mark).await?) / real(row.burst);
            let [p50, p99] = ended.percentiles().map(milli);
            print!(
                "{:>7.0} {p50:>9} {p99:>9} {requests:>9.1} {:>6}",
                per_second(row.burst, ended.elapsed),
                ended.refused.len()
            );
            clear(ended.added).await?;
        }
        println!();
        Ok(())
    }
}

/// Gives back what the ADDs took: the pools have no cooldown.
pub async fn clear(attachments: Vec<Attachment>) -> Result<()> {
    for eth0 in attachments {
        eth0.del().await?.success()?;
    }
    Ok(())
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
        let last = self.each.len() - 1;
        [50, 99].map(|percent| self.each[(self.each.len() * percent / 100).min(last)])
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

pub fn pool(size: usize) -> String {
    format!("full-{size}")
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
