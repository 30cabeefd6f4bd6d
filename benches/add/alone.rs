//! One call at a time.
//!
//! The kinds of call take turns, some calls of each, so that a change of the machine's speed meets
//! all of them.

use std::time::Duration;

use anyhow::{Context, Result};
use testbed::{Attachment, Call, Outcome};

use super::Sizes;
use super::environment::{Bench, POOL, plugin};
use super::figures::{each, head, mega, milli, percentile, real, row};
use super::peers::Whereabouts;
use super::process::{Cost, measure};

/// What everything is compared with: the first row.
const MEASURE: &str = "`curl` GET, new TLS connection";

/// A row of the table.
struct Row {
    name: &'static str,
    costs: Vec<Cost>,
    requests: usize,
    server: Duration,
}

struct Table<'a> {
    bench: &'a Bench,
    rows: Vec<Row>,
}

impl Bench {
    /// Prints what each kind of call costs.
    pub async fn alone(&self, sizes: &Sizes, whereabouts: Option<&Whereabouts>) -> Result<()> {
        let bytes = std::fs::metadata(plugin())?.len();
        println!("one call at a time; the plugin has {:.1} MB\n", mega(bytes));
        let rows = Vec::new();
        let mut table = Table { bench: self, rows };
        for _ in 0..sizes.turns {
            table.turn(sizes.calls, whereabouts).await?;
        }
        table.print()
    }
}

impl Table<'_> {
    async fn turn(&mut self, calls: usize, whereabouts: Option<&Whereabouts>) -> Result<()> {
        let bench = self.bench;
        let curl = (0..calls).map(|_| bench.curl()).collect::<Result<_>>()?;
        self.measure(MEASURE, curl).await?;

        let pods = bench.pods(calls).await?;
        let floor: Vec<_> = pods
            .iter()
            .map(|pod| bench.floor(pod))
            .collect::<Result<_>>()?;
        self.call("floor process", "ADD", &floor).await?;

        let host_local = pods.iter().map(|pod| bench.host_local(pod));
        let host_local: Vec<_> = host_local.collect::<Result<_>>()?;
        self.call("host-local `ADD`", "ADD", &host_local).await?;
        self.call("host-local `DEL`", "DEL", &host_local).await?;

        if let Some(whereabouts) = whereabouts {
            let all = pods.iter();
            let all = all.map(|pod| whereabouts.attachment(bench, pod, "10.78.0.0/16"));
            let all: Vec<_> = all.collect::<Result<_>>()?;
            self.call("Whereabouts 0.9.2 `ADD`", "ADD", &all).await?;
            self.call("Whereabouts 0.9.2 `DEL`", "DEL", &all).await?;
        }

        let ours: Vec<_> = pods
            .iter()
            .map(|pod| bench.ours(pod, POOL))
            .collect::<Result<_>>()?;
        self.call("`ADD`", "ADD", &ours).await?;
        self.call("`CHECK`", "CHECK", &ours).await?;
        self.call("`DEL`", "DEL", &ours).await?;
        self.call("second `DEL`", "DEL", &ours).await
    }

    /// The same command for each, one after the other.
    async fn call(&mut self, name: &'static str, command: &str, all: &[Attachment]) -> Result<()> {
        let calls = all.iter().map(|eth0| eth0.call(command));
        let outcomes = self.measure(name, calls.collect::<Result<_>>()?).await?;
        if command == "ADD" {
            for (eth0, outcome) in all.iter().zip(outcomes) {
                eth0.remember(Some(outcome.json()?));
            }
        }
        Ok(())
    }

    async fn measure(&mut self, name: &'static str, calls: Vec<Call>) -> Result<Vec<Outcome>> {
        let all = async {
            let (mut outcomes, mut costs) = (Vec::new(), Vec::new());
            for call in calls {
                let (outcome, cost) = measure(call).await.context(name)?;
                outcomes.push(outcome);
                costs.push(cost);
            }
            anyhow::Ok((outcomes, costs))
        };
        let ((outcomes, mut costs), spent) = self.bench.spending(all).await?;
        let (requests, server) = (spent.requests.len(), spent.server);
        if let Some(row) = self.rows.iter_mut().find(|row| row.name == name) {
            row.costs.append(&mut costs);
            row.requests += requests;
            row.server += server;
        } else {
            self.rows.push(Row {
                name,
                costs,
                requests,
                server,
            });
        }
        Ok(outcomes)
    }

    fn print(self) -> Result<()> {
        head([
            "p50",
            "p99",
            "× `curl`",
            "requests",
            "plugin CPU",
            "server CPU",
            "memory",
        ]);
        let mut unit = None;
        for mut of in self.rows {
            of.costs.sort_unstable_by_key(|cost| cost.elapsed);
            let times: Vec<_> = of.costs.iter().map(|cost| cost.elapsed).collect();
            let median = percentile(&times, 50);
            let unit = *unit.get_or_insert(median);
            let peak = of.costs.iter().map(|cost| cost.memory).max();
            row(
                of.name,
                [
                    milli(median),
                    milli(percentile(&times, 99)),
                    format!("{:.2}", median.div_duration_f64(unit)),
                    format!("{:.1}", real(of.requests) / real(times.len())),
                    each(of.costs.iter().map(|cost| cost.cpu).sum(), times.len()),
                    each(of.server, times.len()),
                    format!("{:.1} MB", mega(peak.context("no call")?)),
                ],
            );
        }
        Ok(())
    }
}
