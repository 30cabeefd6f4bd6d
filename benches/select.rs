//! How long a choice of pools takes when there are a thousand of them, and apart from it what comes
//! before.
//!
//! A process chooses once, so what counts is a cold run as much as the median of many.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark ends at the first surprise, and is there to print"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use leasehold::annotations::PoolLists;
use leasehold::api::IPPool;
use leasehold::cni::FamilyPolicy;
use leasehold::ip::{Family, Vrf};
use leasehold::pool::Pools;
use leasehold::select::{Facts, Labels, ObjectMetadata, PodFacts, Request, select};
use serde_json::json;

const POOLS: usize = 1_000;
const RUNS: usize = 200;

/// What a choice among a thousand pools may take.
const LIMIT: Duration = Duration::from_millis(5);

fn main() {
    let written: Vec<IPPool> = (0..POOLS).map(pool).collect();
    let text = serde_json::to_vec(&written).unwrap();
    let (facts, request) = (facts(), request());
    let read = |written| Pools::read(written, &[], &[], &Vrf::default()).unwrap();
    println!(
        "{:36} {:>9} {:>9} {:>9}",
        format!("{POOLS} pools"),
        "first",
        "median",
        "slowest"
    );
    report("parse the API server's JSON", || {
        black_box(serde_json::from_slice::<Vec<IPPool>>(&text)).unwrap();
    });
    let mut copies: Vec<Vec<IPPool>> = vec![written.clone(); RUNS];
    report("understand spans and selectors", || {
        black_box(read(copies.pop().unwrap_or_default()));
    });
    let pools = read(written);
    let mut choices = Vec::new();
    choices.push(report("choose among the default pools", || {
        black_box(select(&facts, &pools, &request)).unwrap();
    }));
    let mut by_pattern = facts.clone();
    let all = r#"{"ipv4":["pool-1*","pool-[2-9]*"],"ipv6":["*"]}"#.to_owned();
    by_pattern
        .pod
        .annotations
        .insert("ipam.leasehold.io/ippool".to_owned(), all);
    choices.push(report("choose by patterns", || {
        black_box(select(&by_pattern, &pools, &request)).unwrap();
    }));
    let mut stranger = facts.clone();
    stranger.node_labels = Some(Labels::new());
    choices.push(report("find that none fits, and report why", || {
        let error = select(&stranger, &pools, &request).unwrap_err();
        black_box((error.to_string(), error.details()));
    }));
    let slow = choices.iter().filter(|median| **median > LIMIT).count();
    println!(
        "{slow} of {} choices took more than {LIMIT:?}",
        choices.len()
    );
    assert_eq!(slow, 0);
}

/// A pool with every condition that there is.
fn pool(number: usize) -> IPPool {
    let (high, low) = (number / 250, number % 250);
    let subnet = if number.is_multiple_of(2) {
        format!("10.{high}.{low}.0/24")
    } else {
        format!("fd00:{high:x}:{low:x}::/64")
    };
    let object = json!({
        "apiVersion": "leasehold.io/v1alpha1",
        "kind": "IPPool",
        "metadata": {"name": format!("pool-{number}")},
        "spec": {
            "subnet": subnet,
            "default": true,
            "nodeAffinity": {"matchLabels": {"topology.kubernetes.io/zone": "a"}},
            "namespaceName": ["kube-system", "default"],
            "podAffinity": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "db"]}]},
        },
    });
    serde_json::from_value(object).unwrap()
}

fn facts() -> Facts {
    let labels = |key: &str, value: &str| Labels::from([(key.to_owned(), value.to_owned())]);
    Facts {
        pod: PodFacts {
            namespace: "default".into(),
            node: "n1".into(),
            labels: labels("app", "web"),
            ..PodFacts::default()
        },
        namespace: ObjectMetadata::default(),
        node_labels: Some(labels("topology.kubernetes.io/zone", "a")),
    }
}

fn request() -> Request {
    Request {
        claim: None,
        interface: "eth0".into(),
        network: "underlay".into(),
        pools: PoolLists::default(),
        policy: FamilyPolicy::PreferDualStack,
        families: Family::BOTH.to_vec(),
        vrf: Vrf::default(),
        clean_gateway: false,
        requested: Vec::new(),
    }
}

/// Prints a line of the table; the median.
fn report(what: &str, mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let began = Instant::now();
        run();
        times.push(began.elapsed());
    }
    let first = times[0];
    times.sort_unstable();
    let (median, slowest) = (times[RUNS / 2], times[RUNS - 1]);
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    println!(
        "{what:36} {:>9} {:>9} {:>9}",
        ms(first),
        ms(median),
        ms(slowest)
    );
    median
}
