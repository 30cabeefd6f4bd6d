//! Pools with hardly an address left: what is free is found, in few requests, whatever the node
//! remembers.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::{Attachment, Leased, Mark, Outcome};

use crate::env::{Isolation, TestEnv, with};

const EXHAUSTED: Option<u64> = Some(100);

/// Where the nodes' hints are.
fn hints() -> PathBuf {
    Path::new(leasehold::plugin::RELEASE_CACHE).join("pools")
}

impl TestEnv {
    /// Has pods elsewhere hold these addresses.
    async fn hold(&self, pool: &str, numbers: impl Iterator<Item = u32>) -> Result<()> {
        let addresses = numbers.map(|number| self.at(number).into());
        self.cluster.hold(pool, addresses).await
    }

    async fn add_to(&self, pod: &str, pool: &str) -> Result<(Attachment, Outcome)> {
        let (_, eth0) = self.pod_on(pod, pool).await?;
        let outcome = eth0.add().await?;
        Ok((eth0, outcome))
    }
}

#[tokio::test]
async fn every_address_of_a_pool_is_found_to_the_last_one() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    env.hold(&pool, (1..=200).filter(|number| number % 50 != 0))
        .await?;
    let mut given = Vec::new();
    for number in 0..4 {
        let (eth0, outcome) = env.add_to(&format!("pod-{number}"), &pool).await?;
        outcome.success()?;
        given.extend(eth0.ips()?);
    }
    given.sort_unstable();
    let free: Vec<IpAddr> = [50, 100, 150, 200]
        .map(|number| env.at(number).into())
        .to_vec();
    assert_eq!(given, free);
    let (_, outcome) = env.add_to("one-too-many", &pool).await?;
    assert_eq!(outcome.error_code(), EXHAUSTED, "{outcome}");
    Ok(())
}

impl TestEnv {
    /// The lists of leases that the node has made since.
    async fn lists(&self, since: &Mark) -> Result<Vec<String>> {
        let requests = self.cluster.requests_since(since).await?;
        let lists = requests.iter().filter(|request| {
            request.user() == self.node.user()
                && request.verb == "list"
                && request.resource() == "ipleases"
        });
        Ok(lists.map(|request| request.uri.clone()).collect())
    }
}

#[tokio::test]
async fn what_the_collector_has_seen_free_is_found_without_a_list() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=1000)).await?;
    env.hold(&pool, 1..=996).await?;
    let sample: Vec<_> = (996..=1000).map(|number| env.at(number)).collect();
    let at = jiff::Timestamp::now().to_string();
    let status =
        json!({"capacity": 1000, "held": 996, "free": 4, "sample": sample, "observedAt": at});
    env.report(&pool, &status).await?;
    let mark = env.cluster.mark().await?;
    for number in 0..4 {
        let (_, outcome) = env.add_to(&format!("pod-{number}"), &pool).await?;
        outcome.success()?;
    }
    assert_eq!(env.lists(&mark).await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_large_pool_that_the_collector_has_just_found_full_is_listed_by_no_node() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=600)).await?;
    let (last, outcome) = env.add_to("last", &pool).await?;
    let address = outcome.success()?.ips()?[0];
    let others = (1..=600).filter(|number| IpAddr::from(env.at(*number)) != address);
    env.hold(&pool, others).await?;
    last.del().await?.success()?;
    let at = jiff::Timestamp::now().to_string();
    let status = json!({"capacity": 600, "held": 599, "cooling": 1, "free": 0, "observedAt": at});
    env.report(&pool, &status).await?;
    let mark = env.cluster.mark().await?;
    let (next, outcome) = env.add_to("next", &pool).await?;
    outcome.success()?;
    assert_eq!(next.ips()?, [address]);
    let (_, outcome) = env.add_to("one-too-many", &pool).await?;
    ensure!(outcome.error_code() == EXHAUSTED, "{outcome}");
    let lists = env.lists(&mark).await?;
    let is_of_released = |uri: &String| uri.contains("spec.state%3DCooling");
    ensure!(
        !lists.is_empty() && lists.iter().all(is_of_released),
        "{lists:?}"
    );
    Ok(())
}

#[tokio::test]
async fn what_another_pool_has_released_in_a_full_one_is_found() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let outer = env.pool("outer", env.v4(1..=700)).await?;
    let inner = env.pool("inner", env.v4(1..=600)).await?;
    env.hold(&outer, 1..=599).await?;
    let at = jiff::Timestamp::now().to_string();
    let released = Leased {
        pool: &outer,
        vrf: None,
        released: Some(&at),
    };
    let last: IpAddr = env.at(600).into();
    env.cluster.lease(released, [last].into_iter()).await?;
    let overlapping = json!({"type": "Overlapping", "status": "True", "reason": "SharedAddresses",
        "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let status = json!({"capacity": 600, "held": 599, "cooling": 1, "free": 0, "observedAt": at,
        "conditions": [overlapping]});
    env.report(&inner, &status).await?;
    let mark = env.cluster.mark().await?;
    let (eth0, outcome) = env.add_to("pod", &inner).await?;
    outcome.success()?;
    assert_eq!(eth0.ips()?, [last]);
    let lists = env.lists(&mark).await?;
    let is_of_released = |uri: &String| uri.contains("spec.state%3DCooling");
    ensure!(lists.iter().all(is_of_released), "{lists:?}");
    Ok(())
}

/// Does something to the file of a hint.
type Spoil<'a> = &'a dyn Fn(&Path) -> io::Result<()>;

#[tokio::test]
async fn whatever_becomes_of_the_nodes_hint_the_free_address_is_found() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    env.hold(&pool, 13..=200).await?;
    let free: Vec<IpAddr> = (1..=12).map(|number| env.at(number).into()).collect();
    let (_, outcome) = env.add_to("first", &pool).await?;
    outcome.success()?;
    let hint = hint_of(&free)?.context("no hint")?;
    let untrue = json!({"seen": "2999-01-01T00:00:00Z", "open": [env.at(100), "192.0.2.1", "::1"], "probes": 0,
        "listing": "2999-01-01T00:00:00Z", "full": {"at": "2999-01-01T00:00:00Z", "checked": "2999-01-01T00:00:00Z",
        "usage": {"usable": 0, "held": 0, "cooling": 0, "retained": 0, "quarantined": 0, "free": 1}}});
    let spoil: [(&str, Spoil<'_>); 6] = [
        ("gone", &|path| fs::remove_file(path)),
        ("broken", &|path| fs::write(path, "{\"open\": [\"10.")),
        ("of another time", &|path| {
            fs::write(path, untrue.to_string())
        }),
        ("huge", &|path| fs::write(path, vec![b'['; 4 << 20])),
        ("a folder", &|path| {
            fs::remove_file(path).and_then(|()| fs::create_dir(path))
        }),
        ("a link", &|path| {
            fs::remove_dir(path)?;
            std::os::unix::fs::symlink("/proc/version", path)
        }),
    ];
    for (what, spoil) in spoil {
        spoil(&hint).with_context(|| what)?;
        let (eth0, outcome) = env.add_to(&what.replace(' ', "-"), &pool).await?;
        outcome.success().with_context(|| what)?;
        ensure!(free.contains(&eth0.ips()?[0]), "{what}: {:?}", eth0.ips()?);
    }
    fs::remove_file(&hint)?;
    Ok(())
}

/// The hint that has seen one of these addresses.
fn hint_of(addresses: &[IpAddr]) -> Result<Option<PathBuf>> {
    let quoted: Vec<String> = addresses.iter().map(|it| format!("\"{it}\"")).collect();
    for file in fs::read_dir(hints()).into_iter().flatten() {
        let path = file?.path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        if quoted.iter().any(|address| text.contains(address)) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[tokio::test]
async fn an_exhausted_pool_gives_what_is_released_within_15_seconds() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    // So many that "full" is repeated without a list.
    let spec = with(env.v4(1..=600), &json!({"cooldownSeconds": 0}));
    let pool = env.pool("pool", spec).await?;
    let (last, outcome) = env.add_to("last", &pool).await?;
    let address = outcome.success()?.ips()?[0];
    let others = (1..=600).filter(|number| IpAddr::from(env.at(*number)) != address);
    env.hold(&pool, others).await?;
    let (eth0, outcome) = env.add_to("waiting", &pool).await?;
    ensure!(outcome.error_code() == EXHAUSTED, "{outcome}");
    last.del().await?.success()?;
    let begun = Instant::now();
    loop {
        let outcome = eth0.add().await?;
        if outcome.succeeded() {
            assert_eq!(eth0.ips()?, [address]);
            return Ok(());
        }
        ensure!(outcome.error_code() == EXHAUSTED, "{outcome}");
        ensure!(begun.elapsed() < Duration::from_secs(15), "{outcome}");
    }
}
