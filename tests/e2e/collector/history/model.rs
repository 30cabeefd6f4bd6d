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
use rand::seq::IteratorRandom;
use testbed::{Attachment, Node, Pod, Running};

use super::step::Step;
use crate::collector::heartbeats::{Heartbeat, alive};
use crate::collector::run::Report;
use crate::collector::sets::AT_ONCE;
use crate::env::TestEnv;

mod forgeries;
mod kept;
mod owners;
mod pods;
mod surroundings;

use forgeries::{Forgery, MARK};
use kept::Kept;
use owners::{Asks, Owner, PODS};

/// Replicas that an owner may have: fewer than this.
const REPLICAS: u32 = 4;

/// How long a pod may take to end, in seconds.
const TERMINATION: u32 = 1;

/// The time that an ADD has, in seconds, as its configuration and the collectors know it.
const LONGEST_ADD: u32 = 5;

/// How many of the last steps are shown when one fails.
const TOLD: usize = 40;

/// Leases by their addresses.
type Leases = BTreeMap<String, IPLease>;

/// A sandbox that runs.
pub struct Live {
    uid: String,
    pod: String,
    node: usize,
    eth0: Attachment,
    address: IpAddr,
}

struct Present {
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
    pods: BTreeMap<usize, Present>,
    /// Sandboxes that run on although their pods are gone: their nodes are cut off.
    orphans: Vec<Live>,
    /// Sandboxes of pods that were deleted by force while they were ending: kubelet lets them have
    /// their time.
    ending: Vec<Ending>,
    owners: Vec<Owner<'a>>,
    /// What a person's claim asks for; `None`: there is none.
    by_hand: Option<Asks>,
    forgeries: BTreeMap<usize, Forgery>,
    /// The leases after the last step.
    before: Leases,
    kept: Kept,
    /// The pods and owners that were not to be expected at some time since the last collector began.
    unexpected: BTreeSet<&'static str>,
    /// How often pods were given an address, by the first part of their names.
    attached: BTreeMap<String, usize>,
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
            pods: BTreeMap::new(),
            orphans: Vec::new(),
            ending: Vec::new(),
            owners: owners::owners(env).await?,
            by_hand: None,
            forgeries: BTreeMap::new(),
            before: Leases::new(),
            kept: Kept::default(),
            unexpected: BTreeSet::new(),
            attached: BTreeMap::new(),
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
        let pod = self.choose(step, random);
        let index = random.random_range(0..PODS.len());
        let node = index % self.places.len();
        let coin: bool = random.random();
        match step {
            Step::Create => self.create(pod, node).await,
            Step::Add => self.attach(pod).await,
            Step::Kill => {
                let after = Duration::from_millis(random.random_range(0..60));
                self.kill(pod, node, after).await
            }
            Step::Restart => self.restart(pod, coin).await,
            Step::Finish => self.finish(pod).await,
            Step::ForceDelete => self.force_delete(pod, coin).await,
            Step::Delete => self.delete(pod).await,
            Step::Recreate => self.recreate(pod, coin).await,
            Step::CutOff => {
                self.cut_off(node);
                Ok(())
            }
            Step::Reconnect => self.reconnect().await,
            Step::NodeGone => self.node_gone(node).await,
            Step::EditPool => self.edit_pool(index).await,
            Step::Collect => self.collect(1).await,
            Step::CollectTwice => self.collect(2).await,
            Step::RestartServer => self.restart_server().await,
            Step::Forge => self.forge(index, coin).await,
            Step::Annotate => self.annotate(pod).await,
            Step::NameAddresses => self.name_addresses(index, coin).await,
            Step::CollectUnreadable => self.collect_unreadable().await,
            Step::Scale => self.scale(index, random.random_range(0..REPLICAS)).await,
            Step::DeleteOwner => self.delete_owner(index).await,
            Step::MakeOwners => self.make_owners(random.random_range(0..REPLICAS)).await,
            Step::DeleteSet => self.delete_set(index).await,
            Step::ClaimByHand => self.claim_by_hand(index, coin).await,
        }
    }

    /// The index of a pod that the step is about: one that there is not, where it makes one.
    fn choose(&self, step: Step, random: &mut StdRng) -> usize {
        let makes = matches!(step, Step::Create | Step::Kill);
        let fitting = (0..PODS.len()).filter(|index| self.pods.contains_key(index) != makes);
        fitting.choose(random).unwrap_or_default()
    }

    fn reachable(&self, node: usize) -> bool {
        self.places[node].heartbeat.is_some()
    }

    fn live(&self) -> impl Iterator<Item = &Live> {
        self.pods
            .values()
            .filter_map(|present| present.live.as_ref())
            .chain(&self.orphans)
            .chain(
                self.ending
                    .iter()
                    .filter(|it| Instant::now() < it.ends)
                    .map(|it| &it.live),
            )
    }

    /// No address is two sandboxes', and none that runs is without its lease; what others write
    /// brings no pod more than it may, and goes with the holder that it was written for; what is
    /// kept is given only to those that it is kept for.
    pub async fn invariants(&mut self) -> Result<()> {
        let claims = self.claims().await?;
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
            if let Some(lease) = lease {
                self.ensure_kept(live, lease)?;
            }
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
        self.ensure_sets(&claims, &leases)?;
        self.ensure_names(&leases).await?;
        self.before = leases;
        Ok(())
    }

    /// Those of the pool and of the Subnet.
    async fn leases(&self) -> Result<Leases> {
        let pools = [
            self.env.name().to_owned(),
            format!("subnet/{}", self.env.name()),
        ];
        let all = self.env.leases_where("").await?.into_iter();
        Ok(all
            .filter(|lease| pools.contains(&lease.spec.pool))
            .map(|lease| (lease.spec.address.clone(), lease))
            .collect())
    }

    /// When the last pod is gone, and what made it, and all nodes are back, nothing is held, and
    /// nothing is kept.
    pub async fn end(&mut self) -> Result<()> {
        self.await_collectors().await?;
        self.reconnect().await?;
        for index in 0..PODS.len() {
            self.force_delete(index, index % 2 == 0).await?;
        }
        for forgery in std::mem::take(&mut self.forgeries).into_values() {
            forgery.end().await?;
        }
        while let Some(last) = self.ending.iter().map(|it| it.ends).max() {
            tokio::time::sleep_until(last.into()).await;
            self.end_of_time().await?;
        }
        self.end_owners().await?;
        let is_over = async |_: &Report| {
            let leases = self.leases().await?;
            let is_left = |it: &IPLease| it.spec.state != State::Cooling;
            Ok(!leases.values().any(is_left) && self.claims().await?.is_empty())
        };
        self.env
            .collect_until(AT_ONCE, "release everything", is_over)
            .await?;
        eprintln!("pods were given addresses: {:?}", self.attached);
        self.env.forget().await
    }
}
