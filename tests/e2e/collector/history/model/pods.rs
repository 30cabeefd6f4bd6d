//! What happens to pods and their sandboxes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use testbed::Attachment;

use super::owners::{Keeper, PODS, keeper, waits};
use super::{Ending, LONGEST_ADD, Live, Model, Present, TERMINATION};

/// How long a pod is let wait for the address of the one before it.
const PATIENCE: Duration = Duration::from_millis(150);

impl Model<'_> {
    pub(super) async fn create(&mut self, index: usize, node: usize) -> Result<()> {
        if self.make(index, node).await? {
            self.attach(index).await?;
        }
        Ok(())
    }

    /// The object alone, on this node or the next that is not cut off; `false`: there is none, or the
    /// pod is there.
    async fn make(&mut self, index: usize, node: usize) -> Result<bool> {
        let mut nodes = (0..self.places.len()).map(|next| (node + next) % self.places.len());
        let node = nodes.find(|node| self.reachable(*node));
        let Some(node) = node.filter(|_| !self.pods.contains_key(&index)) else {
            return Ok(false);
        };
        let pod = self.pod(index).ending_within(TERMINATION);
        let pod = pod.on(&self.places[node].node).create().await?;
        let present = Present {
            pod,
            node,
            ends: None,
            live: None,
        };
        self.pods.insert(index, present);
        Ok(true)
    }

    fn eth0(&self, present: &Present) -> Result<Attachment> {
        let node = &self.places[present.node].node;
        let eth0 = self.env.attachment(node, &present.pod)?;
        let eth0 = eth0.ipam("timeoutSeconds", json!(LONGEST_ADD));
        Ok(eth0.set("name", json!("net")))
    }

    /// As a runtime does: a DEL follows an ADD that failed, or that had to wait for too long.
    pub(super) async fn attach(&mut self, index: usize) -> Result<()> {
        let Some(present) = self.pods.get(&index) else {
            return Ok(());
        };
        if present.live.is_some() || present.ends.is_some() || !self.reachable(present.node) {
            return Ok(());
        }
        let eth0 = self.eth0(present)?;
        let (pod, uid) = (present.pod.clone(), present.pod.uid());
        let awaits = waits(pod.name()) && self.is_former_there(pod.name(), uid);
        let call = eth0.call("ADD")?.spawn()?;
        if awaits {
            tokio::time::sleep(PATIENCE).await;
            call.kill();
        }
        let outcome = call.wait().await?;
        if !outcome.succeeded() {
            self.note(format!("{}: {outcome}", pod.name()));
            eth0.del().await?.success()?;
            return Ok(());
        }
        eth0.remember(Some(outcome.json()?));
        let address = *outcome.ips()?.first().context("no address")?;
        let live = Live {
            uid: present.pod.uid().to_owned(),
            pod: present.pod.name().to_owned(),
            node: present.node,
            eth0,
            address,
        };
        let note = format!("{} ({}) has {address}", live.pod, live.uid);
        pod.report_addresses(&[address]).await?;
        if let Some(present) = self.pods.get_mut(&index) {
            present.live = Some(live);
        }
        self.note(note);
        let kind = pod.name().split('-').next().unwrap_or_default();
        *self.attached.entry(kind.to_owned()).or_default() += 1;
        if keeper(pod.name()) == Some(Keeper::Name) {
            self.ensure_returned(pod.name(), address).await?;
        }
        Ok(())
    }

    pub(super) async fn kill(&mut self, index: usize, node: usize, after: Duration) -> Result<()> {
        // A maker of a set that dies keeps its office for 10 s: crash tests of sets wait for that.
        if matches!(PODS[index].1, Keeper::Set(_)) || !self.make(index, node).await? {
            return Ok(());
        }
        let Some(present) = self.pods.get(&index) else {
            return Ok(());
        };
        let eth0 = self.eth0(present)?;
        let running = eth0.call("ADD")?.spawn()?;
        tokio::time::sleep(after).await;
        running.kill();
        running.wait().await?;
        Ok(())
    }

    pub(super) async fn restart(&mut self, index: usize, with_del: bool) -> Result<()> {
        let Some(present) = self.pods.get_mut(&index) else {
            return Ok(());
        };
        if present.ends.is_some() || self.places[present.node].heartbeat.is_none() {
            return Ok(());
        }
        let Some(live) = present.live.take() else {
            return Ok(());
        };
        if with_del {
            live.eth0.del().await?.success()?;
        }
        drop(live);
        self.attach(index).await
    }

    pub(super) async fn finish(&mut self, index: usize) -> Result<()> {
        let Some(node) = self.pods.get(&index).map(|present| present.node) else {
            return Ok(());
        };
        if !self.reachable(node) {
            return Ok(());
        }
        let Some(present) = self.pods.remove(&index) else {
            return Ok(());
        };
        if let Some(live) = present.live {
            live.eth0.del().await?.success()?;
        }
        present.pod.force_delete().await
    }

    pub(super) async fn force_delete(&mut self, index: usize, del_follows: bool) -> Result<()> {
        let Some(present) = self.pods.remove(&index) else {
            return Ok(());
        };
        present.pod.force_delete().await?;
        self.torn_down(present, del_follows).await
    }

    /// What becomes of a sandbox whose pod is gone: kubelet ends it, unless it does not hear of it,
    /// or has given it time.
    pub(super) async fn torn_down(&mut self, present: Present, del_follows: bool) -> Result<()> {
        let Some(live) = present.live else {
            return Ok(());
        };
        if !self.reachable(live.node) {
            self.note(format!("{} runs on with {}", live.pod, live.address));
            self.orphans.push(live);
        } else if let Some(ends) = present.ends {
            self.note(format!("{} takes its time with {}", live.pod, live.address));
            self.ending.push(Ending {
                live,
                ends,
                del_follows,
            });
        } else if del_follows {
            live.eth0.del().await?.success()?;
        }
        Ok(())
    }

    /// Ends the sandboxes whose time is over.
    pub(super) async fn end_of_time(&mut self) -> Result<()> {
        let now = Instant::now();
        let (over, still): (Vec<_>, Vec<_>) = std::mem::take(&mut self.ending)
            .into_iter()
            .partition(|it| it.ends <= now);
        self.ending = still;
        for Ending {
            live, del_follows, ..
        } in over
        {
            if del_follows && self.reachable(live.node) {
                live.eth0.del().await?.success()?;
            }
        }
        Ok(())
    }

    pub(super) async fn delete(&mut self, index: usize) -> Result<()> {
        let Some(present) = self.pods.get_mut(&index) else {
            return Ok(());
        };
        let ends = Instant::now() + Duration::from_secs(TERMINATION.into());
        present.ends.get_or_insert(ends);
        present.pod.delete_within(TERMINATION).await
    }

    pub(super) async fn recreate(&mut self, index: usize, del_follows: bool) -> Result<()> {
        let Some(present) = self.pods.remove(&index) else {
            return Ok(());
        };
        present.pod.force_delete().await?;
        self.create(index, (present.node + 1) % self.places.len())
            .await?;
        self.torn_down(present, del_follows).await
    }
}
