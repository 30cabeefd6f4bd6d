//! Storms of several nodes, each with an identity and notes (`/run/leasehold`) of its own.
//!
//! - `cargo bench --bench add -- nodes [NODES]`: 20 pods on each of so many nodes, by default 100,
//!   under the API server's default flow control. A node serves one pod at a time, and at most 200
//!   nodes are at work at once: each has a process, and this is one machine.
//! - `-- interfaces [PODS]`: so many pods, by default 128, on two nodes, all at once. Each has 16
//!   interfaces, which it is given in turn, as Multus does.
//!
//! Each storm has as many addresses as it wants, then exactly as many as it needs, beside single
//! pods in the same run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;
use testbed::{Attachment, Node, Pod, Sandbox, container_id};

use super::environment::{Bench, POOL, plugin};
use super::figures::{each, head, milli, per_second, percentile, row};
use super::full::pool;
use super::storms::give_back;

const PODS_OF_A_NODE: usize = 20;
const NODES_AT_ONCE: usize = 200;
const INTERFACES: usize = 16;

/// Of what everything is compared with.
const SINGLE_PODS: usize = 500;

/// What is served in turn: the pods of a node, or the interfaces of a pod.
type Turns = Vec<Attachment>;

struct Storm {
    elapsed: Duration,
    /// How long each call took, sorted.
    calls: Vec<Duration>,
    /// How long each that is served in turn took in all, sorted.
    turns: Vec<Duration>,
    added: Vec<Attachment>,
    failed: usize,
}

impl Bench {
    /// So many nodes, whose pods come at once.
    pub async fn nodes(&self, count: usize) -> Result<()> {
        let mut nodes = Vec::new();
        for number in 0..count {
            let node = self.cluster.node(&format!("n{}", number + 2));
            nodes.push(node.own_cache().create().await?);
        }
        let mut pods = Vec::new();
        for node in &nodes {
            pods.push(self.pods_on(node, PODS_OF_A_NODE).await?);
        }
        let all = count * PODS_OF_A_NODE;
        self.pool_of(0, all).await?;
        // A netns for all: the plugin looks no further than that it exists.
        let sandbox = Arc::new(Sandbox::new()?);
        let attach = |node: &Node, pod: &Pod, pool: &str| {
            let eth0 = Attachment::new(&plugin(), node, pod, &sandbox)?;
            let eth0 = eth0.container(&container_id()?);
            anyhow::Ok(eth0.ipam("ipv4Pools", json!([pool])))
        };
        let unit = self.single_pods(20).await?;
        for (pool, what) in [(POOL, "with room"), (&pool(all), "on as many addresses")] {
            let of = |(node, pods): (&Node, &Vec<Pod>)| {
                pods.iter().map(|pod| attach(node, pod, pool)).collect()
            };
            let turns: Vec<Turns> = nodes.iter().zip(&pods).map(of).collect::<Result<_>>()?;
            let name = format!("{count} nodes × {PODS_OF_A_NODE} pods {what}");
            self.storm_in_turns(&name, turns, NODES_AT_ONCE, unit)
                .await?;
        }
        Ok(())
    }

    /// So many pods of several interfaces on two nodes.
    pub async fn interfaces(&self, count: usize) -> Result<()> {
        let all = count * INTERFACES;
        self.pool_of(0, all).await?;
        let mut pods = Vec::new();
        for name in ["n2", "n3"] {
            let node = self.cluster.node(name).own_cache().create().await?;
            let of_node = self.pods_on(&node, count / 2).await?;
            pods.extend(of_node.into_iter().map(|pod| (node.clone(), pod)));
        }
        let unit = self.single_pods(count).await?;
        for (pool, what) in [(POOL, "with room"), (&pool(all), "on as many addresses")] {
            let of = |(node, pod): &(Node, Pod)| {
                let sandbox = Arc::new(Sandbox::new()?);
                let interface = |number: usize| {
                    let net = Attachment::new(&plugin(), node, pod, &sandbox)?;
                    let net = net.interface(&format!("net{}", number + 1));
                    anyhow::Ok(net.ipam("ipv4Pools", json!([pool])))
                };
                (0..INTERFACES).map(interface).collect()
            };
            let turns: Vec<Turns> = pods.iter().map(of).collect::<Result<_>>()?;
            let name = format!("{count} pods × {INTERFACES} interfaces {what}");
            self.storm_in_turns(&name, turns, count, unit).await?;
        }
        Ok(())
    }

    /// How many single pods with room are served in a second, so many at a time.
    async fn single_pods(&self, at_once: usize) -> Result<f64> {
        head([
            "a second",
            "× single",
            "p50",
            "p99",
            "fastest",
            "slowest",
            "requests",
            "plugin CPU",
            "server CPU",
            "429",
            "failed",
        ]);
        let single = self.attachments_on(POOL, SINGLE_PODS).await?;
        let turns = single.into_iter().map(|eth0| vec![eth0]).collect();
        let name = format!("single pods with room, {at_once} at a time");
        self.storm_in_turns(&name, turns, at_once, 0.0).await
    }

    /// Prints how they fare, none of which may fail, and returns how many are served in a second.
    async fn storm_in_turns(
        &self,
        name: &str,
        turns: Vec<Turns>,
        at_once: usize,
        unit: f64,
    ) -> Result<f64> {
        let rejected = self.rejected().await?;
        let (storm, spent) = self.spending(in_turns(turns, at_once)).await?;
        let count = storm.calls.len();
        let rate = per_second(count, storm.elapsed);
        let seconds = |time: Option<&Duration>| {
            time.map_or_else(String::new, |time| format!("{:.1} s", time.as_secs_f64()))
        };
        row(
            name,
            [
                format!("{rate:.0}"),
                format!("{:.2}", if unit > 0.0 { rate / unit } else { 1.0 }),
                milli(percentile(&storm.calls, 50)),
                milli(percentile(&storm.calls, 99)),
                seconds(storm.turns.first()),
                seconds(storm.turns.last()),
                spent.requests_each(count),
                each(spent.plugin, count),
                each(spent.server, count),
                (self.rejected().await? - rejected).to_string(),
                storm.failed.to_string(),
            ],
        );
        give_back(&storm.added).await?;
        ensure!(storm.failed == 0, "{} ADDs failed", storm.failed);
        Ok(rate)
    }

    /// How many requests the API server's flow control has rejected since its start.
    async fn rejected(&self) -> Result<u64> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let metrics = self.cluster.admin().await?.request_text(request).await?;
        let counts = metrics
            .lines()
            .filter(|line| line.starts_with("apiserver_flowcontrol_rejected_requests_total{"));
        let counts = counts.map(|line| {
            let (_, count) = line.rsplit_once(' ').context("a metric without a value")?;
            anyhow::Ok(count.parse::<u64>()?)
        });
        counts.sum()
    }
}

/// Serves so many of them at once, each in its turns.
async fn in_turns(all: Vec<Turns>, at_once: usize) -> Result<Storm> {
    let begun = Instant::now();
    let serve = async |turns: Turns| {
        let begun = Instant::now();
        let mut outcomes = Vec::new();
        for eth0 in turns {
            outcomes.push((eth0.add().await?, eth0));
        }
        anyhow::Ok((begun.elapsed(), outcomes))
    };
    let served: Vec<_> = stream::iter(all)
        .map(serve)
        .buffer_unordered(at_once)
        .try_collect()
        .await?;
    let mut storm = Storm {
        elapsed: begun.elapsed(),
        calls: Vec::new(),
        turns: Vec::new(),
        added: Vec::new(),
        failed: 0,
    };
    for (elapsed, outcomes) in served {
        storm.turns.push(elapsed);
        for (outcome, eth0) in outcomes {
            storm.calls.push(outcome.elapsed);
            if outcome.succeeded() {
                storm.added.push(eth0);
            } else {
                eprintln!("{outcome}");
                storm.failed += 1;
            }
        }
    }
    storm.calls.sort_unstable();
    storm.turns.sort_unstable();
    Ok(storm)
}
