//! Nothing is released on incomplete knowledge, and the exit code and the message show what
//! happened.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::Outcome;
use testbed::proxy::{By, Call, Do, On, Proxy, Verb};

use super::heartbeats::{Heartbeat, alive, beat};
use super::run::Report;
use crate::env::TestEnv;

/// A dead pod's address, and the collector behind a proxy.
pub struct Faulty {
    pub env: TestEnv,
    pub proxy: Proxy,
    pub dead: std::net::IpAddr,
    _heartbeat: Heartbeat,
}

impl Faulty {
    pub async fn new(name: &'static str, subnet: &str) -> Result<Self> {
        let env = super::run::env(name, subnet).await?;
        let node = env.cluster.fresh_node().create().await?;
        let heartbeat = alive(&env.cluster, &node).await?;
        let dead = env.attach(&node, "dead").await?;
        dead.pod.force_delete().await?;
        // An earlier run has marked it, and its node has been heard of since: the next one would
        // release it.
        env.collect(&["--margin", "0"]).await?;
        beat(&env.cluster, node.name()).await?;
        let proxy = Proxy::start(&env.cluster.url(0), &env.cluster.ca_pem())?;
        Ok(Self {
            dead: dead.address,
            env,
            proxy,
            _heartbeat: heartbeat,
        })
    }

    pub async fn collect(&self, args: &[&str]) -> Result<Outcome> {
        let server = (self.proxy.url_for("collector"), self.proxy.ca_pem());
        let call = self
            .env
            .collector(args, Some((&server.0, server.1)))
            .await?;
        call.run().await
    }

    /// The most memory that a run takes up to the end of its lists, in bytes.
    async fn peak_of_lists(&self) -> Result<usize> {
        let server = (self.proxy.url_for("collector"), self.proxy.ca_pem());
        let args = ["--dry-run"];
        let call = self.env.collector(&args, Some((&server.0, server.1)));
        let gate = self.proxy.hold(On::list("subnets"));
        let running = call.await?.spawn()?;
        let held = gate.arrived().await?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid()))?;
        held.release();
        running.wait().await?.success()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        Ok(peak.context("no peak")? * 1024)
    }

    /// It fails with these words in one line, and the address is still held.
    async fn fails(&self, case: &str, args: &[&str], words: &[&str]) -> Result<()> {
        let outcome = self.collect(args).await?;
        let message = outcome.stderr.trim_end();
        ensure!(message.lines().count() == 1, "{case}: {outcome}");
        for word in words {
            ensure!(message.contains(word), "{case}: no {word:?} in {message}");
        }
        let looked = Report::of(&outcome)?.summary["looked"] == true;
        let incomplete = message.contains("so nothing was released");
        ensure!(looked != incomplete, "{case}: {outcome}");
        let code = if looked { 1 } else { 2 };
        ensure!(outcome.code == Some(code), "{case}: {outcome}");
        let held = self.env.is_held(self.dead).await?;
        ensure!(held, "{case}: it was released: {outcome}");
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_taken_back_on_incomplete_knowledge() -> Result<()> {
    let faulty = Faulty::new("faults", "10.64.0.0/24").await?;
    let proxy = &faulty.proxy;
    // Time enough to come to each of the faults on a busy machine.
    let quick = ["--margin", "0", "--timeout", "10"];

    let rule = proxy.rule(On::list("pods"), Do::answer(403));
    let words = [
        "the pods could not be listed to the end, so nothing was released",
        "403",
        "GET https://",
    ];
    // That it can't leave its metrics is nothing beside that.
    let args = ["--margin", "0", "--metrics-file", "/proc/no-such-folder/f"];
    faulty.fails("no right to list pods", &args, &words).await?;
    rule.remove();

    let rule = proxy.rule(On::list("pods"), Do::answer(429).retry_after(1));
    let words = ["the pods could not be listed to the end", "429"];
    faulty.fails("429 all the time", &quick, &words).await?;
    rule.remove();

    let rule = proxy.rule(On::list("nodes"), Do::LoseHalf(By::Reset));
    let words = ["the nodes could not be listed to the end"];
    faulty
        .fails("a list that breaks off", &quick, &words)
        .await?;
    rule.remove();

    let rule = proxy.rule(On::list("pods"), Do::LoseHalf(By::Silence));
    let words = ["the pods could not be listed to the end"];
    faulty
        .fails("a list that falls silent", &quick, &words)
        .await?;
    rule.remove();

    proxy.refuse().await;
    let words = ["the leases could not be listed to the end", "was not sent"];
    faulty
        .fails("the API server is gone", &quick, &words)
        .await?;
    proxy.resume().await;

    let rule = proxy.rule(On::get("pods"), Do::answer(403));
    let words = ["failed, first:", "lease", "was not released", "403"];
    faulty
        .fails("no right to read a pod", &["--margin", "0"], &words)
        .await?;
    rule.remove();

    let rule = proxy.rule(On::get("pods"), Do::LoseReply(By::Reset));
    let words = ["failed, first:", "was not released", "was not answered"];
    faulty
        .fails("no answer to a live read", &quick, &words)
        .await?;
    rule.remove();

    Ok(())
}

/// How things are is what a person looks for then.
#[tokio::test]
async fn a_run_that_runs_out_of_time_still_writes_the_status_of_pools() -> Result<()> {
    let faulty = Faulty::new("late", "10.99.0.0/24").await?;
    let env = &faulty.env;
    env.attach(&env.node, "another").await?;
    faulty
        .proxy
        .rule(On::get("pods"), Do::LoseReply(By::Silence));
    let outcome = faulty
        .collect(&["--margin", "0", "--timeout", "10"])
        .await?;
    ensure!(outcome.code == Some(1), "{outcome}");
    let status = env.read_pool("late").await?.status;
    let held = status.context("no status")?.held;
    ensure!(held == 2, "{held} held, {outcome}");
    Ok(())
}

/// As when a whole cluster comes back: it waits as `Retry-After` asks, and then does its work.
#[tokio::test]
async fn a_minute_of_429_is_waited_through() -> Result<()> {
    const MINUTE: Duration = Duration::from_mins(1);
    let faulty = Faulty::new("busy", "10.71.0.0/24").await?;
    let rule = faulty.proxy.rule(On::any(), Do::answer(429).retry_after(5));
    rule.for_duration(MINUTE);
    let outcome = faulty.collect(&["--margin", "0"]).await?.success()?;
    // One every five seconds, and no more than jitter can lengthen that.
    let asked = rule.acted();
    ensure!((9..=13).contains(&asked), "{asked} requests, {outcome}");
    ensure!(outcome.elapsed > MINUTE, "{outcome}");
    let report = Report::of(&outcome)?;
    ensure!(
        report.about(&faulty.dead.to_string()).is_some(),
        "{report:#?}"
    );
    ensure!(!faulty.env.is_held(faulty.dead).await?, "{report:#?}");
    Ok(())
}

/// API servers before 1.34 read pages from etcd itself, so that there are none as long as nothing
/// goes wrong.
#[tokio::test]
async fn each_list_is_one_request_that_the_watch_cache_serves() -> Result<()> {
    let faulty = Faulty::new("cached", "10.65.128.0/24").await?;
    faulty.collect(&["--margin", "0"]).await?.success()?;
    let log = faulty.proxy.log();
    // Events have no watch cache.
    let paged =
        On::verbs([Verb::List]).when(|call| limit(call).is_some() && call.resource != "events");
    ensure!(log.count(&paged) == 0, "{log}");
    ensure!(log.count(&On::list("pods")) == 1, "{log}");
    Ok(())
}

fn whole(resource: &str) -> On {
    On::list(resource).when(|call| limit(call).is_none())
}

/// How many objects a list asks for; `None`: all.
fn limit(call: &Call) -> Option<u32> {
    let mut query = call.query();
    query.find_map(|pair| pair.strip_prefix("limit=")?.parse().ok())
}

#[tokio::test]
async fn a_list_that_is_too_long_to_come_whole_comes_in_pages_and_is_begun_again_if_it_expires()
-> Result<()> {
    let faulty = Faulty::new("expired", "10.65.0.0/16").await?;
    // More than a page.
    for index in 0..510_u16 {
        let address = format!("10.65.{}.{}", 100 + index / 250, 1 + index % 250);
        faulty
            .env
            .write_lease(&address, json!({"state": "Retained"}))
            .await?;
    }
    let too_long = faulty
        .proxy
        .rule(whole("ipleases"), Do::LoseHalf(By::Reset));
    let next_page = || On::list("ipleases").with_query("continue");
    let rule = faulty.proxy.rule(next_page(), Do::answer(410));
    let words = [
        "the list of leases expired 3 times before its end, so nothing was released",
        "410",
    ];
    faulty
        .fails("an expired token", &["--margin", "0"], &words)
        .await?;
    rule.remove();

    faulty.proxy.rule(next_page().nth(1), Do::answer(410));
    let report = Report::of(&faulty.collect(&["--margin", "0"]).await?.success()?)?;
    ensure!(
        report.about(&faulty.dead.to_string()).is_some(),
        "{report:#?}"
    );
    ensure!(
        report.summary["leases"].as_u64() >= Some(511),
        "{report:#?}"
    );
    ensure!(too_long.acted() == 5, "{} times", too_long.acted());
    let log = faulty.proxy.log();
    let lists = On::verbs([Verb::List]);
    let pages: Vec<u32> = log
        .of(&lists)
        .filter_map(|list| limit(&list.call))
        .collect();
    ensure!(pages.iter().all(|limit| *limit <= 500), "{log}");
    ensure!(pages.contains(&500), "{log}");
    Ok(())
}

/// Of a list as it arrives no more is held than one object: the collector's memory does not grow
/// with what pods carry.
#[tokio::test]
async fn pods_that_are_large_take_no_more_memory_than_small_ones() -> Result<()> {
    const LARGE: usize = 200_000;
    const PODS: usize = 120;
    let faulty = Faulty::new("a-large", "10.72.0.0/24").await?;
    let env = &faulty.env;
    let node = env.cluster.fresh_node().create().await?;
    let before = faulty.peak_of_lists().await?;
    let mut pods = Vec::new();
    for number in 0..PODS {
        let pod = env.cluster.pod(env.name(), &format!("large-{number}"));
        let pod = pod.annotation("example.com/notes", &"x".repeat(LARGE));
        pods.push(pod.on(&node).create().await?);
    }
    let after = faulty.peak_of_lists().await;
    // Every later run on this cluster would have to read them.
    for pod in pods {
        pod.force_delete().await?;
    }
    let (before, after) = (before, after?);
    // What the connection has under way is less than a third of the list.
    ensure!(
        after < before + LARGE * PODS / 3,
        "{before} bytes before, and {after} with {PODS} large pods"
    );
    Ok(())
}

#[tokio::test]
async fn it_ends_between_two_releases_when_it_is_terminated() -> Result<()> {
    let faulty = Faulty::new("terminated", "10.66.0.0/24").await?;
    let server = (faulty.proxy.url_for("collector"), faulty.proxy.ca_pem());
    let call = faulty
        .env
        .collector(&["--margin", "0"], Some((&server.0, server.1)))
        .await?;
    let gate = faulty.proxy.hold(On::list("subnets"));
    let running = call.spawn()?;
    let held = gate.arrived().await?;
    terminate(running.pid()).await?;
    held.release();
    let outcome = running.wait().await?.success()?;
    ensure!(outcome.elapsed < Duration::from_secs(10), "{outcome}");
    let report = Report::of(&outcome)?;
    ensure!(report.summary["stopped"] == true, "{report:#?}");
    ensure!(faulty.env.is_held(faulty.dead).await?, "{report:#?}");
    Ok(())
}

/// Sends SIGTERM, and waits until its handler begins: before the process reads anything else.
async fn terminate(pid: u32) -> Result<()> {
    let process = nix::unistd::Pid::from_raw(pid.try_into()?);
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGTERM)?;
    loop {
        // proc(5): the mask of signals that wait for the process.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
        let pending = u64::from_str_radix(pending.context("no ShdPnd")?.trim(), 16)?;
        if pending & 1 << (nix::libc::SIGTERM - 1) == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
