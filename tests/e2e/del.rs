//! DEL: the container's own addresses are released, whatever the runtime has forgotten, and no
//! others.
//!
//! The rules hold with the node's cache entry of the container and without it.

mod api_server_away;

use std::fs;
use std::io;

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DeleteParams};
use leasehold::api::IPPool;
use serde_json::json;
use testbed::{Attachment, Outcome, Pod};

use crate::env::{Isolation, TestEnv, with};

/// What is left on the node of an ADD.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CacheEntry {
    Kept,
    Lost,
}

const BOTH: [CacheEntry; 2] = [CacheEntry::Kept, CacheEntry::Lost];

/// A pod whose `eth0` is attached, to a pool of ten addresses.
struct Attached {
    env: TestEnv,
    pool: String,
    pod: Pod,
    eth0: Attachment,
    entry: CacheEntry,
}

impl Attached {
    async fn new(entry: CacheEntry) -> Result<Self> {
        let env = Isolation::subnets().start().await?;
        let pool = env.pool("pool", env.v4(1..=10)).await?;
        let (pod, eth0) = env.pod_on("web", &pool).await?;
        eth0.add().await?.success()?;
        Ok(Self {
            env,
            pool,
            pod,
            eth0,
            entry,
        })
    }

    /// DEL as this runtime would call it, after the node's cache entry has met its fate.
    async fn del(&self, by: &Attachment) -> Result<Outcome> {
        if self.entry == CacheEntry::Lost {
            forget(&self.eth0)?;
        }
        let outcome = by.call("DEL")?.run().await?;
        ensure!(
            outcome.succeeded() && outcome.stdout.is_empty() && outcome.stderr.is_empty(),
            "{:?}: {outcome}",
            self.entry
        );
        Ok(outcome)
    }

    async fn states(&self) -> Result<Vec<String>> {
        let leases = self.env.leases().await?;
        let states = leases.iter().map(|lease| format!("{:?}", lease.spec.state));
        Ok(states.collect())
    }

    async fn is(&self, states: &[&str], after: &str) -> Result<()> {
        let found = self.states().await?;
        ensure!(found == states, "{:?}: {after}: {found:?}", self.entry);
        Ok(())
    }
}

/// Takes the node's cache entry of this container away, as a reboot would.
fn forget(eth0: &Attachment) -> Result<()> {
    let entry = format!(
        "{}/{}.eth0",
        leasehold::plugin::RELEASE_CACHE,
        eth0.container_id()
    );
    match fs::remove_file(&entry) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).context(entry),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn an_address_that_was_given_back_cools() -> Result<()> {
    for entry in BOTH {
        let pod = Attached::new(entry).await?;
        pod.del(&pod.eth0).await?;
        pod.is(&["Cooling"], "after DEL").await?;
        let [lease] = &pod.env.leases().await?[..] else {
            anyhow::bail!("one lease");
        };
        ensure!(lease.spec.released_at >= lease.spec.held_since, "{entry:?}");
        let holder = lease.spec.holder.as_ref().context("its last holder")?;
        assert_eq!(holder.container, pod.eth0.container_id(), "{entry:?}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_cooldown_nothing_is_left_of_an_address() -> Result<()> {
    for entry in BOTH {
        let pod = Attached::new(entry).await?;
        pod.eth0.del().await?.success()?;
        let at_once = with(pod.env.v4(1..=10), &json!({"cooldownSeconds": 0}));
        pod.env.pool("pool", at_once).await?;
        // The address that it had cools still; it comes back with the pool's new cooldown.
        pod.eth0.add().await?.success()?;
        pod.del(&pod.eth0).await?;
        pod.is(&[], "after DEL").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_second_del_finds_nothing_and_succeeds() -> Result<()> {
    for entry in BOTH {
        let pod = Attached::new(entry).await?;
        for after in ["the first", "the second", "the third"] {
            pod.del(&pod.eth0).await?;
            pod.is(&["Cooling"], after).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_runtime_that_lost_its_cache_need_not_know_the_address() -> Result<()> {
    for entry in BOTH {
        let pod = Attached::new(entry).await?;
        pod.eth0.remember(None);
        pod.del(&pod.eth0).await?;
        pod.is(&["Cooling"], "DEL without prevResult").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_sandbox_that_is_gone_has_given_back_nothing_yet() -> Result<()> {
    for entry in BOTH {
        let mut pod = Attached::new(entry).await?;
        pod.eth0.sandbox().remove();
        pod.eth0 = pod.eth0.without_netns();
        pod.del(&pod.eth0).await?;
        pod.is(&["Cooling"], "DEL without CNI_NETNS").await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_container_gives_back_nothing_even_if_it_names_the_address() -> Result<()> {
    for entry in BOTH {
        let pod = Attached::new(entry).await?;
        let web = pod.env.pod("other").create().await?;
        let other = pod.env.eth0_on(&web, &pod.pool)?;
        pod.del(&other).await?;
        other.remember(pod.eth0.result());
        pod.del(&other).await?;
        pod.is(&["Held"], "DEL of another container").await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_interface_of_the_container_gives_back_nothing() -> Result<()> {
    for entry in BOTH {
        let pod = Attached::new(entry).await?;
        let web = pod.env.pod("other").create().await?;
        let net1 = pod.env.eth0_on(&web, &pod.pool)?;
        let net1 = net1.in_sandbox(pod.eth0.sandbox()).interface("net1");
        pod.del(&net1).await?;
        net1.remember(pod.eth0.result());
        pod.del(&net1).await?;
        pod.is(&["Held"], "DEL of another interface").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_container_that_is_attached_again_can_be_detached_again() -> Result<()> {
    for entry in BOTH {
        let pod = Attached::new(entry).await?;
        pod.del(&pod.eth0).await?;
        pod.eth0.add().await?.success()?;
        pod.is(&["Held"], "ADD after DEL").await?;
        pod.eth0.remember(None);
        pod.del(&pod.eth0).await?;
        pod.is(&["Cooling"], "DEL after ADD after DEL").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_pool_that_is_gone_is_not_needed() -> Result<()> {
    for entry in BOTH {
        let pod = Attached::new(entry).await?;
        let pools: Api<IPPool> = pod.env.api().await?;
        pools.delete(&pod.pool, &DeleteParams::default()).await?;
        pod.del(&pod.eth0).await?;
        pod.is(&["Cooling"], "DEL without the pool").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_that_was_deleted_by_force_gives_back_its_address_all_the_same() -> Result<()> {
    for entry in BOTH {
        let old = Attached::new(entry).await?;
        old.pod.force_delete().await?;
        // A new pod of that name is attached before the old one is detached.
        let (_, new) = old.env.pod_on("web", &old.pool).await?;
        new.add().await?.success()?;
        old.del(&old.eth0).await?;
        let held = old.env.held().await?;
        let held: Vec<_> = held.iter().map(|lease| &lease.spec.address).collect();
        assert_eq!(held, [&new.ips()?[0].to_string()], "{entry:?}");
    }
    Ok(())
}
