//! Each case of the rules, all in one cluster and judged by the same runs.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::heartbeats::alive;
use super::run::{Attached, Report};
use cases::Cases;

mod cases;

/// Where a case ends.
#[derive(Clone, Copy)]
pub enum End {
    /// Released, with these words.
    Reclaimed(&'static str),
    /// Kept, by this reason.
    Kept(&'static str),
    /// Not even looked at: its pod lives, or no pod may have it.
    Untouched,
}

use End::{Kept, Reclaimed, Untouched};

const HEARTBEAT: &str = "the pod is gone, and its node is Ready, has renewed its heartbeat since and has had time to tear it down";

pub struct Case {
    says: &'static str,
    address: IpAddr,
    end: End,
}

/// What nodes and ADDs are given: nothing, so that it takes no longer than the runs.
const ARGS: [&str; 4] = ["--margin", "0", "--add-timeout", "0"];

#[tokio::test]
async fn a_lease_is_released_when_its_pod_is_proven_dead_and_never_before() -> Result<()> {
    let env = super::run::env("situations", "10.60.0.0/16").await?;
    let living = env.cluster.fresh_node().create().await?;
    let silent = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &living).await?;
    super::heartbeats::beat(&env.cluster, silent.name()).await?;
    let mut cases = Cases {
        env: &env,
        living,
        silent,
        all: Vec::new(),
    };
    cases
        .on_living("alive", "a pod that lives", Untouched)
        .await?;
    cases.surplus().await?;
    cases.pods_that_are_gone().await?;
    cases.pods_that_end().await?;
    cases.static_pods().await?;
    cases.nodes_that_are_gone().await?;
    let _heartbeats = cases.nodes_that_are_not_ready().await?;
    cases.two_holders().await?;
    cases.a_namespace_with_everything_in_it().await?;
    cases.states_that_end().await?;

    let before = env.leases().await?;
    let dry = env.collect(&[&ARGS[..], &["--dry-run"]].concat()).await?;
    ensure!(
        before == env.leases().await?,
        "a dry run has written something"
    );
    ensure!(dry.summary["marks"].as_u64() > Some(0), "{dry:#?}");
    let first = env.collect(&["--margin", "0"]).await?;
    ensure!(
        first.kept("young") >= 2,
        "an ADD may be at work on them: {first:#?}"
    );
    for case in &cases.all {
        is_not_released_at_once(case, &first)?;
    }
    let mut runs = vec![first];
    while !cases.are_over().await? {
        let begun = Instant::now();
        runs.push(env.collect(&ARGS).await?);
        ensure!(runs.len() < 100, "after {:?}: {runs:#?}", begun.elapsed());
    }

    let wrong = cases.not_as_expected(&runs).await?;
    let last = &runs[runs.len() - 1];
    ensure!(wrong.is_empty(), "{}\n{last:#?}", wrong.join("\n"));
    let held = env.held().await?.len();
    let status = env.read_pool("situations").await?.status;
    let status = status.unwrap_or_default();
    ensure!(
        status.held == i64::try_from(held)?,
        "{held} are held: {status:?}"
    );
    ensure!(status.reclaimed == cases.reclaimed()?, "{status:?}");
    ensure!(
        status.kept.get("unready") >= Some(&2),
        "the pool does not say what is kept: {status:?}"
    );

    let extended = cases.address("deletion with grace that hangs").parse()?;
    let noted = env.lease(extended).await?.context("no lease")?.spec;
    ensure!(
        noted.termination_grace_period_seconds == 30,
        "it was given more than it had: {noted:?}"
    );
    let again = env
        .collect(&[&ARGS[..], &["--release-unreachable"]].concat())
        .await?;
    let waived = "the pod is gone, and --release-unreachable waives any proof";
    let address = cases.address("partitioned");
    ensure!(
        again.about(&address) == Some(("reclaimed".to_owned(), waived.to_owned())),
        "{again:#?}"
    );
    Ok(())
}

/// One whose object was deleted by force while it was ending: kubelet lets it have its time all the same.
#[tokio::test]
async fn a_pod_that_takes_long_to_end_has_its_time() -> Result<()> {
    let env = super::run::env("ending", "10.74.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let pod = env.cluster.pod(env.name(), "ending");
    let pod = pod.on(&node).ending_within(8).create().await?;
    let Attached { pod, address, .. } = env.attach_pod(&node, pod).await?;
    pod.force_delete().await?;
    let gone = Instant::now();
    env.collect_all(&ARGS).await?;
    ensure!(gone.elapsed() > Duration::from_secs(8), "{address}");
    Ok(())
}

/// The margin is on top of the time that a pod is given to end.
#[tokio::test]
async fn a_kubelet_that_is_there_again_has_the_margin() -> Result<()> {
    let env = super::run::env("margin", "10.75.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    env.attach(&node, "gone").await?.pod.force_delete().await?;
    let gone = Instant::now();
    let report = env.collect_all(&["--margin", "5s"]).await?;
    ensure!(gone.elapsed() > Duration::from_secs(5), "{report:#?}");
    Ok(())
}

/// Only what no pod has, or what an administrator vouches for, takes no mark of an earlier run.
fn is_not_released_at_once(case: &Case, first: &Report) -> Result<()> {
    let Case { says, address, .. } = case;
    let about = first.about(&address.to_string());
    if let Some((event, message)) = about
        && event == "reclaimed"
    {
        let at_once = ["cooldown", "quarantine", "out-of-service"];
        ensure!(
            at_once.iter().any(|word| message.contains(word)),
            "{says}: {message}"
        );
    }
    Ok(())
}

impl Cases<'_> {
    /// Whether everything that is to be released is.
    async fn are_over(&self) -> Result<bool> {
        for case in &self.all {
            if matches!(case.end, Reclaimed(_)) && self.env.lease(case.address).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How many the pool's status should count.
    fn reclaimed(&self) -> Result<i64> {
        let given_back = |words: &str| words.starts_with("its ");
        let reclaimed = self
            .all
            .iter()
            .filter(|case| matches!(case.end, Reclaimed(words) if !given_back(words)));
        Ok(i64::try_from(reclaimed.count())?)
    }

    /// The address of the case that says so.
    fn address(&self, says: &str) -> String {
        let case = self.all.iter().find(|case| case.says.contains(says));
        case.map(|case| case.address.to_string())
            .unwrap_or_default()
    }

    /// The cases that do not end as they should, by what the runs reported and by what there is now.
    async fn not_as_expected(&self, runs: &[Report]) -> Result<Vec<String>> {
        let legitimate = self.address("the lease that the pod");
        let mut wrong = Vec::new();
        for Case { says, address, end } in &self.all {
            let name = address.to_string();
            let last = runs.iter().rev().find_map(|run| run.about(&name));
            let is_as_expected = match (end, &last) {
                (Reclaimed(words), Some((event, message))) => {
                    event == "reclaimed" && *message == words.replace("KEPT", &legitimate)
                }
                (Kept(why), Some((event, _))) => {
                    let report = runs.last().context("no run")?;
                    event == "kept" && report.reason(&name) == Some(why)
                }
                (Untouched, None) => true,
                (Reclaimed(_) | Kept(_), None) | (Untouched, Some(_)) => false,
            };
            if !is_as_expected {
                wrong.push(format!("{says}: {last:?}"));
            }
            let lease = self.env.lease(*address).await?;
            if lease.is_none() != matches!(end, Reclaimed(_)) {
                let state = lease.map(|lease| lease.spec.state);
                wrong.push(format!("{says}: {state:?}"));
            }
        }
        Ok(wrong)
    }
}
