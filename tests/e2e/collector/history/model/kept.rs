//! What must be so of addresses that are kept when their pods are gone: for a pod's name, or for a
//! set.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Result, ensure};
use kube::api::{Api, ListParams};
use leasehold::api::{ClaimKind, ClaimRef, IPClaim, IPLease, ReservedIP, State};
use leasehold::ip::{Span, Spans};
use serde_json::Value;

use super::owners::{Keeper, keeper};
use super::{Leases, Live, Model};

/// The name of the pod that a lease is kept for.
fn kept_for(lease: &IPLease) -> Option<&str> {
    let claim = lease.spec.claim.as_ref();
    claim.and_then(|claim| (claim.kind == ClaimKind::Pod).then_some(&*claim.name))
}

fn claim_of(lease: &IPLease) -> Option<&ClaimRef> {
    let claim = lease.spec.claim.as_ref();
    claim.filter(|claim| claim.kind == ClaimKind::IPClaim)
}

fn of_name<'a>(leases: &'a Leases, name: &str) -> BTreeSet<&'a str> {
    let kept = leases.iter().filter(|(_, it)| kept_for(it) == Some(name));
    kept.map(|(address, _)| address.as_str()).collect()
}

fn holder(lease: &IPLease) -> (&str, &str) {
    let holder = lease.spec.holder.as_ref();
    holder.map_or(("", ""), |it| (&it.pod, &it.uid))
}

/// Addresses that are kept for names of pods.
#[derive(Default)]
pub(super) struct Kept {
    /// Those that a name has given up, because the pool did not give them any more, by name.
    given_up: BTreeMap<String, BTreeSet<String>>,
    /// Those that a run has released, and no look at the leases has missed yet.
    released: BTreeSet<String>,
    /// Those that were missed, and no run has reported yet.
    missed: BTreeSet<String>,
}

impl Model<'_> {
    /// Whether another pod of this one's name has an address.
    pub(super) fn is_former_there(&self, pod: &str, uid: &str) -> bool {
        self.before.values().any(|lease| {
            lease.spec.state == State::Held
                && holder(lease).0 == pod
                && holder(lease).1 != uid
                && lease.spec.claim.is_some()
        })
    }

    /// What the pool does not give now.
    async fn unavailable(&self) -> Result<Spans> {
        let pool = self.env.read_pool(self.env.name()).await?;
        let reserved: Api<ReservedIP> = self.env.api().await?;
        let reserved = reserved.get_opt("leasehold-nodes").await?;
        let texts = reserved.map_or_else(Vec::new, |it| it.spec.ips);
        let all = texts.iter().chain(&pool.spec.exclude_ips);
        let spans: Result<Vec<Span>, _> = all.map(|text| text.parse()).collect();
        Ok(spans?.into_iter().collect())
    }

    /// A pod that comes back under its name has the address that was kept for it, unless the pool
    /// gives that no more, or a run has released it.
    pub(super) async fn ensure_returned(&mut self, name: &str, address: IpAddr) -> Result<()> {
        let before = of_name(&self.before, name);
        let address = address.to_string();
        let given_up = self.kept.given_up.entry(name.to_owned()).or_default();
        if given_up.remove(&address) {
            // A call that was killed has not freed what the slot gave up. The pool may give it again
            // before a run has released it, and ADD reads the first address of its order alone.
            let others = before.iter().filter(|other| **other != address);
            given_up.extend(others.map(|other| (*other).to_owned()));
        }
        if before.is_empty() || before.contains(&*address) {
            return Ok(());
        }
        let leases = self.leases().await?;
        let unavailable = self.unavailable().await?;
        let given_up = self.kept.given_up.entry(name.to_owned()).or_default();
        let now = of_name(&leases, name);
        // What the call itself has freed no run reports.
        let freed = before.difference(&now).copied();
        let freed = freed.filter(|old| old.parse().is_ok_and(|old| unavailable.contains(old)));
        self.kept.released.extend(freed.map(str::to_owned));
        for old in before.intersection(&now) {
            ensure!(
                given_up.contains(*old) || unavailable.contains(old.parse()?),
                "{name} had {old}, which the pool still gives, and has {address} now"
            );
            given_up.insert((*old).to_owned());
        }
        Ok(())
    }

    /// A name has one address, and keeps it until a run of the collector gives it up.
    pub(super) async fn ensure_names(&mut self, leases: &Leases) -> Result<()> {
        let names: BTreeSet<&str> = leases.values().filter_map(kept_for).collect();
        for name in names {
            let mut kept = of_name(leases, name);
            if kept.len() > 1 {
                let unavailable = self.unavailable().await?;
                let given_up = self.kept.given_up.entry(name.to_owned()).or_default();
                for address in &kept {
                    if unavailable.contains(address.parse()?) {
                        given_up.insert((*address).to_owned());
                    }
                }
                kept.retain(|address| !given_up.contains(*address));
            }
            ensure!(kept.len() <= 1, "{name} has several addresses: {kept:?}");
        }
        for (address, before) in &self.before {
            let now = leases.get(address).and_then(kept_for);
            if kept_for(before).is_some()
                && kept_for(before) != now
                && !self.kept.released.remove(address)
            {
                self.kept.missed.insert(address.clone());
            }
        }
        Ok(())
    }

    /// A run gives up what is kept for a name only where no pod of that name is to be expected, and
    /// deletes the claim of no application that exists.
    pub(super) fn ensure_expected(&mut self, event: &Value) -> Result<()> {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        if text("event") == "claimDeleted" {
            let is_gone = (self.unexpected.iter()).any(|it| text("owner").ends_with(it));
            ensure!(is_gone, "its application exists: {event}");
        }
        if text("event") != "reclaimed" {
            return Ok(());
        }
        let (lease, pod) = (text("lease"), event["holder"]["pod"].as_str());
        match (text("reason"), pod) {
            ("owner_gone" | "scaled_down", Some(pod)) => {
                ensure!(self.unexpected.contains(pod), "it is expected: {event}");
            }
            ("superseded", Some(pod)) => {
                let given_up = self.kept.given_up.get_mut(pod);
                let is_given_up = given_up.is_some_and(|it| it.remove(lease));
                ensure!(is_given_up, "it was not given up: {event}");
            }
            ("owner_gone" | "scaled_down" | "superseded" | "unused", _) => {
                anyhow::bail!("released too early: {event}")
            }
            _ => return Ok(()),
        }
        if !self.kept.missed.remove(lease) {
            self.kept.released.insert(lease.to_owned());
        }
        Ok(())
    }

    /// What is not kept any more a run has released. One that met a server that was away may have
    /// reported nothing.
    pub(super) fn ensure_reported(&mut self) -> Result<()> {
        let missed = std::mem::take(&mut self.kept.missed);
        ensure!(
            missed.is_empty() || self.excused,
            "kept no more, and no run has released them: {missed:?}"
        );
        Ok(())
    }

    /// Members are held by pods of their set alone, no two sets have an address in common, and what
    /// a firewall is open for is the set's.
    pub(super) fn ensure_sets(&self, claims: &[IPClaim], leases: &Leases) -> Result<()> {
        for (address, lease) in leases {
            let Some(claim) = claim_of(lease).filter(|_| lease.spec.state == State::Held) else {
                continue;
            };
            let (pod, uid) = holder(lease);
            // A person may list an address that any pod has: it stays that pod's while it lives.
            let has_it_still = self.keeper_by(&claim.name) == Some(Keeper::Claim)
                && self.before.get(address).is_none_or(|before| {
                    claim_of(before) != Some(claim)
                        || before.spec.state == State::Held && holder(before).1 == uid
                });
            ensure!(
                keeper(pod).is_some_and(|keeper| self.keeper_by(&claim.name) == Some(keeper))
                    || has_it_still,
                "{pod} holds {address}, which is a member of {}: {lease:#?}",
                claim.name
            );
        }
        let mut listed = BTreeMap::new();
        for claim in claims {
            let (name, status) = (&claim.metadata.name, claim.status.clone());
            let status = status.unwrap_or_default();
            for address in status.addresses {
                let other = listed.insert(address.clone(), name);
                ensure!(
                    other.is_none(),
                    "{address} is in two sets: {other:?}, {name:?}"
                );
            }
            for address in status.confirmed {
                let lease = leases.get(&address);
                let of = lease.and_then(claim_of).map(|claim| &claim.name);
                ensure!(
                    of == name.as_ref(),
                    "{name:?} confirms {address}, whose lease is {lease:#?}"
                );
            }
        }
        Ok(())
    }

    /// A pod runs on what is kept in the way that it asks for.
    pub(super) fn ensure_kept(&self, live: &Live, lease: &IPLease) -> Result<()> {
        let set = claim_of(lease).and_then(|claim| self.keeper_by(&claim.name));
        let is_so = match keeper(&live.pod) {
            Some(Keeper::Name) => kept_for(lease) == Some(live.pod.as_str()),
            Some(Keeper::Nothing) => lease.spec.claim.is_none() || set == Some(Keeper::Claim),
            Some(keeper @ (Keeper::Set(_) | Keeper::Claim)) => set == Some(keeper),
            None => false,
        };
        ensure!(
            is_so,
            "{} runs on what is not kept for it: {lease:#?}",
            live.pod
        );
        Ok(())
    }

    /// Before the leases: what a claim confirms is a member before that.
    pub(super) async fn claims(&self) -> Result<Vec<IPClaim>> {
        let claims = self.env.claims().await?;
        Ok(claims.list(&ListParams::default()).await?.items)
    }
}
