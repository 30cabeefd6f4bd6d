//! The annotations that name pools.

use std::collections::BTreeMap;

use serde::de::MapAccess;

use super::json::{Described, Fields, List, Malformed, Object, put};
use super::{Annotations, Found, PoolRef, keys, read};
use crate::ip::Family;

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

/// The meaning of `ippool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForPod {
    /// The one interface that it is about; `None`: all.
    pub interface: Option<String>,
    /// The pools.
    pub pools: PoolLists,
}

/// The meaning of `ippools`, by interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PerInterface {
    /// Each item names its interface, none is named twice.
    Named(BTreeMap<String, ForInterface>),
    /// No item does: the first is about the pod's first interface, and so on.
    InOrder(Vec<ForInterface>),
}

/// The meaning of `ippools` for one interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForInterface {
    /// The pools.
    pub pools: PoolLists,
    /// Whether the default route is left to others, if that is set.
    pub clean_gateway: Option<bool>,
}

/// The pod's annotation `ippool`.
pub fn ippool(annotations: &Annotations) -> Result<Option<Found<ForPod>>, Malformed> {
    let found = read::<Object<WrittenPools>>(annotations, keys::IPPOOL, IPPOOL)?;
    Ok(found.map(|Found { key, value }| {
        let (interface, pools) = value.0.meant();
        Found {
            key,
            value: ForPod { interface, pools },
        }
    }))
}

/// The pod's annotation `ippools`.
pub fn ippools(annotations: &Annotations) -> Result<Option<Found<PerInterface>>, Malformed> {
    let found = read::<List<Object<WrittenItem>>>(annotations, keys::IPPOOLS, IPPOOLS)?;
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
        example: IPPOOLS,
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

#[derive(Default)]
struct WrittenPools {
    interface: Option<String>,
    ipv4: List<PoolRef>,
    ipv6: List<PoolRef>,
}

impl Described for WrittenPools {
    const WHAT: &'static str = "the pools of each family";
}

impl Fields for WrittenPools {
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

#[derive(Default)]
struct WrittenItem {
    pools: WrittenPools,
    cleangateway: Option<bool>,
}

impl Described for WrittenItem {
    const WHAT: &'static str = "the pools of an interface";
}

impl Fields for WrittenItem {
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

impl WrittenPools {
    /// The interface, if it is named, and its pools.
    fn meant(self) -> (Option<String>, PoolLists) {
        let pools = PoolLists {
            ipv4: self.ipv4.0,
            ipv6: self.ipv6.0,
        };
        (self.interface.filter(|name| !name.is_empty()), pools)
    }
}
