//! Scenes: a pod, its namespace and some pools, put together line by line.

use serde_json::{Value, json};

use super::super::*;
use crate::annotations::PoolLists;
use crate::api::{IPPool, Subnet};

/// A pod `default/web` on node `n1`, its interface `eth0`, both families wished for.
#[derive(Debug, Clone)]
pub struct Setup {
    pub facts: Facts,
    pub request: Request,
    pools: Vec<IPPool>,
    subnets: Vec<Subnet>,
}

pub fn setup() -> Setup {
    let labels = |key: &str| Labels::from([(key.to_owned(), "a".to_owned())]);
    Setup {
        facts: Facts {
            pod: PodFacts {
                namespace: "default".into(),
                name: "web".into(),
                uid: "0c4d".into(),
                node: "n1".into(),
                labels: labels("app"),
                annotations: Labels::new(),
            },
            namespace: ObjectMetadata {
                labels: labels("team"),
                annotations: Labels::new(),
            },
            node_labels: Some(labels("zone")),
        },
        request: Request {
            claim: None,
            interface: "eth0".into(),
            network: "test".into(),
            pools: PoolLists::default(),
            policy: FamilyPolicy::PreferDualStack,
            families: Family::BOTH.to_vec(),
            vrf: Vrf::default(),
            clean_gateway: false,
            requested: Vec::new(),
        },
        pools: Vec::new(),
        subnets: Vec::new(),
    }
}

impl Setup {
    /// An IPv4 pool, with `more` in its spec.
    pub fn v4(self, name: &str, more: Value) -> Self {
        let subnet = format!("10.0.{}.0/24", self.pools.len());
        self.pool(name, &subnet, more)
    }

    /// An IPv6 pool, with `more` in its spec.
    pub fn v6(self, name: &str, more: Value) -> Self {
        let subnet = format!("fd00:{:x}::/64", self.pools.len() + 1);
        self.pool(name, &subnet, more)
    }

    pub fn pool(mut self, name: &str, subnet: &str, mut more: Value) -> Self {
        more["subnet"] = subnet.into();
        let object = json!({
            "apiVersion": "leasehold.io/v1alpha1",
            "kind": "IPPool",
            "metadata": {"name": name},
            "spec": more,
        });
        self.pools
            .push(serde_json::from_value(object).expect("a pool"));
        self
    }

    /// A Subnet, with `more` in its spec.
    pub fn subnet(mut self, name: &str, subnet: &str, mut more: Value) -> Self {
        more["subnet"] = subnet.into();
        let spec = serde_json::from_value(more).expect("a spec");
        self.subnets.push(Subnet::new(name, spec));
        self
    }

    /// The Subnet that was added last is being deleted.
    pub fn subnet_being_deleted(mut self) -> Self {
        let last = self.subnets.last_mut().expect("a Subnet");
        last.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).ok();
        self
    }

    /// The pool that was added last is being deleted.
    pub fn being_deleted(mut self) -> Self {
        let last = self.pools.last_mut().expect("a pool");
        last.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).ok();
        self
    }

    pub fn pod(mut self, key: &str, text: &str) -> Self {
        self.facts
            .pod
            .annotations
            .insert(full(key), text.to_owned());
        self
    }

    pub fn namespace(mut self, key: &str, text: &str) -> Self {
        self.facts
            .namespace
            .annotations
            .insert(full(key), text.to_owned());
        self
    }

    pub fn config(mut self, family: Family, names: &[&str]) -> Self {
        let refs = names
            .iter()
            .map(|name| name.parse().expect("a pool"))
            .collect();
        match family {
            Family::V4 => self.request.pools.ipv4 = refs,
            Family::V6 => self.request.pools.ipv6 = refs,
        }
        self
    }

    pub fn at(mut self, interface: &str) -> Self {
        self.request.interface = interface.to_owned();
        self
    }

    pub fn attached(self, networks: &str) -> Self {
        self.pod("k8s.v1.cni.cncf.io/networks", networks)
    }

    pub fn single(mut self, family: Family) -> Self {
        self.request.policy = FamilyPolicy::SingleStack;
        self.request.families = vec![family];
        self
    }

    pub fn requiring_both(mut self) -> Self {
        self.request.policy = FamilyPolicy::RequireDualStack;
        self
    }

    pub fn asking_for(mut self, addresses: &[&str]) -> Self {
        self.request.requested = addresses
            .iter()
            .map(|a| a.parse().expect("an address"))
            .collect();
        self
    }

    pub fn pools(&self) -> Pools {
        Pools::read(self.pools.clone(), &self.subnets, &[], &self.request.vrf)
            .expect("no reservations")
    }

    pub fn select(&self) -> Result<Selection, Error> {
        select(&self.facts, &self.pools(), &self.request)
    }

    /// For a pod that has no addresses yet: `IPv4 Pod: a b; IPv6 Default: d`, or the error.
    pub fn summary(&self) -> String {
        match self
            .select()
            .and_then(|selection| selection.settle(|_| false))
        {
            Err(error) => format!("error: {error}"),
            Ok(selection) => {
                let lines = |choice: &FamilyChoice| {
                    let names = names(&choice.candidates).join(" ");
                    format!("{} {:?}: {names}", choice.family, choice.level)
                };
                selection
                    .families
                    .iter()
                    .map(lines)
                    .collect::<Vec<_>>()
                    .join("; ")
            }
        }
    }
}

pub fn names(pools: &[Arc<Pool>]) -> Vec<&str> {
    pools.iter().map(|pool| pool.name.as_str()).collect()
}

/// With our prefix, unless it has one.
fn full(key: &str) -> String {
    if key.contains('/') {
        key.to_owned()
    } else {
        format!("ipam.leasehold.io/{key}")
    }
}
