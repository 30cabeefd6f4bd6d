//! From names to pools.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::precedence::Named;
use super::rules::{MatchInput, judge, specificity};
use super::{Considered, FamilyChoice, FamilyTrace, Level, Rejection};
use crate::annotations::PoolRef;
use crate::ip::Family;
use crate::ip::PoolName;
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
        considered: Vec::new(),
        candidates: Vec::new(),
        resumable: Vec::new(),
    };
    let (level, key) = if let Some(Named { level, key, refs }) = named {
        for pool_ref in refs {
            choosing.look_for(pool_ref);
        }
        (*level, key.clone())
    } else {
        choosing.look_through(|pool| pool.default, |broken| broken.default);
        (Level::Default, String::new())
    };
    (
        FamilyChoice {
            family,
            level,
            candidates: choosing.candidates,
            resumable: choosing.resumable,
            requested: None,
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
    considered: Vec<Considered>,
    candidates: Vec<Arc<Pool>>,
    resumable: Vec<Arc<Pool>>,
}

impl Choosing<'_> {
    fn look_for(&mut self, wanted: &PoolRef) {
        match wanted {
            PoolRef::Name(name) => match self.pools.get(name.as_str()) {
                Some(Ok(pool)) => self.consider(pool),
                Some(Err(broken)) => self.give_up(broken),
                None => {
                    if self.seen.insert(name.clone()) {
                        self.considered.push(Considered::Missing(name.clone()));
                    }
                }
            },
            PoolRef::Pattern(wildcard) => {
                let found = self.look_through(
                    |pool| wildcard.matches(&pool.name),
                    |broken| wildcard.matches(&broken.name),
                );
                if !found {
                    self.considered
                        .push(Considered::Unmatched(wanted.to_string()));
                }
            }
        }
    }

    /// Considers all pools of the family and VRF that match; true if there is one.
    ///
    /// Pools of the other family were not named, so they are not in the trace.
    fn look_through(
        &mut self,
        sound: impl Fn(&Pool) -> bool,
        broken: impl Fn(&InvalidPool) -> bool,
    ) -> bool {
        let (family, vrf) = (self.family, &self.input.request.vrf);
        let (mut meant, mut unusable) = (Vec::new(), Vec::new());
        for pool in self.pools.iter() {
            match pool {
                Ok(pool) if pool.family() == family && pool.vrf == *vrf && sound(pool) => {
                    meant.push(pool);
                }
                Err(pool)
                    if pool.family.is_none_or(|f| f == family)
                        && pool.vrf.as_ref().is_none_or(|v| v == vrf)
                        && broken(pool) =>
                {
                    unusable.push(pool);
                }
                Ok(_) | Err(_) => {}
            }
        }
        // They are sorted by name, and this sort is stable.
        meant.sort_by_key(|pool| specificity(pool));
        let found = !meant.is_empty() || !unusable.is_empty();
        for pool in meant {
            self.consider(pool);
        }
        for pool in unusable {
            self.give_up(pool);
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

    fn give_up(&mut self, broken: &InvalidPool) {
        if self.seen.insert(broken.name.clone()) {
            let reasons = vec![Rejection::InvalidPool(broken.fault.clone())];
            self.considered
                .push(Considered::Rejected(broken.name.clone(), reasons));
        }
    }
}
