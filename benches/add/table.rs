//! The table of ADDs in crowded pools: alone, then twenty at a time, each beside as many in a pool
//! with room a moment before.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use testbed::Attachment;

use super::environment::{Bench, POOL};
use super::figures::{each, head, milli, per_second, percentile, real, row};
use super::full::{Ended, at_a_time, now};
use super::storms::give_back;

const COLUMNS: [&str; 11] = [
    "alone p50",
    "× plenty",
    "requests",
    "server CPU",
    "20: a s",
    "× plenty",
    "p50",
    "p99",
    "requests",
    "server CPU",
    "failed",
];

/// ADDs alone, and twenty at a time, of a row.
const ALONE: usize = 20;
const BURST: usize = 100;

/// They are made in so many rounds at most, where few addresses are free.
const ROUNDS: usize = 10;

/// What a row of the table measures.
pub struct Row {
    pub name: String,
    /// What the IPAM configuration names.
    pub ipam: Vec<(&'static str, Value)>,
    /// How many addresses are free.
    pub free: usize,
    /// The pools that the collector counts before each round.
    pub counted: Vec<String>,
}

impl Row {
    /// ADDs that find plenty of room.
    fn plenty() -> Self {
        Self {
            name: "plenty of room".to_owned(),
            ipam: vec![("ipv4Pools", json!([POOL]))],
            free: usize::MAX,
            counted: Vec::new(),
        }
    }
}

/// What ADDs took, some at a time.
#[derive(Default)]
pub struct Measured {
    elapsed: Duration,
    /// How long each took, sorted.
    times: Vec<Duration>,
    requests: usize,
    server: Duration,
    failed: usize,
}

impl Measured {
    fn rate(&self) -> f64 {
        per_second(self.times.len(), self.elapsed)
    }

    fn requests(&self) -> String {
        format!("{:.1}", real(self.requests) / real(self.times.len()))
    }

    fn alone(&self, plenty: &Self) -> [String; 4] {
        let [median, unit] = [self, plenty].map(|of| percentile(&of.times, 50));
        [
            milli(median),
            format!("{:.2}", median.div_duration_f64(unit)),
            self.requests(),
            each(self.server, self.times.len()),
        ]
    }

    fn burst(&self, plenty: &Self) -> [String; 7] {
        [
            format!("{:.0}", self.rate()),
            format!("{:.2}", self.rate() / plenty.rate()),
            milli(percentile(&self.times, 50)),
            milli(percentile(&self.times, 99)),
            self.requests(),
            each(self.server, self.times.len()),
            self.failed.to_string(),
        ]
    }
}

impl Bench {
    /// The head of such a table, and what else is measured in the same run.
    pub async fn begin_table(&self) -> Result<()> {
        head(COLUMNS);
        let mut curl = Vec::new();
        for _ in 0..ALONE {
            curl.push(self.curl()?.run().await?.success()?.elapsed);
        }
        curl.sort_unstable();
        let mut cells = COLUMNS.map(|_| String::new());
        cells[0] = milli(percentile(&curl, 50));
        row("`curl` GET, new TLS connection", cells);
        self.measure_row(&Row::plenty()).await
    }

    /// Prints a row: ADDs alone, then twenty at a time, unless hardly an address is free.
    pub async fn measure_row(&self, of: &Row) -> Result<()> {
        let mut cells = COLUMNS.map(|_| String::new());
        let a_round = (of.free / 2).clamp(1, ALONE);
        let [plenty, alone] = self.beside_plenty(of, 1, a_round, ALONE).await?;
        cells[..4].clone_from_slice(&alone.alone(&plenty));
        let a_round = (of.free / 3 * 2).min(BURST);
        if a_round > 0 {
            let [plenty, burst] = self.beside_plenty(of, 20, a_round, BURST).await?;
            cells[4..].clone_from_slice(&burst.burst(&plenty));
        }
        row(&of.name, cells);
        Ok(())
    }

    /// Some ADDs at a time, in rounds, until there are so many: those that find plenty of room
    /// first.
    async fn beside_plenty(
        &self,
        of: &Row,
        at_once: usize,
        a_round: usize,
        count: usize,
    ) -> Result<[Measured; 2]> {
        let mut both = [Measured::default(), Measured::default()];
        for (row, measured) in [&Row::plenty(), of].into_iter().zip(&mut both) {
            for _ in 0..count.div_ceil(a_round).min(ROUNDS) {
                let waiting = self.attachments_asking(row, a_round).await?;
                for pool in &row.counted {
                    self.patch_status(pool, json!({"observedAt": now()}))
                        .await?;
                }
                let ended = self.measure_adds(waiting, at_once, measured).await?;
                give_back(&ended.added).await?;
            }
        }
        Ok(both)
    }

    /// Prints a row of ADDs that all found what they asked for only once: there is no other round.
    pub async fn measure_once(&self, name: &str, waiting: Vec<Attachment>) -> Result<Ended> {
        let mut both = [Measured::default(), Measured::default()];
        let others = self.attachments_on(POOL, waiting.len()).await?;
        let ended = self.measure_adds(others, 20, &mut both[0]).await?;
        give_back(&ended.added).await?;
        let ended = self.measure_adds(waiting, 20, &mut both[1]).await?;
        let [plenty, burst] = both;
        let mut cells = COLUMNS.map(|_| String::new());
        cells[4..].clone_from_slice(&burst.burst(&plenty));
        row(name, cells);
        Ok(ended)
    }

    async fn measure_adds(
        &self,
        waiting: Vec<Attachment>,
        at_once: usize,
        measured: &mut Measured,
    ) -> Result<Ended> {
        let (ended, spent) = self.spending(at_a_time(at_once, waiting)).await?;
        measured.server += spent.server;
        measured.requests += spent.requests.len();
        measured.elapsed += ended.elapsed;
        measured.times.extend(&ended.each);
        measured.times.sort_unstable();
        measured.failed += ended.refused.len();
        Ok(ended)
    }

    /// Interfaces of so many pods, which ask as the row says.
    async fn attachments_asking(&self, of: &Row, count: usize) -> Result<Vec<Attachment>> {
        let all = self.attachments_on(POOL, count).await?.into_iter();
        let ask = |eth0: Attachment| {
            let keys = of.ipam.iter();
            keys.fold(eth0, |eth0, (key, value)| eth0.ipam(key, value.clone()))
        };
        Ok(all.map(ask).collect())
    }
}
