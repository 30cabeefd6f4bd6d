//! What an ADD costs, as whole processes, beside others in the same run: a plain `curl` GET on a
//! new TLS connection, the [floor] of what an address takes, host-local, Whereabouts. First
//! [one call at a time](alone), then in [storms].
//!
//! `LEASEHOLD_BENCH=quick` makes fewer of everything; `LEASEHOLD_BENCH_PLUGIN` names another build
//! to measure. Instead of all that, `-- full [ADDRESSES…]` measures [nearly full pools](full), `--
//! variants [ADDRESSES]` [other sorts](variants) of them, `-- exhausted [ADDRESSES]` pods that [retry
//! on a full one](exhausted), `-- recreate [PODS]` another of the [storms], `-- nodes [NODES]` and
//! `-- interfaces [PODS]` those of [several nodes](nodes), `-- filling [PODS]` what a pool takes as
//! it [fills](filling), `-- sets` the [sets](sets) of many applications at once, and `-- lists`
//! compares [lists of leases](lists).

#![expect(clippy::print_stdout, reason = "a benchmark is there to print")]

use std::env;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use environment::{Bench, POOL};

#[path = "add/alone.rs"]
mod alone;
#[path = "add/environment.rs"]
mod environment;
#[path = "add/exhausted.rs"]
mod exhausted;
#[path = "add/figures.rs"]
mod figures;
#[path = "add/filling.rs"]
mod filling;
#[path = "add/floor.rs"]
mod floor;
#[path = "add/full.rs"]
mod full;
#[path = "add/kept.rs"]
mod kept;
#[path = "add/lists.rs"]
mod lists;
#[path = "add/nodes.rs"]
mod nodes;
#[path = "add/peers.rs"]
mod peers;
#[path = "add/process.rs"]
mod process;
#[path = "add/sets.rs"]
mod sets;
#[path = "add/storms.rs"]
mod storms;
#[path = "add/table.rs"]
mod table;
#[path = "add/variants.rs"]
mod variants;
#[path = "add/whereabouts.rs"]
mod whereabouts;

/// For the tables: they take three minutes on two idle cores.
const PATIENCE: Duration = Duration::from_mins(15);

/// How many of what.
struct Sizes {
    /// Calls of each kind one after the other, in so many turns of so many.
    turns: usize,
    calls: usize,
    /// Pods of a storm.
    storm: usize,
    /// Pods of Whereabouts' storm: it serves ten a second.
    slow_storm: usize,
    /// Nodes of a storm.
    nodes: usize,
    /// Pods with many interfaces.
    interfaces: usize,
    /// Leases among which lists are compared.
    leases: usize,
}

impl Sizes {
    fn chosen() -> Self {
        if env::var("LEASEHOLD_BENCH").as_deref() == Ok("quick") {
            Self {
                turns: 2,
                calls: 5,
                storm: 100,
                slow_storm: 20,
                nodes: 10,
                interfaces: 8,
                leases: 500,
            }
        } else {
            Self {
                turns: 5,
                calls: 20,
                storm: 1_000,
                slow_storm: 200,
                nodes: 100,
                interfaces: 128,
                leases: 20_000,
            }
        }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|it| it != "--bench").collect();
    if let Some((process::WATCH, arguments)) = split(&arguments) {
        return process::watch(arguments);
    }
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build()?;
    match env::var("CNI_COMMAND") {
        Ok(command) => runtime.block_on(floor::run(&command)),
        Err(_) => runtime.block_on(run(&arguments)),
    }
}

fn split(arguments: &[String]) -> Option<(&str, &[String])> {
    let (command, arguments) = arguments.split_first()?;
    Some((command, arguments))
}

async fn run(arguments: &[String]) -> Result<()> {
    let sizes = Sizes::chosen();
    let (command, numbers) = split(arguments).unwrap_or_default();
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|number| number.parse())
        .collect::<Result<_, _>>()?;
    let bench = Bench::start().await?;
    match (command, &numbers[..]) {
        ("", []) => tokio::time::timeout(PATIENCE, bench.tables(&sizes))
            .await
            .with_context(|| format!("not done within {PATIENCE:?}"))?,
        ("full", []) => bench.full_pools(&[1_000, 16_383]).await,
        ("full", sizes) => bench.full_pools(sizes).await,
        ("recreate", []) => bench.recreate(sizes.storm).await,
        ("recreate", &[pods]) => bench.recreate(pods).await,
        ("filling", []) => bench.filling(sizes.storm).await,
        ("filling", &[pods]) => bench.filling(pods).await,
        ("nodes", []) => bench.nodes(sizes.nodes).await,
        ("nodes", &[nodes]) => bench.nodes(nodes).await,
        ("interfaces", []) => bench.interfaces(sizes.interfaces).await,
        ("interfaces", &[pods]) => bench.interfaces(pods).await,
        ("exhausted", []) => bench.exhausted(16_383).await,
        ("exhausted", &[size]) => bench.exhausted(size).await,
        ("variants", []) => bench.variants(16_383).await,
        ("variants", &[size]) => bench.variants(size).await,
        ("sets", []) => {
            bench.sets(sizes.storm).await?;
            bench.kept().await
        }
        ("lists", []) => bench.compare_lists(sizes.leases).await,
        _ => bail!("unknown: {command} {numbers:?}"),
    }
}

impl Bench {
    async fn tables(&self, sizes: &Sizes) -> Result<()> {
        let whereabouts = self.whereabouts().await?;
        self.alone(sizes, whereabouts.as_ref()).await?;
        println!();
        self.storms(sizes, whereabouts.as_ref()).await
    }
}
