//! What an ADD costs: a whole process, beside a plain `curl` GET on a new TLS connection in the
//! same run.
//!
//! `LEASEHOLD_BENCH=quick` makes fewer of everything; `LEASEHOLD_BENCH_PLUGIN` names another build
//! to measure. With `-- full` it measures [nearly full pools](full) instead, with `-- exact`,
//! `-- recreate` or `-- exhausted` a [storm](storms). Beside it all stands the [floor]: a process
//! that does the least that an address takes.

#![expect(clippy::print_stdout, reason = "a benchmark is there to print")]

use std::collections::BTreeMap;
use std::env;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kube::api::Api;
use leasehold::api::IPLease;
use serde_json::json;
use testbed::{Attachment, Call, Cluster, Mark, Node, Outcome, Pod, Sandbox};
use tokio::task::JoinSet;

#[path = "add/floor.rs"]
mod floor;
#[path = "add/full.rs"]
mod full;
#[path = "add/storms.rs"]
mod storms;

const POOL: &str = "bench";
const LEASES: &str = "/apis/leasehold.io/v1alpha1/ipleases";

fn plugin() -> PathBuf {
    let named = env::var_os("LEASEHOLD_BENCH_PLUGIN");
    named.map_or_else(|| env!("CARGO_BIN_EXE_leasehold").into(), PathBuf::from)
}

/// How many of what.
struct Sizes {
    /// Calls one after the other.
    calls: usize,
    /// ADDs, twenty at a time.
    burst: usize,
    /// Pods of a storm.
    storm: usize,
    /// Leases that are in place for the second half.
    leases: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).filter(|it| it != "--bench").collect();
    let (command, arguments) = match arguments.split_first() {
        Some((command, arguments)) => (command.as_str(), arguments),
        None => ("", &[][..]),
    };
    if command == floor::FLOOR {
        return floor::run(arguments).await;
    }
    let is_quick = env::var("LEASEHOLD_BENCH").as_deref() == Ok("quick");
    let sizes = if is_quick {
        Sizes {
            calls: 10,
            burst: 40,
            storm: 100,
            leases: 500,
        }
    } else {
        Sizes {
            calls: 50,
            burst: 300,
            storm: 1_000,
            leases: 20_000,
        }
    };
    let bytes = std::fs::metadata(plugin())?.len();
    println!("the plugin: {:.1} MB", mega(bytes));
    let cluster = Cluster::start().await?;
    let pool = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "IPPool", "metadata": {"name": POOL},
        "spec": {"subnet": "10.80.0.0/14", "gateway": "10.80.0.1", "default": true}});
    cluster.apply_yaml(&pool.to_string()).await?;
    let bench = Bench {
        node: cluster.node("n1").create().await?,
        cluster,
    };
    // The API server fills its caches at the first list of each kind.
    bench.one_by_one(3).await?;
    let numbers: Vec<usize> = arguments
        .iter()
        .map(|number| number.parse())
        .collect::<Result<_, _>>()?;
    match (command, &numbers[..]) {
        ("", _) => {}
        ("full", []) => return bench.full_pools(&[1_000, 16_383]).await,
        ("full", sizes) => return bench.full_pools(sizes).await,
        ("exact", []) => return bench.exact(sizes.storm, &[20, 100, 200]).await,
        ("exact", at_once) => return bench.exact(sizes.storm, at_once).await,
        ("recreate", []) => return bench.recreate(sizes.storm).await,
        ("exhausted", []) => return bench.exhausted(16_383).await,
        ("exhausted", &[size]) => return bench.exhausted(size).await,
        _ => anyhow::bail!("unknown: {command} {numbers:?}"),
    }
    bench.report(&sizes).await?;
    let upper = u32::from(Ipv4Addr::new(10, 82, 0, 0))..;
    let upper = upper.map(|bits| Ipv4Addr::from(bits).into());
    bench.cluster.hold(POOL, upper.take(sizes.leases)).await?;
    bench.report(&sizes).await?;
    bench.compare_lists().await
}

struct Bench {
    cluster: Cluster,
    node: Node,
}

impl Bench {
    async fn report(&self, sizes: &Sizes) -> Result<()> {
        let leases: Api<IPLease> = Api::all(self.cluster.admin().await?);
        let count = leases
            .list_metadata(&kube::api::ListParams::default())
            .await?
            .items
            .len();
        println!(
            "\n{:32} {:>8} {:>8} {:>9}",
            format!("with {count} leases in place"),
            "p50",
            "p95",
            "requests"
        );
        let times = self.one_by_one(sizes.calls).await?;
        for (what, Times { mut each, requests }) in times {
            each.sort_unstable();
            println!(
                "{what:32} {:>8} {:>8} {requests:>9.1}",
                milli(each[each.len() / 2]),
                milli(each[each.len() * 95 / 100])
            );
        }
        let (elapsed, served) = self.burst(sizes.burst).await?;
        println!(
            "{served} ADDs, twenty at a time: {:.0} a second",
            per_second(served, elapsed)
        );
        Ok(())
    }

    /// ADD, DEL and `curl` in turn, so that a change of the machine's speed meets all three.
    async fn one_by_one(&self, calls: usize) -> Result<BTreeMap<&'static str, Times>> {
        let mut times: BTreeMap<&'static str, Times> = BTreeMap::new();
        for _ in 0..calls {
            let eth0 = self.attachment().await?;
            let mut run = async |what, call: Call| -> Result<Outcome> {
                let mark = self.cluster.mark().await?;
                let outcome = call.run().await?.success()?;
                let time = times.entry(what).or_default();
                let seen = time.each.len();
                time.requests = (time.requests * real(seen) + real(self.requests(&mark).await?))
                    / real(seen + 1);
                time.each.push(outcome.elapsed);
                Ok(outcome)
            };
            run("curl GET, new connection", self.curl()?).await?;
            run("floor process", self.floor(&self.pod().await?)?).await?;
            let added = run("ADD", eth0.call("ADD")?).await?;
            eth0.remember(Some(added.json()?));
            run("CHECK", eth0.call("CHECK")?).await?;
            run("DEL", eth0.call("DEL")?).await?;
        }
        Ok(times)
    }

    async fn burst(&self, calls: usize) -> Result<(Duration, usize)> {
        let mut waiting = Vec::new();
        for _ in 0..calls {
            waiting.push(self.attachment().await?);
        }
        let begun = Instant::now();
        let mut running = JoinSet::new();
        let mut served = 0;
        while served < calls {
            while running.len() < 20
                && let Some(eth0) = waiting.pop()
            {
                running.spawn(async move { eth0.add().await?.success() });
            }
            running.join_next().await.context("one of them")???;
            served += 1;
        }
        Ok((begun.elapsed(), served))
    }

    async fn attachment(&self) -> Result<Attachment> {
        self.attachment_on(POOL).await
    }

    async fn attachment_on(&self, pool: &str) -> Result<Attachment> {
        let pod = self.pod().await?;
        let eth0 = Attachment::new(&plugin(), &self.node, &pod, &Arc::new(Sandbox::new()?))?;
        Ok(eth0.ipam("ipv4Pools", json!([pool])))
    }

    async fn pod(&self) -> Result<Pod> {
        let pod = (self.cluster).pod("bench", &format!("pod-{}", next(&PODS)));
        pod.on(&self.node).create().await
    }

    /// The least that an address takes, as a process.
    fn floor(&self, pod: &Pod) -> Result<Call> {
        static ADDRESSES: AtomicUsize = AtomicUsize::new(1);
        let number = next(&ADDRESSES);
        Ok(Call::new(&env::current_exe()?)
            .arg(floor::FLOOR)
            .arg(self.node.kubeconfig())
            .arg(pod.namespace())
            .arg(pod.name())
            .arg(format!("10.83.{}.{}", number / 256, number % 256)))
    }

    fn curl(&self) -> Result<Call> {
        let ca = self.cluster.dir().join("curl-ca.pem");
        std::fs::write(&ca, self.cluster.ca_pem())?;
        let call = Call::new(Path::new("/usr/bin/curl"))
            .arg("--silent")
            .arg("--show-error")
            .arg("--fail");
        let token = format!("Authorization: Bearer {}", self.node.token());
        let url = format!(
            "{}/apis/leasehold.io/v1alpha1/ippools/{POOL}",
            self.cluster.url(0)
        );
        Ok(call
            .arg("--cacert")
            .arg(ca)
            .arg("--header")
            .arg(token)
            .arg(url))
    }

    /// As the API server counted them.
    async fn requests(&self, since: &Mark) -> Result<usize> {
        let all = self.cluster.requests_since(since).await?;
        Ok(all
            .iter()
            .filter(|request| request.user() == self.node.user())
            .count())
    }

    /// The list of a pool's leases in the forms that the API server has: why the plugin asks for a
    /// table.
    async fn compare_lists(&self) -> Result<()> {
        let admin = self.cluster.admin().await?;
        println!(
            "\n{:32} {:>8} {:>9}",
            "a list of the pool's leases", "p50", "MB"
        );
        for (form, accept, more) in [
            (
                "table without objects",
                "application/json;as=Table;g=meta.k8s.io;v=v1",
                "&includeObject=None",
            ),
            (
                "metadata",
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                "",
            ),
            ("objects", "application/json", ""),
        ] {
            let mut each = Vec::new();
            let mut bytes = 0;
            for _ in 0..7 {
                let uri =
                    format!("{LEASES}?resourceVersion=0&fieldSelector=spec.pool%3D{POOL}{more}");
                let request = http::Request::get(uri)
                    .header("Accept", accept)
                    .body(Vec::new())?;
                let begun = Instant::now();
                bytes = admin.request_text(request).await?.len();
                each.push(begun.elapsed());
            }
            each.sort_unstable();
            println!(
                "{form:32} {:>8} {:>9.2}",
                milli(each[each.len() / 2]),
                mega(bytes as u64)
            );
        }
        Ok(())
    }
}

static PODS: AtomicUsize = AtomicUsize::new(0);

fn next(counter: &AtomicUsize) -> usize {
    counter.fetch_add(1, Ordering::Relaxed)
}

#[derive(Default)]
struct Times {
    each: Vec<Duration>,
    /// Of one call, on average.
    requests: f64,
}

fn milli(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "figures of three digits")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "figures of three digits")]
fn real(count: usize) -> f64 {
    count as f64
}

fn per_second(count: usize, time: Duration) -> f64 {
    real(count) / time.as_secs_f64()
}
