//! How the choice was made, for messages.

use std::collections::BTreeMap;
use std::fmt;

use super::Rejection;
use crate::ip::Family;
use crate::ip::PoolName;
use crate::text::truncated;

/// Where pools are named, in the order of precedence: the first place that names any for a family
/// decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The pod's annotation `claim`: pools that have addresses of its set.
    Claim,
    /// The pod's annotation `subnets`, for the interface of the call: Subnets that the sets of its
    /// application are made of.
    InterfaceSubnet,
    /// The pod's annotation `subnet`.
    Subnet,
    /// The pod's annotation `ippools`, for the interface of the call.
    Interface,
    /// The pod's annotation `ippool`.
    Pod,
    /// The namespace's annotations `default-ipv4-ippool` and `default-ipv6-ippool`.
    Namespace,
    /// The CNI configuration's `ipv4Pools` and `ipv6Pools`.
    Config,
    /// Nowhere: every pool with `default: true`.
    Default,
}

impl Level {
    /// What is named there, in messages.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::InterfaceSubnet | Self::Subnet => "Subnet",
            Self::Claim
            | Self::Interface
            | Self::Pod
            | Self::Namespace
            | Self::Config
            | Self::Default => "pool",
        }
    }
}

/// Every pool that was considered, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// One for each family that was tried.
    pub families: Vec<FamilyTrace>,
}

/// The pools that were considered for one family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyTrace {
    /// The family.
    pub family: Family,
    /// Which level decided.
    pub level: Level,
    /// The annotation's or the configuration's key that named the pools; empty for the last level.
    pub key: String,
    /// The pools in the order in which they were considered.
    pub considered: Vec<Considered>,
}

/// What became of one name, pattern or pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Considered {
    /// The pool may serve the pod.
    Fits(PoolName),
    /// The pool may not, for these reasons.
    Rejected(PoolName, Vec<Rejection>),
    /// There is no pool of this name.
    Missing(PoolName),
    /// No pool of the family and vrf matches this pattern.
    Unmatched(String),
}

impl Considered {
    /// The pool, or what was written in its place.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Fits(pool) | Self::Rejected(pool, _) | Self::Missing(pool) => pool.as_str(),
            Self::Unmatched(pattern) => pattern,
        }
    }

    /// The outcome in a word or two, for counting.
    fn kind(&self) -> &'static str {
        match self {
            Self::Fits(_) => "fit",
            Self::Rejected(_, reasons) => reasons.first().map_or("rejected", Rejection::kind),
            Self::Missing(_) => "missing",
            Self::Unmatched(_) => "without a match",
        }
    }
}

impl fmt::Display for Considered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fits(pool) => write!(f, "{pool}: fits"),
            Self::Missing(pool) => write!(f, "{pool}: does not exist"),
            Self::Unmatched(pattern) => write!(f, "{pattern}: matches no pool"),
            Self::Rejected(pool, reasons) => {
                write!(f, "{pool}: ")?;
                for (index, reason) in reasons.iter().enumerate() {
                    write!(f, "{}{reason}", if index > 0 { " and " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl FamilyTrace {
    /// Who named the pools: `the pod's annotation ipam.leasehold.io/ippool`.
    #[must_use]
    pub fn source(&self) -> String {
        match self.level {
            Level::Claim
            | Level::InterfaceSubnet
            | Level::Subnet
            | Level::Interface
            | Level::Pod => {
                format!("the pod's annotation {}", self.key)
            }
            Level::Namespace => format!("the namespace's annotation {}", self.key),
            Level::Config => format!("the CNI configuration's {}", self.key),
            Level::Default => "the default pools".to_owned(),
        }
    }

    fn heading(&self) -> String {
        format!("{} from {}", self.family, self.source())
    }

    /// In at most `room` bytes: the first pools one by one, and the outcomes of the others counted.
    fn summary(&self, room: usize) -> String {
        /// For `; and 1000 more: 998 namespaceAffinity, 1 disabled, 1 missing`.
        const TAIL: usize = 90;
        let mut text = self.heading();
        if self.considered.is_empty() {
            text += ": there are none";
        }
        for (index, considered) in self.considered.iter().enumerate() {
            let rest = &self.considered[index..];
            let tail = if rest.len() > 1 { TAIL } else { 0 };
            let left = room.saturating_sub(text.len() + tail + 2);
            let item = considered.to_string();
            // The first is always shown, as far as there is room.
            if index > 0 && item.len() > left {
                let tail = format!("; and {} more: {}", rest.len(), counts(rest));
                text += &tail;
                break;
            }
            text += if index > 0 { "; " } else { ": " };
            text += &truncated(&item, left);
        }
        truncated(&text, room)
    }
}

fn counts(considered: &[Considered]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for one in considered {
        *kinds.entry(one.kind()).or_default() += 1;
    }
    let mut kinds: Vec<(&str, usize)> = kinds.into_iter().collect();
    kinds.sort_by_key(|&(kind, count)| (std::cmp::Reverse(count), kind));
    let listed: Vec<String> = kinds
        .iter()
        .take(3)
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    listed.join(", ")
}

impl Trace {
    /// In one line of at most `room` bytes, for the event of a pod.
    #[must_use]
    pub fn summary(&self, room: usize) -> String {
        const SEPARATOR: &str = "; ";
        let mut texts: Vec<String> = self.families.iter().map(|f| f.summary(room)).collect();
        let mut by_length: Vec<usize> = (0..texts.len()).collect();
        by_length.sort_by_key(|&index| texts[index].len());
        // Each has its share, and longer ones get what a short one leaves.
        let mut left = room.saturating_sub(SEPARATOR.len() * texts.len());
        for (done, &index) in by_length.iter().enumerate() {
            let share = left / (texts.len() - done);
            if texts[index].len() > share {
                texts[index] = self.families[index].summary(share);
            }
            left -= texts[index].len();
        }
        texts.join(SEPARATOR)
    }
}

/// One line for each family, and below it one for each pool.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for family in &self.families {
            writeln!(f, "{}", family.heading())?;
            for considered in &family.considered {
                writeln!(f, "  {considered}")?;
            }
        }
        Ok(())
    }
}
