//! From names and patterns to the pools that may serve.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::precedence::Named;
use super::rules::{MatchInput, judge, specificity};
use super::{Considered, FamilyChoice, FamilyTrace, Level, Rejection};
use crate::annotations::PoolRef;
use crate::ip::{Family, PoolName};
use crate::pool::{InvalidPool, Pool, Pools};

/// Considers the pools that are named for `family`, or the default pools if none is named.
pub(super) fn choose(
    family: Family,
    named: Option<&Named>,
    pools: &Pools,
    input: &MatchInput<'_>,
) -> (FamilyChoice, FamilyTrace) {
    let mut choosing = Choosing {
        family,
        pools,
        input,
        seen: BTreeSet::new(),
        patterns: BTreeSet::new(),
        considered: Vec::new(),
        candidates: Vec::new(),
        resumable: Vec::new(),
    };
    let (level, key) = if let Some(Named { level, key, refs }) = named {
        for pool_ref in refs {
            choosing.add(pool_ref);
        }
        (*level, key.clone())
    } else {
        choosing.add_all(|pool| pool.default, |invalid| invalid.default);
        (Level::Default, String::new())
    };
    (
        FamilyChoice {
            family,
            level,
            candidates: choosing.candidates,
            resumable: choosing.resumable,
            requested: None,
            set: (level == Level::Claim)
                .then(|| input.request.claim.clone())
                .flatten(),
        },
        FamilyTrace {
            family,
            level,
            key,
            considered: choosing.considered,
        },
    )
}

struct Choosing<'a> {
    family: Family,
    pools: &'a Pools,
    input: &'a MatchInput<'a>,
    /// A pool that is named twice counts where it is named first.
    seen: BTreeSet<PoolName>,
    /// A pattern that is written twice is held against the pools once.
    patterns: BTreeSet<String>,
    considered: Vec<Considered>,
    candidates: Vec<Arc<Pool>>,
    resumable: Vec<Arc<Pool>>,
}

impl Choosing<'_> {
    fn add(&mut self, wanted: &PoolRef) {
        match wanted {
            PoolRef::Name(name) => match self.pools.get(name.as_str()) {
                Some(Ok(pool)) => self.consider(pool),
                Some(Err(invalid)) => self.reject(invalid),
                None => {
                    if self.seen.insert(name.clone()) {
                        self.considered.push(Considered::Missing(name.clone()));
                    }
                }
            },
            PoolRef::Pattern(_) if !self.patterns.insert(wanted.to_string()) => {}
            PoolRef::Pattern(wildcard) => {
                let found = self.add_all(
                    |pool| wildcard.matches(&pool.name),
                    |invalid| wildcard.matches(&invalid.name),
                );
                if !found {
                    self.considered
                        .push(Considered::Unmatched(wanted.to_string()));
                }
            }
        }
    }

    /// Considers all pools of the family and vrf that are selected; whether there is one.
    ///
    /// Those of the other family were not named, so the trace does not list them.
    fn add_all(
        &mut self,
        selects: impl Fn(&Pool) -> bool,
        selects_invalid: impl Fn(&InvalidPool) -> bool,
    ) -> bool {
        let (family, vrf) = (self.family, &self.input.request.vrf);
        let (mut selected, mut invalid) = (Vec::new(), Vec::new());
        for pool in self.pools.iter() {
            match pool {
                Ok(pool) if pool.family() == family && pool.vrf == *vrf && selects(pool) => {
                    selected.push(pool);
                }
                Err(pool)
                    if pool.family.is_none_or(|f| f == family)
                        && pool.vrf.as_ref().is_none_or(|v| v == vrf)
                        && selects_invalid(pool) =>
                {
                    invalid.push(pool);
                }
                Ok(_) | Err(_) => {}
            }
        }
        // They come sorted by name, and this sort keeps the order of equals.
        selected.sort_by_key(|pool| specificity(pool));
        let found = !selected.is_empty() || !invalid.is_empty();
        for pool in selected {
            self.consider(pool);
        }
        for pool in invalid {
            self.reject(pool);
        }
        found
    }

    fn consider(&mut self, pool: &Arc<Pool>) {
        if !self.seen.insert(pool.name.clone()) {
            return;
        }
        let reasons = judge(pool, self.family, self.input);
        match reasons.as_slice() {
            [] => self.candidates.push(pool.clone()),
            [Rejection::Disabled] => self.resumable.push(pool.clone()),
            _ => {}
        }
        self.considered.push(if reasons.is_empty() {
            Considered::Fits(pool.name.clone())
        } else {
            Considered::Rejected(pool.name.clone(), reasons)
        });
    }

    fn reject(&mut self, invalid: &InvalidPool) {
        if self.seen.insert(invalid.name.clone()) {
            let reasons = vec![Rejection::InvalidPool(invalid.fault.clone())];
            self.considered
                .push(Considered::Rejected(invalid.name.clone(), reasons));
        }
    }
}
