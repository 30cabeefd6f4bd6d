//! The cases of a test: how they are made, and how they are judged.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testbed::Node;

use crate::collector::heartbeats::{Heartbeat, alive, beat};
use crate::collector::run::{self, Attached, Report};
use crate::env::TestEnv;

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

pub const HEARTBEAT: &str = "the pod is gone, and its node is Ready, has renewed its heartbeat since and has had time to tear it down";

pub struct Case {
    pub situation: &'static str,
    pub address: IpAddr,
    pub end: End,
}

/// What nodes and ADDs are given: nothing, so that it takes no longer than the runs.
pub const ARGS: [&str; 4] = ["--margin", "0", "--add-timeout", "0"];

/// The environment in which they are made.
pub struct Cases {
    pub env: TestEnv,
    pub living: Node,
    pub silent: Node,
    pub heartbeats: Vec<Heartbeat>,
    pub all: Vec<Case>,
    /// How many leases of other tests a run marks.
    marks_of_others: u64,
}

impl Cases {
    pub async fn new(name: &'static str, subnet: &str) -> Result<Self> {
        let env = run::env(name, subnet).await?;
        let living = env.cluster.fresh_node().create().await?;
        let silent = env.cluster.fresh_node().create().await?;
        let heartbeats = vec![alive(&env.cluster, &living).await?];
        beat(&env.cluster, silent.name()).await?;
        let marks_of_others = marks(&env.collect(&["--dry-run"]).await?)?;
        Ok(Self {
            env,
            living,
            silent,
            heartbeats,
            all: Vec::new(),
            marks_of_others,
        })
    }

    pub async fn attach(
        &mut self,
        node: &Node,
        name: &str,
        situation: &'static str,
        end: End,
    ) -> Result<Attached> {
        let attached = self.env.attach(node, name).await.context(situation)?;
        let address = attached.address;
        attached.pod.report_addresses(&[address]).await?;
        self.all.push(Case {
            situation,
            address,
            end,
        });
        Ok(attached)
    }

    /// On the node that lives.
    pub async fn on_living(
        &mut self,
        name: &str,
        situation: &'static str,
        end: End,
    ) -> Result<Attached> {
        let node = self.living.clone();
        self.attach(&node, name, situation, end).await
    }

    /// One that is deleted by force.
    pub async fn gone(
        &mut self,
        node: &Node,
        name: &str,
        situation: &'static str,
        end: End,
    ) -> Result<Attached> {
        let attached = self.attach(node, name, situation, end).await?;
        attached.pod.force_delete().await?;
        Ok(attached)
    }

    /// A lease as a person writes it.
    pub async fn write(
        &mut self,
        address: &str,
        spec: Value,
        situation: &'static str,
        end: End,
    ) -> Result<()> {
        self.env.write_lease(address, spec).await?;
        let address = address.parse()?;
        self.all.push(Case {
            situation,
            address,
            end,
        });
        Ok(())
    }

    /// Runs the collector until it has released all that it is to release, and checks every case
    /// and what the pool counts.
    ///
    /// Beside the cases there are a pod that lives and one that is gone. The last is made last:
    /// what is kept has had as long as what is released.
    pub async fn judge(&mut self) -> Result<Vec<Report>> {
        let living = self.living.clone();
        self.on_living("alive", "a pod that lives", Untouched)
            .await?;
        let gone = "a pod that is gone, its node alive";
        self.gone(&living, "gone", gone, Reclaimed(HEARTBEAT))
            .await?;

        let before = self.env.leases().await?;
        let dry = [&ARGS[..], &["--dry-run"]].concat();
        let dry = self.env.collect(&dry).await?;
        ensure!(
            before == self.env.leases().await?,
            "a dry run has written something"
        );
        ensure!(marks(&dry)? > self.marks_of_others, "{dry:#?}");
        let first = self.env.collect(&["--margin", "0"]).await?;
        for case in &self.all {
            is_not_released_at_once(case, &first)?;
        }
        let mut runs = vec![first];
        loop {
            let unreleased = self.unreleased().await?;
            if unreleased.is_empty() {
                break;
            }
            ensure!(
                runs.len() < 100,
                "never released: {}\n{runs:#?}",
                unreleased.join(", ")
            );
            runs.push(self.env.collect(&ARGS).await?);
        }

        let wrong = self.not_as_expected(&runs).await?;
        let last = &runs[runs.len() - 1];
        ensure!(wrong.is_empty(), "{}\n{last:#?}", wrong.join("\n"));
        let held = self.env.held().await?.len();
        let status = self.env.read_pool(self.env.name()).await?.status;
        let status = status.unwrap_or_default();
        ensure!(
            status.held == i64::try_from(held)?,
            "{held} are held: {status:?}"
        );
        ensure!(status.reclaimed == self.reclaimed()?, "{status:?}");
        Ok(runs)
    }

    /// The situations whose lease is to be released and is not yet.
    async fn unreleased(&self) -> Result<Vec<&'static str>> {
        let mut unreleased = Vec::new();
        for case in &self.all {
            if matches!(case.end, Reclaimed(_)) && self.env.lease(case.address).await?.is_some() {
                unreleased.push(case.situation);
            }
        }
        Ok(unreleased)
    }

    /// How many the pool's status should count.
    fn reclaimed(&self) -> Result<i64> {
        // Of its cooldown, its quarantine or its claim: no pod held it.
        let no_holder = |words: &str| words.starts_with("its ") || words.starts_with("the claim ");
        let reclaimed = self
            .all
            .iter()
            .filter(|case| matches!(case.end, Reclaimed(words) if !no_holder(words)));
        Ok(i64::try_from(reclaimed.count())?)
    }

    /// The address of the case that situation so.
    pub fn address(&self, situation: &str) -> String {
        let case = self
            .all
            .iter()
            .find(|case| case.situation.contains(situation));
        case.map(|case| case.address.to_string())
            .unwrap_or_default()
    }

    /// The cases that do not end as they should, by what the runs reported and by what there is
    /// now.
    async fn not_as_expected(&self, runs: &[Report]) -> Result<Vec<String>> {
        let legitimate = self.address("the lease that the pod");
        let mut wrong = Vec::new();
        for Case {
            situation,
            address,
            end,
        } in &self.all
        {
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
                wrong.push(format!("{situation}: {last:?}"));
            }
            let lease = self.env.lease(*address).await?;
            if lease.is_none() != matches!(end, Reclaimed(_)) {
                let state = lease.map(|lease| lease.spec.state);
                wrong.push(format!("{situation}: {state:?}"));
            }
        }
        Ok(wrong)
    }
}

/// How many leases a run marks.
fn marks(report: &Report) -> Result<u64> {
    report.summary["marks"]
        .as_u64()
        .context("no count of marks")
}

/// Only what no pod has, or what an administrator vouches for, takes no mark of an earlier run.
fn is_not_released_at_once(case: &Case, first: &Report) -> Result<()> {
    let Case {
        situation, address, ..
    } = case;
    let about = first.about(&address.to_string());
    if let Some((event, message)) = about
        && event == "reclaimed"
    {
        let at_once = ["cooldown", "quarantine", "out-of-service"];
        ensure!(
            at_once.iter().any(|word| message.contains(word)),
            "{situation}: {message}"
        );
    }
    Ok(())
}
