//! Many ADDs at once: `cargo bench --bench add -- exact|recreate|exhausted`.
//!
//! - `exact [AT A TIME…]`: as many pods as the pool has addresses, by default 20, 100 and 200 at a
//!   time.
//! - `recreate`: all pods of such a pool are deleted and made again at once, while the old ones
//!   still release.
//! - `exhausted [ADDRESSES]`: 200 pods ask a pool that has nothing, by default of 16383 addresses,
//!   three times. The API server's CPU beside that of as many `curl` GETs on new connections.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::Attachment;

use super::full::{address, at_a_time, clear, pool};
use super::{Bench, milli, per_second, real};

/// Pods that retry.
const WAITING: usize = 200;

impl Bench {
    /// Pods on exactly as many addresses.
    pub async fn exact(&self, pods: usize, at_once: &[usize]) -> Result<()> {
        self.pool_of(0, pods).await?;
        println!(
            "{:34} {:>9} {:>9} {:>9} {:>9} {:>6}",
            "", "ADDs a s", "p50", "p99", "requests", "failed"
        );
        let plenty = self.attachments_on(super::POOL, pods).await?;
        self.storm("plenty of room, 20 at a time", plenty, 20)
            .await?;
        // Where nothing names a pool, what decides is read consistently.
        let unnamed = self.attachments_on(super::POOL, pods).await?;
        let unnamed = unnamed.into_iter();
        let unnamed = unnamed.map(|eth0| eth0.ipam("ipv4Pools", json!(null)));
        self.storm("the same by default pools", unnamed.collect(), 20)
            .await?;
        for &count in at_once {
            let name = format!("{pods} pods on {pods}, {count} at a time");
            let exact = self.attachments_on(&pool(pods), pods).await?;
            self.storm(&name, exact, count).await?;
        }
        Ok(())
    }

    async fn storm(&self, name: &str, waiting: Vec<Attachment>, count: usize) -> Result<()> {
        let pods = waiting.len();
        let mark = self.cluster.mark().await?;
        let ended = at_a_time(count, waiting).await?;
        let requests = real(self.requests(&mark).await?) / real(pods);
        let [p50, p99] = ended.percentiles().map(milli);
        println!(
            "{name:34} {:>9.0} {p50:>9} {p99:>9} {requests:>9.1} {:>6}",
            per_second(pods, ended.elapsed),
            ended.refused.len()
        );
        clear(ended.added).await
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
        let before = self.server_cpu()?;
        for _ in 0..WAITING {
            self.curl()?.run().await?.success()?;
        }
        let curl = self.server_cpu()?.saturating_sub(before);
        println!("{WAITING} curl GETs: {} of the API server", milli(curl));
        let mut waiting = self.attachments_on(&pool(size), WAITING).await?;
        for round in 1..=3 {
            let (before, mark) = (self.server_cpu()?, self.cluster.mark().await?);
            let ended = at_a_time(20, waiting).await?;
            ensure!(ended.added.is_empty(), "an address was found");
            let cpu = self.server_cpu()?.saturating_sub(before);
            println!(
                "{WAITING} ADDs, {size} addresses, round {round}: {} of the API server = {:.1} x curl, {:.1} requests, {:.1} s",
                milli(cpu),
                cpu.as_secs_f64() / curl.as_secs_f64(),
                real(self.requests(&mark).await?) / real(WAITING),
                ended.elapsed.as_secs_f64()
            );
            waiting = ended.refused;
        }
        Ok(())
    }

    async fn attachments_on(&self, pool: &str, count: usize) -> Result<Vec<Attachment>> {
        let mut attachments = Vec::with_capacity(count);
        for _ in 0..count {
            attachments.push(self.attachment_on(pool).await?);
        }
        Ok(attachments)
    }

    /// What this cluster's API server has used so far (proc(5), `/proc/pid/stat`: utime and stime,
    /// in ticks of 10 ms).
    fn server_cpu(&self) -> Result<Duration> {
        let folder = self.cluster.dir().to_string_lossy().into_owned();
        for process in fs::read_dir("/proc")? {
            let process = process?.path();
            let command = fs::read(process.join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command);
            if command.contains("kube-apiserver\0") && command.contains(&folder) {
                let stat = fs::read_to_string(process.join("stat"))?;
                let (_, stat) = stat.rsplit_once(')').context("no stat")?;
                let ticks = stat.split_whitespace().skip(11).take(2);
                let ticks: Result<Vec<u64>, _> = ticks.map(str::parse).collect();
                return Ok(Duration::from_millis(10 * ticks?.iter().sum::<u64>()));
            }
        }
        anyhow::bail!("the API server of {folder} is not found")
    }
}
