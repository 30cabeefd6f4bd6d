//! What pods have their addresses by: their names, the sets of their applications, a claim that a
//! person has made; and what becomes of those.

use anyhow::Result;
use kube::api::{Api, DeleteParams};
use leasehold::api::IPClaim;
use serde_json::{Value, json};
use testbed::PodBuilder;

use super::Model;
use crate::collector::sets::Application;
use crate::env::TestEnv;

/// What keeps a pod's address, when the pod is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    Nothing,
    /// Its name, because it is one of the first of the [`OWNERS`].
    Name,
    /// The set of this one of the [`OWNERS`].
    Set(usize),
    /// A claim that a person has made.
    Claim,
}

/// All pods there may be, so few that each name is used again and again.
pub(super) const PODS: [(&str, Keeper); 16] = [
    ("web-0", Keeper::Nothing),
    ("web-1", Keeper::Nothing),
    ("web-2", Keeper::Nothing),
    ("web-3", Keeper::Nothing),
    ("db-0", Keeper::Name),
    ("db-1", Keeper::Name),
    ("db-2", Keeper::Name),
    ("shop-a", Keeper::Set(1)),
    ("shop-b", Keeper::Set(1)),
    ("shop-c", Keeper::Set(1)),
    ("blog-a", Keeper::Set(2)),
    ("blog-b", Keeper::Set(2)),
    ("queue-0", Keeper::Set(3)),
    ("queue-1", Keeper::Set(3)),
    ("fixed-a", Keeper::Claim),
    ("fixed-b", Keeper::Claim),
];

const OWNERS: [(&str, &str); 4] = [
    ("StatefulSet", "db"),
    ("Deployment", "shop"),
    ("Deployment", "blog"),
    ("StatefulSet", "queue"),
];

/// What the person's claim is called.
const BY_HAND: &str = "fixed";

pub(super) fn keeper(pod: &str) -> Option<Keeper> {
    let known = PODS.iter().find(|(name, _)| *name == pod);
    known.map(|(_, keeper)| *keeper)
}

/// Whether a pod of this name waits for the address of the one before it.
pub(super) fn waits(pod: &str) -> bool {
    match keeper(pod) {
        Some(Keeper::Name) => true,
        Some(Keeper::Set(owner)) => OWNERS[owner].0 == "StatefulSet",
        Some(Keeper::Nothing | Keeper::Claim) | None => false,
    }
}

/// What makes pods.
pub(super) struct Owner<'a> {
    pub object: Application<'a>,
    /// `None`: it does not exist.
    pub replicas: Option<u32>,
}

impl Owner<'_> {
    /// Whether it makes a pod of this name.
    fn makes(&self, pod: &str) -> bool {
        let ordinal = pod.rsplit('-').next().and_then(|text| text.parse().ok());
        let (Some(replicas), Some(ordinal)) = (self.replicas, ordinal) else {
            return self.replicas.is_some();
        };
        (0..replicas).contains(&ordinal)
    }
}

/// What a person's claim asks for.
#[derive(Clone, Copy)]
pub(super) enum Asks {
    Addresses,
    Size,
}

impl Asks {
    fn spec(self, pool: &str, index: usize) -> Value {
        match self {
            Self::Addresses => {
                let first = 20 + index * 3;
                json!({"addresses": [format!("10.69.0.{first}-10.69.0.{}", first + index % 3)]})
            }
            Self::Size => json!({"size": 1 + index % 3, "pools": [pool]}),
        }
    }
}

pub(super) async fn owners(env: &TestEnv) -> Result<Vec<Owner<'_>>> {
    const REPLICAS: u32 = 2;
    let mut owners = Vec::new();
    for (kind, name) in OWNERS {
        let object = Application::new(env, ("apps", "v1", kind), name, REPLICAS).await?;
        let replicas = Some(REPLICAS);
        owners.push(Owner { object, replicas });
    }
    Ok(owners)
}

impl Model<'_> {
    /// The pod of this index, to be bound to a node.
    pub(super) fn pod(&self, index: usize) -> PodBuilder {
        let (name, keeper) = PODS[index];
        match keeper {
            Keeper::Nothing => self.env.pod(name),
            Keeper::Name => self.owners[0].object.owned(name),
            Keeper::Set(owner) => self.owners[owner].object.pod(name, "+1"),
            Keeper::Claim => (self.env.pod(name)).annotation("ipam.leasehold.io/claim", BY_HAND),
        }
    }

    /// The keeper of the pods that a claim is for.
    pub(super) fn keeper_by(&self, claim: &str) -> Option<Keeper> {
        if claim == BY_HAND {
            return Some(Keeper::Claim);
        }
        let mut owners = self.owners.iter();
        let owner = owners.position(|owner| owner.object.claim_name() == claim);
        owner.map(Keeper::Set)
    }

    pub(super) async fn scale(&mut self, index: usize, replicas: u32) -> Result<()> {
        let owner = &mut self.owners[index % OWNERS.len()];
        if owner.replicas.is_none() {
            return Ok(());
        }
        owner.object.scale(replicas).await?;
        owner.replicas = Some(replicas);
        self.note_unexpected();
        Ok(())
    }

    pub(super) async fn delete_owner(&mut self, index: usize) -> Result<()> {
        let owner = &mut self.owners[index % OWNERS.len()];
        if owner.replicas.take().is_some() {
            owner.object.delete().await?;
        }
        self.note_unexpected();
        Ok(())
    }

    /// Those that were deleted. They have other uids.
    pub(super) async fn make_owners(&mut self, replicas: u32) -> Result<()> {
        for owner in &mut self.owners {
            if owner.replicas.is_none() {
                owner.object.create(replicas).await?;
                owner.replicas = Some(replicas);
            }
        }
        Ok(())
    }

    /// Notes which pods and owners are not to be expected now: a run that is under way may release
    /// what is kept for them.
    pub(super) fn note_unexpected(&mut self) {
        for (index, owner) in self.owners.iter().enumerate() {
            if owner.replicas.is_none() {
                self.unexpected.insert(OWNERS[index].1);
            }
        }
        let numbered = PODS.iter().filter(|(_, keeper)| *keeper == Keeper::Name);
        let of_none = numbered.filter(|(name, _)| !self.owners[0].makes(name));
        self.unexpected.extend(of_none.map(|(name, _)| *name));
    }

    async fn delete_claim(&self, name: &str) -> Result<()> {
        let claims: Api<IPClaim> = self.env.claims().await?;
        // It may be gone by a run of the collector, or not have been made.
        if claims.get_opt(name).await?.is_some() {
            match claims.delete(name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                deleted => drop(deleted?),
            }
        }
        Ok(())
    }

    /// The claim alone goes: pods may hold members.
    pub(super) async fn delete_set(&mut self, index: usize) -> Result<()> {
        let owner = &self.owners[1 + index % (OWNERS.len() - 1)];
        self.delete_claim(&owner.object.claim_name()).await
    }

    pub(super) async fn claim_by_hand(&mut self, index: usize, coin: bool) -> Result<()> {
        match self.by_hand {
            Some(asks) if coin => {
                let spec = asks.spec(self.env.name(), index);
                self.env.edit_claim(BY_HAND, spec).await
            }
            Some(_) => {
                self.by_hand = None;
                self.delete_claim(BY_HAND).await
            }
            None => {
                let asks = if coin { Asks::Addresses } else { Asks::Size };
                self.by_hand = Some(asks);
                let spec = asks.spec(self.env.name(), index);
                self.env.claim(BY_HAND, spec).await.map(drop)
            }
        }
    }

    /// All of it goes.
    pub(super) async fn end_owners(&mut self) -> Result<()> {
        for index in 0..OWNERS.len() {
            self.delete_owner(index).await?;
        }
        self.delete_claim(BY_HAND).await
    }
}
