//! What the collector tells: a line for each lease that it touched, and a summary.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::reason::{KeepReason, Reason};
use super::snapshot::HolderSnapshot;
use super::status::Counted;
use crate::ip::PoolName;
use crate::lease::LeaseName;

/// Whom the collector tells what it does, as it does it.
pub trait Reporter {
    /// Something was done, or would be.
    fn event(&self, event: &Event);
    /// So many of these have been listed.
    fn progress(&self, what: &'static str, count: usize);
}

/// Something that was done, or in a dry run would be.
#[derive(Debug, Clone)]
pub enum Event {
    /// A lease was taken back.
    TakenBack {
        /// Which one.
        lease: LeaseName,
        /// The pool of its address.
        pool: PoolName,
        /// Who had it.
        holder: Option<HolderSnapshot>,
        /// Why.
        reason: Reason,
        /// Whether it would be.
        dry_run: bool,
    },
    /// A lease looks dead and is kept because another pod reports its address: somebody has to look at it.
    Contested {
        /// Which one.
        lease: LeaseName,
        /// Who has it.
        holder: Option<HolderSnapshot>,
        /// Who reports its address: namespace and name.
        reporter: Option<(Box<str>, Box<str>)>,
    },
    /// A lease that was missing was made again.
    Made {
        /// Which one.
        lease: LeaseName,
        /// The pool of its address.
        pool: PoolName,
        /// The pod that reports it: namespace and name.
        pod: (Box<str>, Box<str>),
        /// Whether it would be.
        dry_run: bool,
    },
    /// Something stands in the way of a part of the work.
    ApiError(String),
}

impl Event {
    /// As one line of JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let holder = |holder: &Option<HolderSnapshot>| {
            holder.as_ref().map(|h| {
                serde_json::json!({
                    "namespace": h.namespace, "pod": h.pod, "uid": h.uid, "node": h.node, "interface": h.interface,
                })
            })
        };
        match self {
            Self::TakenBack {
                lease,
                pool,
                holder: who,
                reason,
                dry_run,
            } => serde_json::json!({
                "event": "taken back", "lease": lease.to_string(), "pool": pool.to_string(), "holder": holder(who),
                "reason": reason.label(), "message": reason.to_string(), "dryRun": dry_run,
            }),
            Self::Contested {
                lease,
                holder: who,
                reporter,
            } => serde_json::json!({
                "event": "contested", "lease": lease.to_string(), "holder": holder(who),
                "reporter": reporter.as_ref().map(|(ns, name)| format!("{ns}/{name}")),
            }),
            Self::Made {
                lease,
                pool,
                pod: (namespace, name),
                dry_run,
            } => serde_json::json!({
                "event": "made again", "lease": lease.to_string(), "pool": pool.to_string(),
                "pod": format!("{namespace}/{name}"), "dryRun": dry_run,
            }),
            Self::ApiError(what) => serde_json::json!({"event": "trouble", "message": what}),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenBack {
                lease,
                pool: _,
                holder,
                reason,
                dry_run,
            } => {
                let did = if *dry_run {
                    "would take back"
                } else {
                    "took back"
                };
                write!(f, "{did} {lease}{}: {reason}", of(holder.as_ref()))
            }
            Self::Contested {
                lease,
                holder,
                reporter,
            } => {
                write!(f, "kept {lease}{}, which looks dead: ", of(holder.as_ref()))?;
                match reporter {
                    Some((namespace, name)) => {
                        write!(f, "pod {namespace}/{name} reports the address")
                    }
                    None => f.write_str("a pod that lives reports the address"),
                }
            }
            Self::Made {
                lease,
                pool,
                pod: (namespace, name),
                dry_run,
            } => {
                let did = if *dry_run { "would make" } else { "made" };
                write!(
                    f,
                    "{did} {lease} of pool {pool} again: pod {namespace}/{name} reports the address and had no lease"
                )
            }
            Self::ApiError(what) => f.write_str(what),
        }
    }
}

fn of(holder: Option<&HolderSnapshot>) -> String {
    holder.map_or_else(String::new, |h| {
        format!(
            " of {}/{} ({} on {})",
            h.namespace, h.pod, h.interface, h.node
        )
    })
}

/// What a run came to.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Whether the first look came to its end: without it nothing is taken back.
    pub looked: bool,
    /// How many leases there were.
    pub leases: usize,
    /// How many pods.
    pub pods: usize,
    /// How many nodes.
    pub nodes: usize,
    /// How many leases were taken back, by reason.
    pub taken_back: BTreeMap<&'static str, usize>,
    /// How many looked dead and were kept, by what kept them.
    #[serde(serialize_with = "by_label")]
    pub kept: BTreeMap<KeepReason, usize>,
    /// How many were made again.
    pub made: usize,
    /// How many statuses of pools were written.
    pub statuses: usize,
    /// How many of the things to do could not be done.
    pub failed: usize,
    /// How old the oldest lease is that looked dead and was kept.
    #[serde(serialize_with = "in_seconds")]
    pub oldest_suspect: Option<Duration>,
    /// Whether it was asked to end before its time.
    pub stopped: bool,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The pools, as they were counted in the end.
    #[serde(skip)]
    pub pools: Vec<Counted>,
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn in_seconds<S: serde::Serializer>(
    age: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    age.map(|age| age.as_secs_f64()).serialize(serializer)
}

fn by_label<S: serde::Serializer>(
    kept: &BTreeMap<KeepReason, usize>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(kept.iter().map(|(kept, count)| (kept.label(), count)))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.looked {
            let some = |n: usize, what| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
            write!(
                f,
                "looked at {}, {} and {}",
                some(self.leases, "lease"),
                some(self.pods, "pod"),
                some(self.nodes, "node")
            )?;
        } else {
            f.write_str("did not get to look at everything")?;
        }
        write!(
            f,
            "; {} {}",
            if self.dry_run {
                "would take back"
            } else {
                "took back"
            },
            self.taken_back.values().sum::<usize>(),
        )?;
        let parts = self.taken_back.iter().map(|(why, n)| format!("{n} {why}"));
        enclose(f, &parts.collect::<Vec<_>>())?;
        if !self.kept.is_empty() {
            write!(f, "; kept {}", self.kept.values().sum::<usize>())?;
            let parts = self.kept.iter().map(|(why, n)| format!("{n}: {why}"));
            enclose(f, &parts.collect::<Vec<_>>())?;
        }
        for (count, what) in [
            (self.made, "made again"),
            (self.failed, "could not be done"),
        ] {
            if count > 0 {
                write!(f, "; {count} {what}")?;
            }
        }
        if self.stopped {
            f.write_str("; asked to end before its time")?;
        }
        Ok(())
    }
}

fn enclose(f: &mut fmt::Formatter<'_>, parts: &[String]) -> fmt::Result {
    if parts.is_empty() {
        Ok(())
    } else {
        write!(f, " ({})", parts.join(", "))
    }
}
