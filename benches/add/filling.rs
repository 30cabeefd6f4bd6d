//! Where the requests go while a pool fills to its last address, twenty ADDs at a time: `cargo
//! bench --bench add -- filling [PODS]`, by default 1000 pods on as many addresses.

use anyhow::{Result, ensure};
use testbed::Request;

use super::environment::{Bench, POOL};
use super::figures::{each, head, milli, per_second, percentile, real, row};
use super::full::{at_a_time, pool};
use super::storms::give_back;

/// Parts of the pool, in thousandths.
const PARTS: [(&str, usize); 4] = [
    ("to 50 %", 500),
    ("to 90 %", 400),
    ("to 98 %", 80),
    ("to 100 %", 20),
];

impl Bench {
    /// Prints what an ADD takes in each part of the filling, beside one with room.
    pub async fn filling(&self, pods: usize) -> Result<()> {
        self.pool_of(0, pods).await?;
        head([
            "a second",
            "× room",
            "p50",
            "p99",
            "requests",
            "GET lease",
            "lists",
            "lost",
            "plugin CPU",
            "server CPU",
        ]);
        let mut unit = None;
        let room = self.part("with room", POOL, pods / 2, &mut unit).await?;
        give_back(&room).await?;
        for (name, share) in PARTS {
            let count = pods * share / 1000;
            self.part(name, &pool(pods), count, &mut unit).await?;
        }
        Ok(())
    }

    async fn part(
        &self,
        name: &str,
        pool: &str,
        pods: usize,
        unit: &mut Option<f64>,
    ) -> Result<Vec<testbed::Attachment>> {
        let waiting = self.attachments_on(pool, pods).await?;
        let (ended, spent) = self.spending(at_a_time(20, waiting)).await?;
        let share = |fits: &dyn Fn(&Request) -> bool| {
            let count = spent.requests.iter().filter(|it| fits(it)).count();
            format!("{:.2}", real(count) / real(pods))
        };
        let of_lease = |verb: &'static str| {
            move |request: &Request| request.resource() == "ipleases" && request.verb == verb
        };
        let rate = per_second(pods, ended.elapsed);
        row(
            name,
            [
                format!("{rate:.0}"),
                format!("{:.2}", rate / *unit.get_or_insert(rate)),
                milli(percentile(&ended.each, 50)),
                milli(percentile(&ended.each, 99)),
                share(&|_| true),
                share(&of_lease("get")),
                share(&of_lease("list")),
                share(&|request| request.code() == 409),
                each(spent.plugin, pods),
                each(spent.server, pods),
            ],
        );
        ensure!(ended.refused.is_empty(), "{} failed", ended.refused.len());
        Ok(ended.added)
    }
}
