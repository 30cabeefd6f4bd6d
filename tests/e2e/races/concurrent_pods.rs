//! Pods that all want an address at the same time.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::{Attachment, Outcome, Pod, Sandbox};
use tokio::task::JoinSet;

use crate::env::TestEnv;

/// How many are made, or deleted, at a time: only the calls under test are all at once.
const GANG: usize = 20;

/// A pod, and what its runtime knows.
struct Member {
    pod: Pod,
    sandbox: Arc<Sandbox>,
    eth0: Attachment,
    pool: String,
}

/// Pods of an environment, none of which has called yet.
pub struct ConcurrentPods {
    env: TestEnv,
    members: Vec<Arc<Member>>,
}

impl ConcurrentPods {
    /// So many pods whose first interface is on this pool.
    pub async fn gather(env: &TestEnv, pool: &str, count: usize) -> Result<Self> {
        let mut members = Vec::with_capacity(count);
        let numbers: Vec<usize> = (0..count).collect();
        for gang in numbers.chunks(GANG) {
            let mut making = JoinSet::new();
            for number in gang {
                making.spawn(member(
                    env.clone(),
                    pool.to_owned(),
                    format!("{pool}-{number}"),
                ));
            }
            for made in making.join_all().await {
                members.push(Arc::new(made?));
            }
        }
        Ok(Self {
            env: env.clone(),
            members,
        })
    }

    /// These and others, in turn.
    pub fn join(mut self, other: Self) -> Self {
        let mine = std::mem::take(&mut self.members).into_iter();
        let both = mine.zip(other.members).flat_map(|(a, b)| [a, b]);
        self.members = both.collect();
        self
    }

    /// The pool of each.
    pub fn pools(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.pool.as_str())
    }

    /// ADD for each, all at once.
    pub async fn add_all_at_once(&self) -> Result<Vec<Outcome>> {
        let running: Vec<_> = self
            .members
            .iter()
            .map(|member| member.eth0.call("ADD")?.spawn())
            .collect::<Result<_>>()?;
        let mut outcomes = Vec::with_capacity(running.len());
        for (call, member) in running.into_iter().zip(&self.members) {
            let outcome = call.wait().await?;
            member.remember(&outcome)?;
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// ADD for each, one after the other begun within this time.
    pub async fn add_over(&self, time: Duration) -> Result<Vec<Outcome>> {
        let count = u32::try_from(self.members.len())?;
        let mut running = Vec::new();
        for member in &self.members {
            running.push(member.eth0.call("ADD")?.spawn()?);
            tokio::time::sleep(time / count).await;
        }
        let mut outcomes = Vec::with_capacity(running.len());
        for (call, member) in running.into_iter().zip(&self.members) {
            let outcome = call.wait().await?;
            member.remember(&outcome)?;
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    /// ADD for each, all at once, two of three killed at a random moment of this time. Returns how many did not live to answer,
    /// and how many of those hold an address.
    pub async fn add_and_kill(&self, time: Duration) -> Result<(usize, usize)> {
        let mut calls = JoinSet::new();
        for (number, member) in self.members.iter().enumerate() {
            let call = member.eth0.call("ADD")?.spawn()?;
            let member = Arc::clone(member);
            calls.spawn(async move {
                if number % 3 > 0 {
                    tokio::time::sleep(time.mul_f64(rand::random())).await;
                    call.kill();
                }
                let outcome = call.wait().await?;
                member.remember(&outcome)?;
                let killed = outcome.signal == Some(9);
                anyhow::Ok(killed.then(|| member.sandbox.container().to_owned()))
            });
        }
        let mut killed = BTreeSet::new();
        for call in calls.join_all().await {
            killed.extend(call?);
        }
        let held = self.env.held().await?;
        let mut holders = held.iter().filter_map(|lease| lease.spec.holder.as_ref());
        let orphans = holders
            .by_ref()
            .filter(|holder| killed.contains(&holder.container));
        Ok((killed.len(), orphans.count()))
    }

    /// DEL for each, which must succeed.
    pub async fn del_all(&self) -> Result<()> {
        for gang in self.members.chunks(GANG) {
            let mut calls = JoinSet::new();
            for member in gang {
                let member = Arc::clone(member);
                calls.spawn(async move {
                    let outcome = member.eth0.del().await?.success()?;
                    ensure!(outcome.stderr.is_empty(), "DEL had to say: {outcome}");
                    Ok(())
                });
            }
            for done in calls.join_all().await {
                done?;
            }
        }
        Ok(())
    }

    /// Each answer has its Held lease, each Held lease its answer, and no address is in two of them. Returns all addresses.
    pub async fn agrees_with_the_leases(&self, outcomes: &[Outcome]) -> Result<BTreeSet<IpAddr>> {
        let mut answered = BTreeSet::new();
        for (outcome, member) in outcomes.iter().zip(&self.members) {
            if outcome.succeeded() {
                for address in outcome.ips()? {
                    let new = answered.insert((address, member.holds()));
                    ensure!(new, "{address} was answered twice to one pod");
                }
            }
        }
        let held: BTreeSet<(IpAddr, Holds)> = self
            .env
            .held()
            .await?
            .into_iter()
            .map(|lease| {
                let holder = lease.spec.holder.context("a Held lease without holder")?;
                let holds = [holder.pod, holder.uid, holder.container, holder.interface];
                Ok((lease.spec.address.parse()?, holds))
            })
            .collect::<Result<_>>()?;
        let (unanswered, unheld): (Vec<_>, Vec<_>) = (
            held.difference(&answered).collect(),
            answered.difference(&held).collect(),
        );
        ensure!(unanswered.is_empty(), "held by nobody: {unanswered:?}");
        ensure!(unheld.is_empty(), "answered without a lease: {unheld:?}");
        let addresses: BTreeSet<IpAddr> = answered.iter().map(|(address, _)| *address).collect();
        ensure!(
            addresses.len() == answered.len(),
            "an address has two holders"
        );
        Ok(addresses)
    }
}

/// Pod, uid, container, interface.
type Holds = [String; 4];

impl Member {
    fn holds(&self) -> Holds {
        [
            self.pod.name(),
            self.pod.uid(),
            self.sandbox.container(),
            "eth0",
        ]
        .map(str::to_owned)
    }

    /// What a runtime remembers of an ADD.
    fn remember(&self, outcome: &Outcome) -> Result<()> {
        if outcome.succeeded() {
            self.eth0.remember(Some(outcome.json()?));
        }
        Ok(())
    }
}

async fn member(env: TestEnv, pool: String, name: String) -> Result<Member> {
    let pod = env.pod(&name).create().await?;
    let sandbox = Arc::new(Sandbox::new()?);
    let eth0 = env.eth0_on_in(&pod, &pool, &sandbox)?;
    Ok(Member {
        pod,
        sandbox,
        eth0,
        pool,
    })
}
