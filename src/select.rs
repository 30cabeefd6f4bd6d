//! Which pools a pod may use (interim: levels 5 and 6).
#![allow(missing_docs)]
use std::sync::Arc;

use crate::api::{Pool, Pools};
use crate::ip::{Family, Vrf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no pool fits")]
    NoPool(Trace),
}
impl Error {
    #[must_use]
    pub fn details(&self) -> String {
        match self {
            Self::NoPool(trace) => trace.to_string(),
        }
    }
}
#[derive(Debug, Clone, Default)]
pub struct Trace(Vec<String>);
impl std::fmt::Display for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}
#[derive(Debug)]
pub struct FamilyChoice {
    pub family: Family,
    pub candidates: Vec<Arc<Pool>>,
    pub disabled: Vec<Arc<Pool>>,
}
#[derive(Debug)]
pub struct Selection {
    pub families: Vec<FamilyChoice>,
    pub clean_gateway: bool,
    pub trace: Trace,
}
pub struct Wishes<'a> {
    pub ipv4_pools: &'a [String],
    pub ipv6_pools: &'a [String],
    pub families: &'a [Family],
    pub require_dual: bool,
    pub vrf: &'a Vrf,
    pub clean_gateway: bool,
}
pub fn select(wishes: &Wishes<'_>, pools: &Pools) -> Result<Selection, Error> {
    let mut families = vec![];
    for &family in wishes.families {
        let named = if family == Family::V4 {
            wishes.ipv4_pools
        } else {
            wishes.ipv6_pools
        };
        let found: Vec<Arc<Pool>> = if named.is_empty() {
            pools
                .iter()
                .flatten()
                .filter(|p| p.default && p.vrf == *wishes.vrf)
                .cloned()
                .collect()
        } else {
            named
                .iter()
                .filter_map(|n| pools.get(n)?.ok().cloned())
                .collect()
        };
        let (disabled, candidates): (Vec<_>, Vec<_>) = found
            .into_iter()
            .filter(|p| p.family() == family && !p.deleting)
            .partition(|p| p.disabled);
        if !candidates.is_empty() || !disabled.is_empty() {
            families.push(FamilyChoice {
                family,
                candidates,
                disabled,
            });
        }
    }
    if families.is_empty() || (wishes.require_dual && families.len() < 2) {
        return Err(Error::NoPool(Trace::default()));
    }
    Ok(Selection {
        families,
        clean_gateway: wishes.clean_gateway,
        trace: Trace::default(),
    })
}
