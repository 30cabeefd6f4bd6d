//! Many ADDs at once, by default in the same run as [one at a time](super::alone): the floor
//! process, plenty of room, as many pods as the pool has addresses, Whereabouts.
//!
//! `cargo bench --bench add -- recreate [PODS]`: all pods are deleted and others made at once, while
//! the old ones still release; by default 1000, in a pool of twice as many addresses, then of as
//! many. What was released cools for the default 30 s.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use testbed::Attachment;

use super::Sizes;
use super::environment::{Bench, POOL, Spent};
use super::figures::{each, head, milli, per_second, percentile, row};
use super::full::{address, at_a_time, pool, range, subnet};
use super::peers::Whereabouts;

/// When a refused pod of [`recreate`](Bench::recreate) tries again. A kubelet waits some 12 s.
const RETRY: Duration = Duration::from_secs(1);

/// By then each of them has an address.
const PATIENCE: Duration = Duration::from_mins(3);

/// What one storm has come to.
struct Storm {
    name: String,
    elapsed: Duration,
    /// How long each took, sorted.
    times: Vec<Duration>,
    spent: Spent,
    failed: usize,
}

impl Storm {
    fn print(&self, unit: f64) {
        let count = self.times.len();
        let rate = per_second(count, self.elapsed);
        let [median, late] = [50, 99].map(|percent| percentile(&self.times, percent));
        row(
            &self.name,
            [
                format!("{rate:.0}"),
                format!("{:.2}", rate / unit),
                milli(median),
                milli(late),
                format!("{:.1}", late.div_duration_f64(median)),
                self.spent.requests_each(count),
                each(self.spent.plugin, count),
                each(self.spent.server, count),
                self.failed.to_string(),
            ],
        );
    }
}

impl Bench {
    /// Prints how pods fare that come many at once. None of ours may fail.
    pub async fn storms(&self, sizes: &Sizes, whereabouts: Option<&Whereabouts>) -> Result<()> {
        let pods = sizes.storm;
        println!("pods that come at once\n");
        head([
            "a second",
            "× floor",
            "p50",
            "p99",
            "p99/p50",
            "requests",
            "plugin CPU",
            "server CPU",
            "failed",
        ]);
        let all = self.pods(pods).await?;
        let floor: Vec<_> = all
            .iter()
            .map(|pod| self.floor(pod))
            .collect::<Result<_>>()?;
        let floor = self.storm("floor process, 20 at a time", floor, 20).await?;
        let unit = per_second(pods, floor.elapsed);
        floor.print(unit);

        let mut failed = 0;
        let mut ours = async |name: String, waiting, at_once| {
            let storm = self.storm(&name, waiting, at_once).await?;
            storm.print(unit);
            failed += storm.failed;
            anyhow::Ok(())
        };
        let plenty = self.attachments_on(POOL, pods).await?;
        ours("plenty of room, 20 at a time".to_owned(), plenty, 20).await?;
        // Where nothing names a pool, what decides is read consistently.
        let unnamed = self.attachments_on(POOL, pods).await?.into_iter();
        let unnamed = unnamed.map(|eth0| eth0.ipam("ipv4Pools", Value::Null));
        let unnamed = unnamed.collect();
        ours("the same by default pools".to_owned(), unnamed, 20).await?;
        self.pool_of(0, pods).await?;
        for at_once in [20, 100, 200] {
            let exact = self.attachments_on(&pool(pods), pods).await?;
            let name = format!("{pods} pods on {pods}, {at_once} at a time");
            ours(name, exact, at_once).await?;
        }
        if let Some(whereabouts) = whereabouts {
            let pods = sizes.slow_storm;
            let range = format!("{}-{}/15", address(1, 0), address(1, pods - 1));
            let all = self.pods(pods).await?;
            let all = all.iter();
            let all = all.map(|pod| whereabouts.attachment(self, pod, &range));
            let name = format!("Whereabouts, {pods} on {pods}, 20 at a time");
            let storm = self.storm(&name, all.collect::<Result<_>>()?, 20).await?;
            storm.print(unit);
        }
        ensure!(failed == 0, "{failed} ADDs of ours failed");
        Ok(())
    }

    async fn storm(&self, name: &str, waiting: Vec<Attachment>, at_once: usize) -> Result<Storm> {
        let (ended, spent) = self.spending(at_a_time(at_once, waiting)).await?;
        let storm = Storm {
            name: name.to_owned(),
            elapsed: ended.elapsed,
            spent,
            failed: ended.refused.len(),
            times: ended.each,
        };
        give_back(&ended.added).await?;
        Ok(storm)
    }

    /// Every pod is replaced by another one, while it still releases its address.
    pub async fn recreate(&self, pods: usize) -> Result<()> {
        head([
            "a second",
            "× alone",
            "p50",
            "p99",
            "requests",
            "server CPU",
            "refused",
            "released",
            "started",
        ]);
        let mut unit = None;
        for (index, size) in [2 * pods, pods].into_iter().enumerate() {
            let pool = format!("recreate-{size}");
            let spec = json!({"subnet": subnet(index), "ips": [range(index, 0, size)]});
            self.apply_pool(&pool, &spec).await?;
            let old = self.attachments_on(&pool, pods).await?;
            let name = format!("{pods} pods on {size} addresses, 20 at a time");
            let old = self.replace(&name, Vec::new(), old, &mut unit).await?;
            let new = self.attachments_on(&pool, pods).await?;
            let name = format!("{pods} more while those release theirs");
            self.replace(&name, old, new, &mut unit).await?;
        }
        Ok(())
    }

    /// Prints how the new pods fare while the old ones release, and returns the new ones. One that
    /// is refused tries again, until it has an address.
    async fn replace(
        &self,
        name: &str,
        old: Vec<Attachment>,
        mut waiting: Vec<Attachment>,
        unit: &mut Option<f64>,
    ) -> Result<Vec<Attachment>> {
        let pods = waiting.len();
        let begun = Instant::now();
        let release = async {
            give_back(&old).await?;
            anyhow::Ok(begun.elapsed())
        };
        let start = async {
            let (mut added, mut each, mut refused) = (Vec::new(), Vec::new(), 0);
            loop {
                let ended = at_a_time(20, waiting).await?;
                added.extend(ended.added);
                each.extend(ended.each);
                waiting = ended.refused;
                if waiting.is_empty() {
                    each.sort_unstable();
                    return anyhow::Ok((begun.elapsed(), added, each, refused));
                }
                refused += waiting.len();
                ensure!(begun.elapsed() < PATIENCE, "{} are left", waiting.len());
                tokio::time::sleep(RETRY).await;
            }
        };
        let both = async { tokio::try_join!(release, start) };
        let (ended, spent) = self.spending(both).await?;
        let (released, (started, added, times, refused)) = ended;
        let rate = per_second(pods, started);
        row(
            name,
            [
                format!("{rate:.0}"),
                format!("{:.2}", rate / *unit.get_or_insert(rate)),
                milli(percentile(&times, 50)),
                milli(percentile(&times, 99)),
                spent.requests_each(pods),
                each(spent.server, pods),
                refused.to_string(),
                format!("{:.1} s", released.as_secs_f64()),
                format!("{:.1} s", started.as_secs_f64()),
            ],
        );
        Ok(added)
    }
}

/// DELs, twenty at a time.
pub async fn give_back(added: &[Attachment]) -> Result<()> {
    let added = stream::iter(added).map(Ok::<_, anyhow::Error>);
    added
        .try_for_each_concurrent(20, async |eth0| {
            eth0.del().await?.success()?;
            Ok(())
        })
        .await
}
