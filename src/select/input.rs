//! What a choice of pools is made from.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Error;
use crate::annotations::{Annotations, PoolLists, PoolRef};
use crate::claim::Claim;
use crate::cni::{Config, FamilyPolicy};
use crate::ip::{Family, Vrf};

/// Labels by key.
pub type Labels = BTreeMap<String, String>;

/// What was read about the pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The pod.
    pub pod: PodFacts,
    /// Its namespace.
    pub namespace: ObjectMetadata,
    /// The labels of its node; `None`: not read, because [`needs_node`](super::needs_node) was
    /// false.
    pub node_labels: Option<Labels>,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// Its namespace's name.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its node's name.
    pub node: String,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Annotations,
}

/// Labels and annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectMetadata {
    /// The labels.
    pub labels: Labels,
    /// The annotations.
    pub annotations: Annotations,
}

/// What the call asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The interface that the call is for.
    pub interface: String,
    /// The `name` of the CNI configuration.
    pub network: String,
    /// The pools that the CNI configuration names.
    pub pools: PoolLists,
    /// How many families the pod gets.
    pub policy: FamilyPolicy,
    /// The families to try, in this order.
    pub families: Vec<Family>,
    /// The address space of the network.
    pub vrf: Vrf,
    /// Whether the CNI configuration leaves the gateway's default route out.
    pub clean_gateway: bool,
    /// The requested addresses, at most one of each family.
    pub requested: Vec<IpAddr>,
    /// The claim that the pod names, if it does.
    pub claim: Option<Claim>,
}

impl Request {
    /// What `config` asks for, for an interface in a network, with these addresses.
    pub fn of(
        config: &Config,
        interface: &str,
        network: &str,
        requested: &[IpAddr],
    ) -> Result<Self, Error> {
        Ok(Self {
            interface: interface.to_owned(),
            network: network.to_owned(),
            pools: PoolLists {
                ipv4: refs(config_key(Family::V4), &config.ipv4_pools)?,
                ipv6: refs(config_key(Family::V6), &config.ipv6_pools)?,
            },
            policy: config.policy,
            families: config.families.clone(),
            vrf: config.vrf.clone(),
            clean_gateway: config.clean_gateway,
            requested: requested.to_vec(),
            claim: None,
        })
    }

    /// Whether the configuration names no pool: annotations do, or default pools serve.
    #[must_use]
    pub fn names_no_pool(&self) -> bool {
        let PoolLists { ipv4, ipv6 } = &self.pools;
        ipv4.is_empty() && ipv6.is_empty()
    }
}

/// The configuration's key for pools of `family`.
pub(super) fn config_key(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4Pools",
        Family::V6 => "ipv6Pools",
    }
}

fn refs(key: &'static str, texts: &[String]) -> Result<Vec<PoolRef>, Error> {
    let parse = |(index, text): (usize, &String)| {
        text.parse().map_err(|problem| Error::BadConfig {
            key,
            index,
            problem,
        })
    };
    texts.iter().enumerate().map(parse).collect()
}
