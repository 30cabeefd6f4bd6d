//! What the history knows for certain: which pods there are, and which sandboxes run on which addresses.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Attachment, Node, Pod, Running};
use kube::api::{Api, Patch, PatchParams};
use leasehold::api::{IPLease, IPPool, State};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;

use super::step::Step;
use crate::collector::ground::Ground;
use crate::collector::heartbeats::{Heartbeat, alive};

/// Names of pods, so few that each is used again and again.
const NAMES: usize = 10;

/// How many of the last steps are told when one fails.
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
    terminating: bool,
    live: Option<Live>,
}

struct Place {
    node: Node,
    /// `None`: cut off.
    heartbeat: Option<Heartbeat>,
}

pub struct Model<'a> {
    ground: &'a Ground,
    places: Vec<Place>,
    slots: BTreeMap<usize, Slot>,
    /// Sandboxes that run on although their pods are gone: their nodes are cut off.
    orphans: Vec<Live>,
    collectors: Vec<Running>,
    /// Whether a collector may have met a server that was away.
    excused: bool,
    history: VecDeque<String>,
}

impl<'a> Model<'a> {
    pub async fn new(ground: &'a Ground) -> Result<Self> {
        let mut places = Vec::new();
        for _ in 0..3 {
            let node = ground.cluster.fresh_node().create().await?;
            let heartbeat = Some(alive(&ground.cluster, &node).await?);
            places.push(Place { node, heartbeat });
        }
        Ok(Self {
            ground,
            places,
            slots: BTreeMap::new(),
            orphans: Vec::new(),
            collectors: Vec::new(),
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
        let index = random.random_range(0..NAMES);
        let coin: bool = random.random();
        match step {
            Step::Create => {
                self.create(index, random.random_range(0..self.places.len()))
                    .await
            }
            Step::Attach => self.attach(index).await,
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
        }
    }

    fn reachable(&self, node: usize) -> bool {
        self.places[node].heartbeat.is_some()
    }

    async fn create(&mut self, index: usize, node: usize) -> Result<()> {
        if self.slots.contains_key(&index) || !self.reachable(node) {
            return Ok(());
        }
        let builder = self
            .ground
            .cluster
            .pod(self.ground.name, &format!("web-{index}"));
        let pod = builder.on(&self.places[node].node).create().await?;
        let slot = Slot {
            pod,
            node,
            terminating: false,
            live: None,
        };
        self.slots.insert(index, slot);
        self.attach(index).await
    }

    /// As a runtime does: a DEL follows an ADD that failed.
    async fn attach(&mut self, index: usize) -> Result<()> {
        let Some(slot) = self.slots.get(&index) else {
            return Ok(());
        };
        if slot.live.is_some() || slot.terminating || !self.reachable(slot.node) {
            return Ok(());
        }
        let eth0 = self
            .ground
            .attachment(&self.places[slot.node].node, &slot.pod)?;
        let outcome = eth0.add().await?;
        if !outcome.succeeded() {
            self.note(format!("web-{index}: {outcome}"));
            eth0.del().await?.success()?;
            return Ok(());
        }
        let address = *outcome.ips()?.first().context("no address")?;
        let live = Live {
            uid: slot.pod.uid().to_owned(),
            pod: slot.pod.name().to_owned(),
            node: slot.node,
            eth0,
            address,
        };
        let note = format!("web-{index} ({}) has {address}", live.uid);
        slot.pod.report_addresses(&[address]).await?;
        if let Some(slot) = self.slots.get_mut(&index) {
            slot.live = Some(live);
        }
        self.note(note);
        Ok(())
    }

    async fn kill(&mut self, index: usize, after: Duration) -> Result<()> {
        let Some(slot) = self.slots.get(&index) else {
            return Ok(());
        };
        if slot.live.is_some() || slot.terminating || !self.reachable(slot.node) {
            return Ok(());
        }
        let eth0 = self
            .ground
            .attachment(&self.places[slot.node].node, &slot.pod)?;
        let running = eth0.call("ADD")?.spawn()?;
        tokio::time::sleep(after).await;
        running.kill();
        running.wait().await?;
        Ok(())
    }

    async fn restart(&mut self, index: usize, with_del: bool) -> Result<()> {
        let Some(slot) = self.slots.get_mut(&index) else {
            return Ok(());
        };
        if slot.terminating || self.places[slot.node].heartbeat.is_none() {
            return Ok(());
        }
        let Some(live) = slot.live.take() else {
            return Ok(());
        };
        if with_del {
            live.eth0.del().await?.success()?;
        }
        drop(live);
        self.attach(index).await
    }

    async fn finish(&mut self, index: usize) -> Result<()> {
        let Some(node) = self.slots.get(&index).map(|slot| slot.node) else {
            return Ok(());
        };
        if !self.reachable(node) {
            return Ok(());
        }
        let Some(slot) = self.slots.remove(&index) else {
            return Ok(());
        };
        if let Some(live) = slot.live {
            live.eth0.del().await?.success()?;
        }
        slot.pod.force_delete().await
    }

    async fn force_delete(&mut self, index: usize, del_follows: bool) -> Result<()> {
        let Some(slot) = self.slots.remove(&index) else {
            return Ok(());
        };
        slot.pod.force_delete().await?;
        self.torn_down(slot.live, del_follows).await
    }

    /// What becomes of a sandbox whose pod is gone: kubelet ends it, unless it does not hear of it.
    async fn torn_down(&mut self, live: Option<Live>, with_del: bool) -> Result<()> {
        let Some(live) = live else { return Ok(()) };
        if !self.reachable(live.node) {
            self.note(format!("{} runs on with {}", live.pod, live.address));
            self.orphans.push(live);
        } else if with_del {
            live.eth0.del().await?.success()?;
        }
        Ok(())
    }

    async fn delete(&mut self, index: usize) -> Result<()> {
        let Some(slot) = self.slots.get_mut(&index) else {
            return Ok(());
        };
        slot.terminating = true;
        slot.pod.delete().await
    }

    async fn recreate(&mut self, index: usize, del_follows: bool) -> Result<()> {
        let Some(slot) = self.slots.remove(&index) else {
            return Ok(());
        };
        slot.pod.force_delete().await?;
        self.create(index, (slot.node + 1) % self.places.len())
            .await?;
        self.torn_down(slot.live, del_follows).await
    }

    async fn partition(&mut self, node: usize) -> Result<()> {
        if self.places[node].heartbeat.take().is_some() {
            self.note(format!("node {node} is cut off"));
            return Ok(());
        }
        // Kubelet ends what runs for pods that are gone, and some of its calls of DEL are lost.
        let (back, still): (Vec<_>, Vec<_>) = std::mem::take(&mut self.orphans)
            .into_iter()
            .partition(|live| live.node == node);
        self.orphans = still;
        for (number, live) in back.into_iter().enumerate() {
            if number % 2 == 0 {
                live.eth0.del().await?.success()?;
            }
        }
        self.places[node].heartbeat =
            Some(alive(&self.ground.cluster, &self.places[node].node).await?);
        self.note(format!("node {node} is back"));
        Ok(())
    }

    /// Everything that ran there is gone; the objects of the pods stay.
    async fn node_gone(&mut self, node: usize) -> Result<()> {
        self.note(format!("node {node} is gone"));
        self.orphans.retain(|live| live.node != node);
        for slot in self.slots.values_mut().filter(|slot| slot.node == node) {
            slot.live = None;
        }
        let place = &mut self.places[node];
        place.heartbeat = None;
        place.node.delete().await?;
        place.node = self.ground.cluster.node(place.node.name()).create().await?;
        place.heartbeat = Some(alive(&self.ground.cluster, &place.node).await?);
        Ok(())
    }

    async fn edit_pool(&mut self, index: usize) -> Result<()> {
        let pools: Api<IPPool> = Api::all(self.ground.cluster.admin().await?);
        let last = index + 1;
        let spec = match index {
            0..3 => {
                json!({"excludeIPs": [format!("10.69.0.{last}-10.69.0.{}", last + 2)], "disable": null})
            }
            3 => json!({"disable": true}),
            _ => json!({"excludeIPs": null, "disable": null}),
        };
        let patch = Patch::Merge(json!({"spec": spec}));
        pools
            .patch(self.ground.name, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    async fn collect(&mut self, count: usize) -> Result<()> {
        self.await_collectors().await?;
        for _ in 0..count {
            let call = self
                .ground
                .collector(&["--grace", "0.4", "--add-timeout", "1"], None)?;
            self.collectors.push(call.spawn()?);
        }
        Ok(())
    }

    async fn await_collectors(&mut self) -> Result<()> {
        for running in std::mem::take(&mut self.collectors) {
            let outcome = running.wait().await?;
            ensure!(
                outcome.succeeded() || self.excused,
                "the collector failed: {outcome}"
            );
            for line in outcome.stdout.lines() {
                self.note(format!("collector: {line}"));
            }
        }
        self.excused = false;
        Ok(())
    }

    async fn restart_server(&mut self) -> Result<()> {
        self.excused = true;
        self.ground.cluster.kill_api_server(0);
        self.ground.cluster.restart_api_server(0).await?;
        // It serves lists only once its caches are filled.
        let full = async {
            while self.leases().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), full)
            .await
            .context("the API server lists nothing")
    }

    fn live(&self) -> impl Iterator<Item = &Live> {
        self.slots
            .values()
            .filter_map(|slot| slot.live.as_ref())
            .chain(&self.orphans)
    }

    /// No address is two sandboxes', and none that runs is without its lease.
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
        Ok(())
    }

    async fn leases(&self) -> Result<BTreeMap<String, IPLease>> {
        let leases = self.ground.of_pool().await?.into_iter();
        Ok(leases
            .map(|lease| (lease.spec.address.clone(), lease))
            .collect())
    }

    /// When the last pod is gone and all nodes are back, nobody holds anything.
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
        self.collect(1).await?;
        self.await_collectors().await?;
        let leases = self.leases().await?;
        let held: Vec<_> = leases
            .values()
            .filter(|lease| lease.spec.state == State::Held)
            .collect();
        ensure!(held.is_empty(), "{held:#?}");
        Ok(())
    }
}
