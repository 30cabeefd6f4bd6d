//! Many ADDs at once, by default in the same run as [one at a time](super::alone): the floor
//! process, plenty of room, as many pods as the pool has addresses, Whereabouts.
//!
//! - `cargo bench --bench add -- recreate`: all pods of such a pool are deleted and made again at
//!   once, while the old ones still release.
//! - `-- exhausted [ADDRESSES]`: 200 pods ask a pool that has nothing, by default of 16383
//!   addresses, three times. The server's CPU beside that of as many `curl` GETs on new
//!   connections.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;
use testbed::Attachment;

use super::Sizes;
use super::environment::{Bench, POOL};
use super::figures::{each, head, milli, per_second, percentile, real, row};
use super::full::{address, at_a_time, clear, pool};
use super::peers::Whereabouts;
use super::process::children_cpu;

/// Pods that retry.
const WAITING: usize = 200;

/// What one storm has come to.
struct Storm {
    name: String,
    elapsed: Duration,
    /// How long each took, sorted.
    times: Vec<Duration>,
    requests: usize,
    plugin: Duration,
    server: Duration,
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
                format!("{:.1}", real(self.requests) / real(count)),
                each(self.plugin, count),
                each(self.server, count),
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
        let mark = self.cluster.mark().await?;
        let (plugin, server) = (children_cpu()?, self.cluster.server_cpu()?);
        let ended = at_a_time(at_once, waiting).await?;
        let storm = Storm {
            name: name.to_owned(),
            elapsed: ended.elapsed,
            plugin: children_cpu()?.saturating_sub(plugin),
            server: self.cluster.server_cpu()?.saturating_sub(server),
            requests: self.requests(&mark).await?,
            failed: ended.refused.len(),
            times: ended.each,
        };
        let given_back = stream::iter(&ended.added).map(Ok::<_, anyhow::Error>);
        given_back
            .try_for_each_concurrent(20, async |eth0| {
                eth0.del().await?.success()?;
                Ok(())
            })
            .await?;
        Ok(storm)
    }

    /// Every pod is replaced by another one.
    pub async fn recreate(&self, pods: usize) -> Result<()> {
        self.pool_of(0, pods).await?;
        let old = self.attachments_on(&pool(pods), pods).await?;
        let old = at_a_time(20, old).await?;
        ensure!(old.refused.is_empty(), "{} failed", old.refused.len());
        let mut new = self.attachments_on(&pool(pods), pods).await?;
        let begun = Instant::now();
        let release = async {
            clear(old.added).await?;
            anyhow::Ok(begun.elapsed())
        };
        let start = async {
            let mut refused = 0;
            while !new.is_empty() {
                new = at_a_time(20, new).await?.refused;
                refused += new.len();
            }
            anyhow::Ok((begun.elapsed(), refused))
        };
        let (released, started) = tokio::join!(release, start);
        let (released, (started, refused)) = (released?, started?);
        println!(
            "{pods} pods replaced: released after {:.1} s, started after {:.1} s, {refused} ADDs refused meanwhile",
            released.as_secs_f64(),
            started.as_secs_f64()
        );
        Ok(())
    }

    /// Pods that retry on a pool in which nothing is free.
    pub async fn exhausted(&self, size: usize) -> Result<()> {
        self.pool_of(0, size).await?;
        let addresses = (0..size).map(|number| address(0, number).into());
        self.cluster.hold(&pool(size), addresses).await?;
        let before = self.cluster.server_cpu()?;
        for _ in 0..WAITING {
            self.curl()?.run().await?.success()?;
        }
        let curl = self.cluster.server_cpu()?.saturating_sub(before);
        println!("{WAITING} curl GETs: {} of the server", milli(curl));
        let mut waiting = self.attachments_on(&pool(size), WAITING).await?;
        for round in 1..=3 {
            let (before, mark) = (self.cluster.server_cpu()?, self.cluster.mark().await?);
            let ended = at_a_time(20, waiting).await?;
            ensure!(ended.added.is_empty(), "an address was found");
            let cpu = self.cluster.server_cpu()?.saturating_sub(before);
            println!(
                "{WAITING} ADDs, {size} addresses, round {round}: {} of the server = {:.1} x curl, {:.1} requests, {:.1} s",
                milli(cpu),
                cpu.as_secs_f64() / curl.as_secs_f64(),
                real(self.requests(&mark).await?) / real(WAITING),
                ended.elapsed.as_secs_f64()
            );
            waiting = ended.refused;
        }
        Ok(())
    }
}
