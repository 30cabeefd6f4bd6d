//! Pods that retry where nothing is free: `cargo bench --bench add -- exhausted [ADDRESSES]`, by
//! default 16383.
//!
//! 200 pods ask three times, every 12 s as a kubelet does, and the collector has counted: the
//! server's CPU beside that of as many `curl` GETs on new connections. Then a pod releases its
//! address, and the pods retry until one of them has it. Again in a pool without a cooldown, where
//! no lease shows what was released.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::Attachment;

use super::environment::Bench;
use super::figures::{head, milli, row};
use super::full::{Counted, address, at_a_time, pool, range, subnet};

/// Pods that retry.
const WAITING: usize = 200;

/// How often.
const EVERY: Duration = Duration::from_secs(12);

const ROUNDS: usize = 3;

/// By then one of them has an address that was released.
const PATIENCE: Duration = Duration::from_mins(2);

impl Bench {
    /// Pods that retry on a pool in which nothing is free.
    pub async fn exhausted(&self, size: usize) -> Result<()> {
        self.cool(size, 30).await?;
        // All but one: the first pod of this node gets that.
        let addresses = (1..size).map(|number| address(0, number).into());
        self.cluster.hold(&pool(size), addresses).await?;
        let mut waiting = self.attachments_on(&pool(size), WAITING + 1).await?;
        let mut last = waiting.pop().context("one more")?;
        head(["server CPU", "× `curl`", "requests", "took"]);
        let before = self.cluster.server_cpu()?;
        for _ in 0..WAITING {
            self.curl()?.run().await?.success()?;
        }
        let curl = self.cluster.server_cpu()?.saturating_sub(before);
        let cells = [milli(curl), "1.0".to_owned(), String::new(), String::new()];
        row(&format!("{WAITING} `curl` GETs"), cells);
        for cooldown in [30, 0] {
            self.cool(size, cooldown).await?;
            // Its lease says how long its address rests.
            last.del().await?.success()?;
            self.counted(size, 1).await?;
            last.add().await?.success()?;
            self.counted(size, 0).await?;
            for round in 1..=ROUNDS {
                let begun = Instant::now();
                let name = format!("{WAITING} ADDs, cooldown {cooldown} s, round {round}");
                waiting = self.round(&name, waiting, curl).await?;
                tokio::time::sleep_until((begun + EVERY).into()).await;
            }
            (last, waiting) = self.hand_over(last, waiting).await?;
        }
        Ok(())
    }

    /// All ask once, twenty at a time; returns them.
    async fn round(
        &self,
        name: &str,
        waiting: Vec<Attachment>,
        curl: Duration,
    ) -> Result<Vec<Attachment>> {
        let (ended, spent) = self.spending(at_a_time(20, waiting)).await?;
        ensure!(ended.added.is_empty(), "an address was found");
        row(
            name,
            [
                milli(spent.server),
                format!("{:.1}", spent.server.div_duration_f64(curl)),
                spent.requests_each(WAITING),
                format!("{:.1} s", ended.elapsed.as_secs_f64()),
            ],
        );
        Ok(ended.refused)
    }

    /// One releases its address, and the others retry until one of them has it: returns that one,
    /// and those that wait on.
    async fn hand_over(
        &self,
        last: Attachment,
        mut waiting: Vec<Attachment>,
    ) -> Result<(Attachment, Vec<Attachment>)> {
        last.del().await?.success()?;
        let begun = Instant::now();
        loop {
            let round = Instant::now();
            let mut ended = at_a_time(20, waiting).await?;
            waiting = ended.refused;
            if let Some(next) = ended.added.pop() {
                let took = format!("{:.1} s", begun.elapsed().as_secs_f64());
                let blank = String::new();
                row(
                    "until one has what was released",
                    [blank.clone(), blank.clone(), blank, took],
                );
                waiting.push(last);
                return Ok((next, waiting));
            }
            ensure!(begun.elapsed() < PATIENCE, "it was given to none");
            tokio::time::sleep_until((round + EVERY).into()).await;
        }
    }

    /// The pool, with this cooldown.
    async fn cool(&self, size: usize, cooldown: u32) -> Result<()> {
        let spec =
            json!({"subnet": subnet(0), "ips": [range(0, 0, size)], "cooldownSeconds": cooldown});
        self.apply_pool(&pool(size), &spec).await
    }

    /// The collector has counted.
    async fn counted(&self, size: usize, free: usize) -> Result<()> {
        let counted = Counted {
            held: size - free,
            free: (0..free).map(|number| address(0, number).into()).collect(),
            ..Counted::default()
        };
        self.write_status(&pool(size), counted).await
    }
}
