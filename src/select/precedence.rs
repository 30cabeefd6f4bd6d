//! What names pools for this interface: the levels of precedence, except the last, which names
//! none.

use std::collections::BTreeMap;

use super::input::config_key;
use super::interfaces::{Interfaces, ItemPlace};
use super::{AnnotationSource, Error, Facts, Level, Request, malformed};
use crate::annotations::{
    self, ForInterface, Found, PerInterface, PoolRef, default_pools, ippool, ippools, subnet,
    subnets,
};
use crate::claim::Source;
use crate::ip::{Family, PoolName};
use crate::pool::Pools;

/// The outcome of the levels that were read.
#[derive(Debug, Clone, Default)]
pub(super) struct AllNamed {
    families: BTreeMap<Family, Named>,
    /// Whether the gateway's default route is left out, if the pod sets that for this interface.
    pub(super) clean_gateway: Option<bool>,
    /// Whether the pod has pools for other interfaces too.
    pub(super) several_interfaces: bool,
}

/// The pools of the first level that names any.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) level: Level,
    /// The key of the annotation or of the configuration.
    pub(super) key: String,
    pub(super) refs: Vec<PoolRef>,
}

impl AllNamed {
    pub(super) fn of(&self, family: Family) -> Option<&Named> {
        self.families.get(&family)
    }

    /// A family that has its pools already keeps them.
    fn add(&mut self, family: Family, level: Level, key: &str, refs: &[PoolRef]) {
        if !refs.is_empty() {
            self.families.entry(family).or_insert_with(|| Named {
                level,
                key: key.to_owned(),
                refs: refs.to_vec(),
            });
        }
    }
}

/// Reads level after level, until each family has its pools.
pub(super) fn named(
    facts: &Facts,
    request: &Request,
    interfaces: &Interfaces,
    pools: &Pools,
) -> Result<AllNamed, Error> {
    let mut named = AllNamed::default();
    for level in [
        Level::Claim,
        Level::InterfaceSubnet,
        Level::Subnet,
        Level::Interface,
        Level::Pod,
        Level::Namespace,
        Level::Config,
        Level::Default,
    ] {
        let open: Vec<Family> = request
            .families
            .iter()
            .copied()
            .filter(|family| named.of(*family).is_none())
            .collect();
        if open.is_empty() {
            break;
        }
        match level {
            Level::Claim => by_claim(&mut named, &open, facts, request, pools)?,
            Level::InterfaceSubnet | Level::Interface => {
                by_interface(&mut named, &open, level, facts, request, interfaces)?;
            }
            Level::Subnet | Level::Pod => by_pod(&mut named, &open, level, facts, request)?,
            Level::Namespace => by_namespace(&mut named, &open, facts)?,
            Level::Config => {
                for family in open {
                    named.add(family, level, config_key(family), request.pools.of(family));
                }
            }
            Level::Default => {}
        }
    }
    Ok(named)
}

/// The pools that have addresses of the claim, which leaves a family to others that it has none of.
fn by_claim(
    named: &mut AllNamed,
    open: &[Family],
    facts: &Facts,
    request: &Request,
    pools: &Pools,
) -> Result<(), Error> {
    let found =
        annotations::claim(&facts.pod.annotations).map_err(malformed(AnnotationSource::Pod))?;
    let (Some(Found { key, .. }), Some(claim)) = (found, &request.claim) else {
        return Ok(());
    };
    for &family in open {
        let refs: Vec<PoolRef> = match &claim.source {
            Source::Listed(spans) => {
                let mut listed = spans.iter().filter(|span| span.family() == family);
                if listed.next().is_none() {
                    continue;
                }
                let having = pools.iter().flatten().filter(|pool| {
                    let shared = pool.listed.intersection(spans);
                    pool.vrf == claim.vrf && pool.family() == family && !shared.is_empty()
                });
                let having_any: Vec<_> = having
                    .map(|pool| PoolRef::Name(pool.name.clone()))
                    .collect();
                if having_any.is_empty() {
                    return Err(Error::ClaimOutsidePools {
                        claim: claim.name.clone(),
                        family,
                    });
                }
                having_any
            }
            Source::Sized { pools: of, .. } => {
                let is_of_family = |name: &&String| match pools.get(name) {
                    Some(Ok(pool)) => pool.family() == family,
                    Some(Err(_)) | None => true,
                };
                let of_family = of.iter().filter(is_of_family);
                of_family
                    .map(|name| PoolRef::Name(PoolName::from(name.as_str())))
                    .collect()
            }
            Source::Derived(_) => {
                return Err(Error::DerivedClaim {
                    claim: claim.name.clone(),
                });
            }
        };
        named.add(family, Level::Claim, &key, &refs);
    }
    Ok(())
}

fn by_interface(
    named: &mut AllNamed,
    open: &[Family],
    level: Level,
    facts: &Facts,
    request: &Request,
    interfaces: &Interfaces,
) -> Result<(), Error> {
    let read = match level {
        Level::InterfaceSubnet => subnets,
        Level::Claim
        | Level::Subnet
        | Level::Interface
        | Level::Pod
        | Level::Namespace
        | Level::Config
        | Level::Default => ippools,
    };
    let found = read(&facts.pod.annotations).map_err(malformed(AnnotationSource::Pod))?;
    let Some(Found { key, value }) = found else {
        return Ok(());
    };
    named.several_interfaces |= match &value {
        PerInterface::Named(items) => items.keys().any(|name| *name != request.interface),
        PerInterface::InOrder(items) => items.len() > 1,
    };
    let item: ForInterface = match value {
        PerInterface::Named(mut items) => match items.remove(&request.interface) {
            Some(item) => item,
            None => {
                return Err(Error::InterfaceNotNamed {
                    annotation: key,
                    interface: request.interface.clone(),
                    named: items.into_keys().collect(),
                });
            }
        },
        PerInterface::InOrder(mut items) => match interfaces.item(items.len()) {
            ItemPlace::At(index) if index < items.len() => items.swap_remove(index),
            ItemPlace::At(index) => {
                return Err(Error::InterfaceWithoutItem {
                    annotation: key,
                    interface: request.interface.clone(),
                    number: index + 1,
                    items: items.len(),
                });
            }
            ItemPlace::NotListed => return Ok(()),
        },
    };
    named.clean_gateway = named.clean_gateway.or(item.clean_gateway);
    for &family in open {
        named.add(family, level, &key, item.pools.of(family));
    }
    Ok(())
}

fn by_pod(
    named: &mut AllNamed,
    open: &[Family],
    level: Level,
    facts: &Facts,
    request: &Request,
) -> Result<(), Error> {
    let read = match level {
        Level::Subnet => subnet,
        Level::Claim
        | Level::InterfaceSubnet
        | Level::Interface
        | Level::Pod
        | Level::Namespace
        | Level::Config
        | Level::Default => ippool,
    };
    let found = read(&facts.pod.annotations).map_err(malformed(AnnotationSource::Pod))?;
    let Some(Found { key, value }) = found else {
        return Ok(());
    };
    if value.interface.is_none_or(|name| name == request.interface) {
        for &family in open {
            named.add(family, level, &key, value.pools.of(family));
        }
    }
    Ok(())
}

fn by_namespace(named: &mut AllNamed, open: &[Family], facts: &Facts) -> Result<(), Error> {
    for &family in open {
        let found = default_pools(&facts.namespace.annotations, family)
            .map_err(malformed(AnnotationSource::Namespace))?;
        if let Some(Found { key, value }) = found {
            named.add(family, Level::Namespace, &key, &value);
        }
    }
    Ok(())
}
