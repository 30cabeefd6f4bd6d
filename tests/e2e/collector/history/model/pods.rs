//! What happens to pods and their sandboxes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Ending, Live, Model, Slot, TERMINATION};

impl Model<'_> {
    pub(super) async fn create(&mut self, index: usize, node: usize) -> Result<()> {
        if self.slots.contains_key(&index) || !self.reachable(node) {
            return Ok(());
        }
        let builder = self
            .env
            .cluster
            .pod(self.env.name(), &format!("web-{index}"));
        let builder = builder.ending_within(TERMINATION);
        let pod = builder.on(&self.places[node].node).create().await?;
        let slot = Slot {
            pod,
            node,
            ends: None,
            live: None,
        };
        self.slots.insert(index, slot);
        self.attach(index).await
    }

    /// As a runtime does: a DEL follows an ADD that failed.
    pub(super) async fn attach(&mut self, index: usize) -> Result<()> {
        let Some(slot) = self.slots.get(&index) else {
            return Ok(());
        };
        if slot.live.is_some() || slot.ends.is_some() || !self.reachable(slot.node) {
            return Ok(());
        }
        let eth0 = self
            .env
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

    pub(super) async fn kill(&mut self, index: usize, after: Duration) -> Result<()> {
        let Some(slot) = self.slots.get(&index) else {
            return Ok(());
        };
        if slot.live.is_some() || slot.ends.is_some() || !self.reachable(slot.node) {
            return Ok(());
        }
        let eth0 = self
            .env
            .attachment(&self.places[slot.node].node, &slot.pod)?;
        let running = eth0.call("ADD")?.spawn()?;
        tokio::time::sleep(after).await;
        running.kill();
        running.wait().await?;
        Ok(())
    }

    pub(super) async fn restart(&mut self, index: usize, with_del: bool) -> Result<()> {
        let Some(slot) = self.slots.get_mut(&index) else {
            return Ok(());
        };
        if slot.ends.is_some() || self.places[slot.node].heartbeat.is_none() {
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

    pub(super) async fn finish(&mut self, index: usize) -> Result<()> {
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

    pub(super) async fn force_delete(&mut self, index: usize, del_follows: bool) -> Result<()> {
        let Some(slot) = self.slots.remove(&index) else {
            return Ok(());
        };
        slot.pod.force_delete().await?;
        self.torn_down(slot, del_follows).await
    }

    /// What becomes of a sandbox whose pod is gone: kubelet ends it, unless it does not hear of it,
    /// or has given it time.
    pub(super) async fn torn_down(&mut self, slot: Slot, del_follows: bool) -> Result<()> {
        let Some(live) = slot.live else { return Ok(()) };
        if !self.reachable(live.node) {
            self.note(format!("{} runs on with {}", live.pod, live.address));
            self.orphans.push(live);
        } else if let Some(ends) = slot.ends {
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
        let Some(slot) = self.slots.get_mut(&index) else {
            return Ok(());
        };
        let ends = Instant::now() + Duration::from_secs(TERMINATION.into());
        slot.ends.get_or_insert(ends);
        slot.pod.delete_within(TERMINATION).await
    }

    pub(super) async fn recreate(&mut self, index: usize, del_follows: bool) -> Result<()> {
        let Some(slot) = self.slots.remove(&index) else {
            return Ok(());
        };
        slot.pod.force_delete().await?;
        self.create(index, (slot.node + 1) % self.places.len())
            .await?;
        self.torn_down(slot, del_follows).await
    }
}
