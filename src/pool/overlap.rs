//! Which pools of a vrf may give the same addresses.

use std::collections::BTreeMap;

use super::Pool;
use crate::ip::{PoolName, Span, Vrf};

/// Addresses that another pool may give too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// The other pool.
    pub with: PoolName,
    /// The addresses.
    pub span: Span,
}

/// For each pool that shares addresses what it shares, in the order of the addresses.
///
/// A sweep over all spans in their order: it costs what there is to be found, not the square of the
/// pools.
#[must_use]
pub fn overlaps<'a>(pools: impl Iterator<Item = &'a Pool>) -> BTreeMap<PoolName, Vec<Overlap>> {
    let mut spans: Vec<(&Vrf, Span, &PoolName)> = pools
        .flat_map(|pool| {
            pool.usable
                .iter()
                .map(|span| (&pool.vrf, *span, &pool.name))
        })
        .collect();
    spans.sort_unstable();
    let mut shared: BTreeMap<PoolName, Vec<Overlap>> = BTreeMap::new();
    let mut open: Vec<(&Vrf, Span, &PoolName)> = Vec::new();
    for (vrf, span, name) in spans {
        open.retain(|(other, earlier, _)| *other == vrf && earlier.last() >= span.first());
        for (_, earlier, with) in &open {
            let last = earlier.last().min(span.last());
            // Spans of two families do not meet.
            let Some(both) = Span::new(span.first(), last) else {
                continue;
            };
            for (one, other) in [(name, *with), (*with, name)] {
                shared.entry(one.clone()).or_default().push(Overlap {
                    with: other.clone(),
                    span: both,
                });
            }
        }
        open.push((vrf, span, name));
    }
    for each in shared.values_mut() {
        each.sort_by(|a, b| (a.span, &a.with).cmp(&(b.span, &b.with)));
    }
    shared
}
