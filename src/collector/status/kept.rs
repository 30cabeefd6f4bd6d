//! The leases of a pool, or of a node, that look dead and are kept.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::SHOWN;
use super::finding::Finding;
use crate::collector::reason::KeepReason;
use crate::text::counted;

/// A lease that looks dead and is kept.
#[derive(Debug, Clone, Copy)]
pub struct KeptLease<'a> {
    /// Why.
    pub why: KeepReason,
    /// The node of its holder.
    pub node: &'a str,
    /// When its wait ends, where it is only time that is missing.
    pub until: Option<Timestamp>,
}

/// Such leases, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptLeases {
    counts: BTreeMap<(KeepReason, Box<str>), usize>,
    returns: Option<Timestamp>,
}

impl KeptLeases {
    /// Counts one more.
    pub fn add(&mut self, lease: KeptLease<'_>) {
        *self
            .counts
            .entry((lease.why, lease.node.into()))
            .or_default() += 1;
        self.returns = [self.returns, lease.until].into_iter().flatten().min();
    }

    /// How many, by the word of each reason.
    #[must_use]
    pub fn by_label(&self) -> BTreeMap<&'static str, i64> {
        let mut by_label = BTreeMap::new();
        for ((why, _), count) in &self.counts {
            let of = by_label.entry(why.label()).or_default();
            *of += i64::try_from(*count).unwrap_or(i64::MAX);
        }
        by_label
    }

    /// When the first of them returns by itself.
    #[must_use]
    pub fn returns(&self) -> Option<Timestamp> {
        self.returns
    }

    /// Whether any waits for a person, and for what.
    pub(super) fn finding(&self) -> Finding {
        let mut groups: Vec<(&KeepReason, &str, usize)> = self
            .counts
            .iter()
            .filter(|((why, _), _)| why.needs_a_person())
            .map(|((why, node), count)| (why, &**node, *count))
            .collect();
        if groups.is_empty() {
            return Finding::no("NothingWaits");
        }
        groups.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        let shown = groups.iter().take(SHOWN);
        let shown = shown.map(|(why, node, count)| {
            let leases = counted(*count, "lease");
            format!("{leases} kept: {}", why.explain(node))
        });
        Finding::yes(
            "WaitsForAPerson",
            Finding::listed(shown.collect(), groups.len()),
        )
    }

    /// Why an administrator has to check the node: a message for each such reason.
    pub fn of_node(&self) -> impl Iterator<Item = String> {
        let counts = self.counts.iter();
        let about = counts.filter(|((why, _), _)| why.is_about_the_node());
        about.map(|((why, node), count)| {
            let addresses = counted(*count, "address");
            format!(
                "{addresses} kept for pods that are gone: {}",
                why.explain(node)
            )
        })
    }
}
