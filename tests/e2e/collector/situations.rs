//! Each case of the rule, all in one cluster and judged in one run.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use leasehold::api::State;

use super::heartbeats::alive;
use super::run::Report;
use cases::Cases;

mod cases;

/// Where a case ends: with a reason, or held on.
pub enum End {
    TakenBack(&'static str),
    KeepReason,
    Contested,
}

use End::{Contested, KeepReason, TakenBack};

const HEARTBEAT: &str = "the pod is gone, and its node has shown since that it lives";

pub struct Case {
    says: &'static str,
    address: IpAddr,
    end: End,
}

#[tokio::test]
async fn a_lease_is_taken_back_when_its_pod_is_proven_dead_and_never_before() -> Result<()> {
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
        .on_living("alive", "a pod that lives", KeepReason)
        .await?;
    cases.surplus().await?;
    cases.pods_that_are_gone().await?;
    cases.pods_that_end().await?;
    cases.static_pods().await?;
    cases.nodes_that_are_gone().await?;
    let _heartbeats = cases.nodes_that_are_not_ready().await?;
    cases.a_pod_that_takes_long_to_end().await?;
    cases.two_holders().await?;
    cases.a_namespace_with_everything_in_it().await?;
    cases.states_that_end().await?;

    // The API server tells whole seconds: only then is what was left behind older than any ADD by its clock.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = env.leases().await?;
    let kept = |told: &Report, why: &str| told.summary["kept"][why].as_u64().unwrap_or_default();
    let early = env.collect(&["--grace", "3", "--dry-run"]).await?;
    ensure!(
        kept(&early, "young") >= 2,
        "an ADD may be at work on them: {early:#?}"
    );
    let args = ["--grace", "3", "--add-timeout", "0"];
    let would = env.collect(&[&args[..], &["--dry-run"]].concat()).await?;
    ensure!(
        before == env.leases().await?,
        "a dry run has written something"
    );
    let did = env.collect(&args).await?;

    let wrong = cases.not_as_expected([&would, &did]).await?;
    ensure!(wrong.is_empty(), "{}\n{did:#?}", wrong.join("\n"));
    // Other tests leave suspects behind, too.
    for (why, at_least) in [
        ("silent", 2),
        ("reported", 1),
        ("unready", 2),
        ("ending", 1),
        ("shared", 1),
    ] {
        ensure!(kept(&did, why) >= at_least, "{why}: {did:#?}");
    }
    let pool = env.read_pool("situations").await?;
    let held = env
        .leases()
        .await?
        .iter()
        .filter(|lease| lease.spec.state == State::Held)
        .count();
    let status = pool.status.unwrap_or_default();
    ensure!(
        status.held == i64::try_from(held)?,
        "{held} are held: {status:?}"
    );
    ensure!(status.reclaimed == 10, "{status:?}");

    let grace_extended = cases.address("deletion with grace that hangs").parse()?;
    let noted = env.lease(grace_extended).await?.context("no lease")?.spec;
    ensure!(
        noted.termination_grace_period_seconds == 30,
        "it was given more than it had: {noted:?}"
    );
    cases.ends_in_its_time(&args).await?;

    let again = env
        .collect(&[&args[..], &["--release-unreachable"]].concat())
        .await?;
    let waived = "the pod is gone, and --release-unreachable asks for no sign of its node";
    let address = cases.address("partitioned");
    ensure!(
        again.about(&address) == Some(("taken back".to_owned(), waived.to_owned())),
        "{again:#?}"
    );
    Ok(())
}

impl Cases<'_> {
    /// What the run marked is taken back by a later one, once the time that the pod was given is over.
    async fn ends_in_its_time(&self, args: &[&str]) -> Result<()> {
        let address = self.address("takes longer to end");
        let lease = self.env.lease(address.parse()?).await?;
        let marked = lease.and_then(|lease| lease.spec.gone_since);
        let marked = marked.context("it was not marked")?.0;
        loop {
            let told = self.env.collect(args).await?;
            let passed = Timestamp::now().duration_since(marked);
            ensure!(passed.as_secs() < 60, "{told:#?}");
            if let Some(about) = told.about(&address) {
                ensure!(about == ("taken back".to_owned(), HEARTBEAT.to_owned()));
                ensure!(passed.as_secs() >= 8, "after {passed}");
                return Ok(());
            }
            ensure!(self.env.is_held(address.parse()?).await?, "{told:#?}");
        }
    }

    /// The address of the case that says so.
    fn address(&self, says: &str) -> String {
        let case = self.all.iter().find(|case| case.says.contains(says));
        case.map(|case| case.address.to_string())
            .unwrap_or_default()
    }

    /// What these runs told, and what is there now, where that is not how the cases end.
    async fn not_as_expected(&self, runs: [&Report; 2]) -> Result<Vec<String>> {
        let reported = self.address("the lease that the pod");
        let mut wrong = Vec::new();
        for Case { says, address, end } in &self.all {
            let expected = match end {
                TakenBack(reason) => {
                    Some(("taken back".to_owned(), reason.replace("KEPT", &reported)))
                }
                Contested => Some(("contested".to_owned(), String::new())),
                KeepReason => None,
            };
            for told in runs {
                let about = told.about(&address.to_string());
                if about != expected {
                    wrong.push(format!("{says}: {about:?}"));
                }
            }
            let gone = self.env.lease(*address).await?.is_none();
            if gone != matches!(end, TakenBack(_)) {
                wrong.push(format!("{says}: gone: {gone}"));
            }
        }
        Ok(wrong)
    }
}
