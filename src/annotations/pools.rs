//! The annotations that name pools, and Subnets.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, MapAccess};

use super::json::{Described, Fields, List, Malformed, Object, put};
use super::pool_ref::SubnetName;
use super::{Annotations, Found, PoolRef, keys, read};
use crate::ip::{Family, PoolName};

const SUBNET: &str = r#"{"ipv4":["a"],"ipv6":["b"]}"#;
const SUBNETS: &str = r#"[{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]"#;
const IPPOOL: &str = r#"{"ipv4":["a","b"],"ipv6":["c"]}"#;
const IPPOOLS: &str = r#"[{"interface":"eth0","ipv4":["a"],"ipv6":["b"]}]"#;
const DEFAULT_IPPOOL: &str = r#"["a","b"]"#;

/// Pools of each family in order of preference; an empty list leaves its family to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolLists {
    /// IPv4 pools.
    pub ipv4: Vec<PoolRef>,
    /// IPv6 pools.
    pub ipv6: Vec<PoolRef>,
}

impl PoolLists {
    /// The pools of `family`.
    #[must_use]
    pub fn of(&self, family: Family) -> &[PoolRef] {
        match family {
            Family::V4 => &self.ipv4,
            Family::V6 => &self.ipv6,
        }
    }
}

/// The meaning of `ippool` and `subnet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForPod {
    /// The one interface that it is about; `None`: all.
    pub interface: Option<String>,
    /// The pools.
    pub pools: PoolLists,
}

/// The meaning of `ippools` and `subnets`, by interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PerInterface {
    /// Each item names its interface, none is named twice.
    Named(BTreeMap<String, ForInterface>),
    /// No item does: the first is about the pod's first interface, and so on.
    InOrder(Vec<ForInterface>),
}

/// The meaning of `ippools` and `subnets` for one interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForInterface {
    /// The pools.
    pub pools: PoolLists,
    /// Whether the default route is left to others, if that is set.
    pub clean_gateway: Option<bool>,
}

/// The pod's annotation `ippool`.
pub fn ippool(annotations: &Annotations) -> Result<Option<Found<ForPod>>, Malformed> {
    for_pod::<PoolRef>(annotations, keys::IPPOOL, IPPOOL)
}

/// The pod's annotation `subnet`: what `ippool` is for pools, for Subnets, each by the name of the
/// pool that it is.
pub fn subnet(annotations: &Annotations) -> Result<Option<Found<ForPod>>, Malformed> {
    for_pod::<SubnetName>(annotations, keys::SUBNET, SUBNET)
}

/// The pod's annotation `ippools`.
pub fn ippools(annotations: &Annotations) -> Result<Option<Found<PerInterface>>, Malformed> {
    per_interface::<PoolRef>(annotations, keys::IPPOOLS, IPPOOLS)
}

/// The pod's annotation `subnets`: what `ippools` is for pools, for Subnets.
pub fn subnets(annotations: &Annotations) -> Result<Option<Found<PerInterface>>, Malformed> {
    per_interface::<SubnetName>(annotations, keys::SUBNETS, SUBNETS)
}

/// Every Subnet that a pod with these annotations asks for, on whatever interface, each by the name
/// of the pool that it is.
pub fn asked_subnets(annotations: &Annotations) -> Result<Vec<PoolName>, Malformed> {
    let for_pod = subnet(annotations)?.map(|found| found.value.pools);
    let per_interface = match subnets(annotations)?.map(|found| found.value) {
        None => Vec::new(),
        Some(PerInterface::Named(items)) => items.into_values().collect(),
        Some(PerInterface::InOrder(items)) => items,
    };
    let lists = for_pod
        .into_iter()
        .chain(per_interface.into_iter().map(|it| it.pools));
    let refs = lists.flat_map(|lists| lists.ipv4.into_iter().chain(lists.ipv6));
    let names = refs.filter_map(|it| match it {
        PoolRef::Name(name) => Some(name),
        PoolRef::Pattern(_) => None,
    });
    Ok(names.collect())
}

/// How an item of a list is written.
trait Item: DeserializeOwned + Described + Into<PoolRef> {
    const OF_EACH_FAMILY: &'static str;
    const OF_AN_INTERFACE: &'static str;
}

impl Item for PoolRef {
    const OF_EACH_FAMILY: &'static str = "the pools of each family";
    const OF_AN_INTERFACE: &'static str = "the pools of an interface";
}

impl Item for SubnetName {
    const OF_EACH_FAMILY: &'static str = "the Subnets of each family";
    const OF_AN_INTERFACE: &'static str = "the Subnets of an interface";
}

fn for_pod<T: Item>(
    annotations: &Annotations,
    name: &str,
    example: &'static str,
) -> Result<Option<Found<ForPod>>, Malformed> {
    let found = read::<Object<WrittenPools<T>>>(annotations, name, example)?;
    Ok(found.map(|Found { key, value }| {
        let (interface, pools) = value.0.meant();
        Found {
            key,
            value: ForPod { interface, pools },
        }
    }))
}

fn per_interface<T: Item>(
    annotations: &Annotations,
    name: &str,
    example: &'static str,
) -> Result<Option<Found<PerInterface>>, Malformed> {
    let found = read::<List<Object<WrittenItem<T>>>>(annotations, name, example)?;
    let Some(Found {
        key,
        value: List(written),
    }) = found
    else {
        return Ok(None);
    };
    let wrong = |position: String, problem: String| Malformed {
        annotation: key.clone(),
        position,
        problem,
        example,
    };
    let mut named = BTreeMap::new();
    let mut in_order = Vec::new();
    for (index, Object(item)) in written.into_iter().enumerate() {
        let (interface, pools) = item.pools.meant();
        let position = format!("$[{index}].interface");
        if index > 0 && interface.is_some() != in_order.is_empty() {
            let problem = "either all items name their interface, or none does";
            return Err(wrong(position, problem.to_owned()));
        }
        let item = ForInterface {
            pools,
            clean_gateway: item.cleangateway,
        };
        match interface {
            None => in_order.push(item),
            Some(name) => {
                let short = crate::text::both_ends(&name);
                if named.insert(name, item).is_some() {
                    return Err(wrong(
                        position,
                        format!("interface {short:?} is listed twice"),
                    ));
                }
            }
        }
    }
    let value = if in_order.is_empty() {
        PerInterface::Named(named)
    } else {
        PerInterface::InOrder(in_order)
    };
    Ok(Some(Found { key, value }))
}

/// The namespace's annotation for pools of `family`, `default-ipv4-ippool` or
/// `default-ipv6-ippool`.
pub fn default_pools(
    annotations: &Annotations,
    family: Family,
) -> Result<Option<Found<Vec<PoolRef>>>, Malformed> {
    let name = match family {
        Family::V4 => keys::DEFAULT_IPV4_IPPOOL,
        Family::V6 => keys::DEFAULT_IPV6_IPPOOL,
    };
    let found = read::<List<PoolRef>>(annotations, name, DEFAULT_IPPOOL)?;
    Ok(found.map(
        |Found {
             key,
             value: List(value),
         }| Found { key, value },
    ))
}

struct WrittenPools<T> {
    interface: Option<String>,
    ipv4: List<T>,
    ipv6: List<T>,
}

impl<T> Default for WrittenPools<T> {
    fn default() -> Self {
        Self {
            interface: None,
            ipv4: List::default(),
            ipv6: List::default(),
        }
    }
}

impl<T: Item> Described for WrittenPools<T> {
    const WHAT: &'static str = T::OF_EACH_FAMILY;
}

impl<T: Item> Fields for WrittenPools<T> {
    const KEYS: &'static [&'static str] = &["interface", "ipv4", "ipv6"];

    fn set<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "interface" => put(map, &mut self.interface),
            "ipv4" => put(map, &mut self.ipv4),
            _ => put(map, &mut self.ipv6),
        }
    }
}

struct WrittenItem<T> {
    pools: WrittenPools<T>,
    cleangateway: Option<bool>,
}

impl<T> Default for WrittenItem<T> {
    fn default() -> Self {
        Self {
            pools: WrittenPools::default(),
            cleangateway: None,
        }
    }
}

impl<T: Item> Described for WrittenItem<T> {
    const WHAT: &'static str = T::OF_AN_INTERFACE;
}

impl<T: Item> Fields for WrittenItem<T> {
    const KEYS: &'static [&'static str] = &["interface", "ipv4", "ipv6", "cleangateway"];

    fn set<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "cleangateway" => put(map, &mut self.cleangateway),
            _ => self.pools.set(key, map),
        }
    }
}

impl<T: Item> WrittenPools<T> {
    /// The interface, if it is named, and its pools.
    fn meant(self) -> (Option<String>, PoolLists) {
        let refs = |List(items): List<T>| items.into_iter().map(Into::into).collect();
        let pools = PoolLists {
            ipv4: refs(self.ipv4),
            ipv6: refs(self.ipv6),
        };
        (self.interface.filter(|name| !name.is_empty()), pools)
    }
}
