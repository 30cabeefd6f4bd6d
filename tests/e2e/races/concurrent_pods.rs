//! Pods that all want an address at the same time; where there is a proxy, each goes through it by
//! its own name.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use testbed::proxy::{Came, Log, Moment, On};
use testbed::{Attachment, Outcome, Pod};
use tokio::task::JoinSet;

use crate::env::TestEnv;

/// How many are made, or deleted, at a time: only the calls under test are all at once.
const GANG: usize = 20;

/// A pod, and what its runtime knows.
pub struct Member {
    pod: Pod,
    eth0: Attachment,
    pool: String,
}

/// Where an ADD meets its fate.
#[derive(Clone, Copy)]
pub enum At {
    /// At its request of this number, before or after the API server has served it.
    Request(Moment, usize),
    /// At its first create, which arrives without it.
    Create,
    /// With a lease made for it, of which it has not heard yet.
    Lease,
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
                let name = format!("{pool}-{number}");
                making.spawn(member(env.clone(), pool.to_owned(), name));
            }
            for made in making.join_all().await {
                members.push(Arc::new(made?));
            }
        }
        let env = env.clone();
        Ok(Self { env, members })
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
        let calls = self.members.iter().map(|member| {
            let member = Arc::clone(member);
            tokio::spawn(async move { member.eth0.add().await })
        });
        let calls: Vec<_> = calls.collect();
        let mut outcomes = Vec::with_capacity(calls.len());
        for call in calls {
            outcomes.push(call.await??);
        }
        Ok(outcomes)
    }

    /// ADD for each, `at_once` at a time: all of them are held at different requests while `change`
    /// is made.
    pub async fn add_around(
        &self,
        at_once: usize,
        mut change: impl AsyncFnMut(usize) -> Result<()>,
    ) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(self.members.len());
        for (round, gang) in self.members.chunks(at_once).enumerate() {
            let (mut calls, mut gates) = (Vec::new(), Vec::new());
            for (number, member) in gang.iter().enumerate() {
                let nth = On::any()
                    .caller(member.pod.name())
                    .nth(number % REQUESTS + 1);
                gates.push(self.env.proxy().hold(nth));
                let member = Arc::clone(member);
                calls.push(tokio::spawn(async move { member.eth0.add().await }));
            }
            for gate in &gates {
                gate.arrived().await?;
            }
            change(round).await?;
            drop(gates);
            for call in calls {
                outcomes.push(call.await??);
            }
        }
        Ok(outcomes)
    }

    /// ADD for each, all at once; those that `fate` names a place for are killed there. Returns how
    /// many were killed, and how many of those hold an address.
    pub async fn add_and_kill(&self, fate: impl Fn(usize) -> Option<At>) -> Result<(usize, usize)> {
        let mut calls = JoinSet::new();
        for (number, member) in self.members.iter().enumerate() {
            let (env, member, fate) = (self.env.clone(), Arc::clone(member), fate(number));
            calls.spawn(async move {
                let Some(at) = fate else {
                    return member.eth0.add().await?.success().map(|_| None);
                };
                member.killed(&env, at).await?;
                Ok(Some(member.eth0.container_id().to_owned()))
            });
        }
        let mut killed = BTreeSet::new();
        for call in calls.join_all().await {
            killed.extend(call?);
        }
        self.env
            .proxy()
            .wait_for("the last write", Log::is_quiet)
            .await?;
        let held = self.env.held().await?;
        let holders = held.iter().filter_map(|lease| lease.spec.holder.as_ref());
        let orphans = holders.filter(|holder| killed.contains(&holder.container));
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
                    ensure!(outcome.stderr.is_empty(), "DEL warned: {outcome}");
                    Ok(())
                });
            }
            for done in calls.join_all().await {
                done?;
            }
        }
        Ok(())
    }

    /// Each answer has its Held lease, each Held lease its answer, and no address is in two of
    /// them. Returns all addresses.
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
        let held = self.env.held().await?.into_iter().map(|lease| {
            let holder = lease.spec.holder.context("a Held lease without holder")?;
            let holds = [holder.pod, holder.uid, holder.container, holder.interface];
            Ok((lease.spec.address.parse()?, holds))
        });
        let held: BTreeSet<(IpAddr, Holds)> = held.collect::<Result<_>>()?;
        let unanswered: Vec<_> = held.difference(&answered).collect();
        ensure!(
            unanswered.is_empty(),
            "held without an answer: {unanswered:?}"
        );
        let unheld: Vec<_> = answered.difference(&held).collect();
        ensure!(unheld.is_empty(), "answered without a lease: {unheld:?}");
        let addresses: BTreeSet<IpAddr> = answered.iter().map(|(address, _)| *address).collect();
        ensure!(
            addresses.len() == answered.len(),
            "an address has two holders"
        );
        Ok(addresses)
    }
}

/// No ADD makes fewer requests.
pub const REQUESTS: usize = 6;

/// Pod, uid, container, interface.
type Holds = [String; 4];

impl Member {
    fn holds(&self) -> Holds {
        let container = self.eth0.container_id();
        [self.pod.name(), self.pod.uid(), container, "eth0"].map(str::to_owned)
    }

    /// ADD, killed there. What it has sent arrives all the same.
    async fn killed(&self, env: &TestEnv, at: At) -> Result<()> {
        let creates = On::create("ipleases").caller(self.pod.name());
        let gate = match at {
            At::Request(moment, k) => {
                let nth = On::any().caller(self.pod.name()).nth(k);
                env.proxy().hold_at(moment, nth)
            }
            At::Create => env.proxy().hold(creates),
            At::Lease => env.proxy().hold_reply(creates),
        };
        let call = self.eth0.call("ADD")?.spawn()?;
        let mut process = Box::pin(call.wait());
        loop {
            let held = match gate.arrived_before(&mut process).await {
                Came::Arrived(held) => held,
                Came::Over(outcome) => bail!("it was not killed: {}", outcome?),
            };
            let made = |log: &Log| {
                log.records()[held.seq - 1]
                    .served
                    .is_some_and(|status| status == 201)
            };
            if !matches!(at, At::Lease) || made(&env.proxy().log()) {
                // It is killed with the one who waits for it.
                drop(process);
                return Ok(());
            }
            held.release();
        }
    }
}

async fn member(env: TestEnv, pool: String, name: String) -> Result<Member> {
    let pod = env.pod(&name).create().await?;
    let eth0 = if env.is_proxied() {
        env.eth0_via(&name, &pod)?
    } else {
        env.eth0(&pod)?
    };
    // Not one of them may run out of time, however busy the machine is.
    let eth0 = eth0
        .ipam("ipv4Pools", json!([pool]))
        .ipam("timeoutSeconds", json!(150));
    Ok(Member { pod, eth0, pool })
}
