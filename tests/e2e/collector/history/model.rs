//! What the history knows for certain: which pods there are, and which sandboxes run on which
//! addresses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use kube::ResourceExt;
use leasehold::api::{IPLease, State};
use rand::RngExt;
use rand::rngs::StdRng;
use testbed::{Attachment, Node, Pod, Running};

use super::step::Step;
use crate::collector::heartbeats::{Heartbeat, alive};
use crate::env::TestEnv;

mod forgeries;
mod pods;
mod surroundings;

use forgeries::{Forgery, MARK};

/// Names of pods, so few that each is used again and again.
const NAMES: usize = 10;

/// How long a pod may take to end, in seconds.
const TERMINATION: u32 = 1;

/// How many of the last steps are shown when one fails.
const TOLD: usize = 40;

/// A sandbox that runs.
pub struct Live {
    uid: String,
    pod: String,
    node: usize,
    eth0: Attachment,
    address: IpAddr,
}

struct Slot {
    pod: Pod,
    node: usize,
    /// Until when its containers may run, once it is being deleted.
    ends: Option<Instant>,
    live: Option<Live>,
}

struct Ending {
    live: Live,
    ends: Instant,
    del_follows: bool,
}

struct Place {
    node: Node,
    /// `None`: cut off.
    heartbeat: Option<Heartbeat>,
}

pub struct Model<'a> {
    env: &'a TestEnv,
    places: Vec<Place>,
    slots: BTreeMap<usize, Slot>,
    /// Sandboxes that run on although their pods are gone: their nodes are cut off.
    orphans: Vec<Live>,
    /// Sandboxes of pods that were deleted by force while they were ending: kubelet lets them have
    /// their time.
    ending: Vec<Ending>,
    forgeries: BTreeMap<usize, Forgery>,
    collectors: Vec<Running>,
    /// Of a collector that runs alone: the leases whose marks named their versions when it began.
    marked: Option<BTreeSet<String>>,
    /// Whether a collector may have met a server that was away.
    excused: bool,
    history: VecDeque<String>,
}

impl<'a> Model<'a> {
    pub async fn new(env: &'a TestEnv) -> Result<Self> {
        let mut places = Vec::new();
        for _ in 0..3 {
            let node = env.cluster.fresh_node().create().await?;
            let heartbeat = Some(alive(&env.cluster, &node).await?);
            places.push(Place { node, heartbeat });
        }
        Ok(Self {
            env,
            places,
            slots: BTreeMap::new(),
            orphans: Vec::new(),
            ending: Vec::new(),
            forgeries: BTreeMap::new(),
            collectors: Vec::new(),
            marked: None,
            excused: false,
            history: VecDeque::new(),
        })
    }

    pub fn lately(&self) -> String {
        self.history.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    fn note(&mut self, what: String) {
        self.history.push_back(what);
        if self.history.len() > TOLD {
            self.history.pop_front();
        }
    }

    pub async fn take(&mut self, step: Step, random: &mut StdRng) -> Result<()> {
        self.note(format!("{step:?}"));
        self.end_of_time().await?;
        let index = random.random_range(0..NAMES);
        let coin: bool = random.random();
        match step {
            Step::Create => {
                self.create(index, random.random_range(0..self.places.len()))
                    .await
            }
            Step::Add => self.attach(index).await,
            Step::Kill => {
                let after = Duration::from_millis(random.random_range(0..60));
                self.kill(index, after).await
            }
            Step::Restart => self.restart(index, coin).await,
            Step::Finish => self.finish(index).await,
            Step::ForceDelete => self.force_delete(index, coin).await,
            Step::Delete => self.delete(index).await,
            Step::Recreate => self.recreate(index, coin).await,
            Step::Partition => self.partition(index % self.places.len()).await,
            Step::NodeGone => self.node_gone(index % self.places.len()).await,
            Step::EditPool => self.edit_pool(index).await,
            Step::Collect => self.collect(1).await,
            Step::CollectTwice => self.collect(2).await,
            Step::RestartServer => self.restart_server().await,
            Step::Forge => self.forge(index, coin).await,
            Step::Annotate => self.annotate(index).await,
            Step::NameAddresses => self.name_addresses(index, coin).await,
            Step::CollectUnreadable => self.collect_unreadable().await,
        }
    }

    fn reachable(&self, node: usize) -> bool {
        self.places[node].heartbeat.is_some()
    }

    fn live(&self) -> impl Iterator<Item = &Live> {
        self.slots
            .values()
            .filter_map(|slot| slot.live.as_ref())
            .chain(&self.orphans)
            .chain(
                self.ending
                    .iter()
                    .filter(|it| Instant::now() < it.ends)
                    .map(|it| &it.live),
            )
    }

    /// No address is two sandboxes', and none that runs is without its lease; what others write
    /// brings no pod more than it may, and goes with the holder that it was written for.
    pub async fn invariants(&self) -> Result<()> {
        let leases = self.leases().await?;
        let mut seen: BTreeMap<IpAddr, &Live> = BTreeMap::new();
        for live in self.live() {
            let before = seen.insert(live.address, live);
            ensure!(before.is_none(), "{} is twice on the air", live.address);
            let lease = leases.get(&live.address.to_string());
            let holder = lease.and_then(|lease| lease.spec.holder.as_ref());
            let is_its_own = holder.is_some_and(|holder| holder.uid == live.uid)
                && lease.is_some_and(|lease| lease.spec.state == State::Held);
            ensure!(
                is_its_own,
                "{} runs on {} and its lease is {lease:#?}",
                live.pod,
                live.address
            );
        }
        for lease in leases.values() {
            let uid = lease.spec.holder.as_ref().map(|holder| &holder.uid);
            let written_for = lease.annotations().get(MARK);
            ensure!(
                written_for.is_none_or(|of| Some(of) == uid),
                "what was written for {written_for:?} is {uid:?}'s now: {lease:#?}"
            );
        }
        for forgery in self.forgeries.values() {
            forgery.ensure_bounded(&leases)?;
        }
        Ok(())
    }

    async fn leases(&self) -> Result<BTreeMap<String, IPLease>> {
        let leases = self.env.leases().await?.into_iter();
        Ok(leases
            .map(|lease| (lease.spec.address.clone(), lease))
            .collect())
    }

    /// When the last pod is gone and all nodes are back, nothing is held.
    pub async fn end(&mut self) -> Result<()> {
        self.await_collectors().await?;
        for node in 0..self.places.len() {
            if !self.reachable(node) {
                self.partition(node).await?;
            }
        }
        for index in 0..NAMES {
            self.force_delete(index, index % 2 == 0).await?;
        }
        for forgery in std::mem::take(&mut self.forgeries).into_values() {
            forgery.end().await?;
        }
        while let Some(last) = self.ending.iter().map(|it| it.ends).max() {
            tokio::time::sleep_until(last.into()).await;
            self.end_of_time().await?;
        }
        self.env.collect_all(&["--margin", "0"]).await?;
        self.env.forget().await
    }
}
