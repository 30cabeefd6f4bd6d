//! What the collector reports: a line for each lease that it released or kept, and a summary.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::pod_name::PodName;
use super::reason::{KeepReason, Reason, ReasonKind};
use super::snapshot::HolderSnapshot;
use super::status::Counted;
use crate::ip::PoolName;
use crate::lease::LeaseName;
use crate::text::counted;

/// Who hears what the collector does, as it does it.
pub trait Reporter {
    /// Something was done, or would be.
    fn event(&self, event: &Event);
    /// So many of these have been listed.
    fn progress(&self, what: &'static str, count: usize);
}

/// Something that was done, or in a dry run would be; or that a person has to know.
#[derive(Debug, Clone)]
pub enum Event {
    /// A lease was released.
    Reclaimed {
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
    /// A lease looks dead and is kept.
    Kept {
        /// Which one.
        lease: LeaseName,
        /// The pool of its address.
        pool: PoolName,
        /// Who has it.
        holder: Option<HolderSnapshot>,
        /// Why.
        why: KeepReason,
        /// When its wait ends, where it is only time that is missing.
        until: Option<Timestamp>,
        /// The other pod that uses its address, if that is why.
        rival: Option<PodName>,
    },
    /// A lease that was missing was recreated.
    Recreated {
        /// Which one.
        lease: LeaseName,
        /// The pool of its address.
        pool: PoolName,
        /// The pod that uses it.
        pod: PodName,
        /// Whether it would be.
        dry_run: bool,
    },
    /// The lease of a member of a set was made.
    MemberMade {
        /// Which one.
        lease: LeaseName,
        /// The pool of its address.
        pool: PoolName,
        /// The claim of the set.
        claim: String,
    },
    /// A claim was deleted, of which no pod has an address.
    ClaimDeleted {
        /// The claim.
        claim: String,
        /// The application that it was for.
        owner: String,
        /// Whether the application does not exist; else it does not ask for the claim any more.
        is_owner_gone: bool,
    },
    /// Living pods use one address.
    Contested {
        /// The address.
        address: IpAddr,
        /// The pods.
        pods: Vec<PodName>,
    },
    /// A part of the work was not done, or an object was not understood.
    Problem(String),
}

impl Event {
    /// As one line of JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::Reclaimed {
                lease,
                pool,
                holder,
                reason,
                dry_run,
            } => json!({
                "event": "reclaimed", "lease": lease.to_string(), "pool": pool.to_string(),
                "holder": holder_json(holder.as_ref()), "reason": reason.kind().label(),
                "message": reason.to_string(), "dryRun": dry_run,
            }),
            Self::Kept {
                lease,
                pool,
                holder,
                why,
                until,
                rival,
            } => json!({
                "event": "kept", "lease": lease.to_string(), "pool": pool.to_string(),
                "holder": holder_json(holder.as_ref()), "reason": why.label(),
                "message": why.explain(node(holder.as_ref())),
                "until": until.map(|until| format!("{until:.0}")),
                "rival": rival.as_ref().map(ToString::to_string),
            }),
            Self::Recreated {
                lease,
                pool,
                pod,
                dry_run,
            } => json!({
                "event": "recreated", "lease": lease.to_string(), "pool": pool.to_string(),
                "pod": pod.to_string(), "dryRun": dry_run,
            }),
            Self::MemberMade { lease, pool, claim } => json!({
                "event": "memberMade", "lease": lease.to_string(), "pool": pool.to_string(), "claim": claim,
            }),
            Self::ClaimDeleted {
                claim,
                owner,
                is_owner_gone,
            } => json!({
                "event": "claimDeleted", "claim": claim, "owner": owner,
                "reason": if *is_owner_gone { "owner_gone" } else { "unused" },
            }),
            Self::Contested { address, pods } => json!({
                "event": "contested", "address": address.to_string(),
                "pods": pods.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }),
            Self::Problem(what) => json!({"event": "problem", "message": what}),
        }
    }
}

fn holder_json(holder: Option<&HolderSnapshot>) -> Option<Value> {
    holder.map(|h| {
        json!({
            "namespace": &*h.namespace, "pod": &*h.pod, "uid": h.uid.to_string(), "node": &*h.node,
            "interface": &*h.interface,
        })
    })
}

fn node(holder: Option<&HolderSnapshot>) -> &str {
    holder.map_or("", |holder| &holder.node)
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reclaimed {
                lease,
                holder,
                reason,
                dry_run,
                ..
            } => {
                let did = if *dry_run {
                    "would reclaim"
                } else {
                    "reclaimed"
                };
                write!(f, "{did} {lease}{}: {reason}", of(holder.as_ref()))
            }
            Self::Kept {
                lease,
                holder,
                why,
                until,
                rival,
                ..
            } => {
                let who = of(holder.as_ref());
                write!(
                    f,
                    "kept {lease}{who}: {}",
                    why.explain(node(holder.as_ref()))
                )?;
                if let Some(until) = until {
                    write!(f, ", until {until:.0}")?;
                }
                match rival {
                    Some(rival) => write!(f, " (pod {rival})"),
                    None => Ok(()),
                }
            }
            Self::Recreated {
                lease,
                pool,
                pod,
                dry_run,
            } => {
                let did = if *dry_run {
                    "would recreate"
                } else {
                    "recreated"
                };
                write!(
                    f,
                    "{did} the lease of {lease} in pool {pool}: pod {pod} uses the address and had no lease"
                )
            }
            Self::MemberMade { lease, pool, claim } => {
                write!(
                    f,
                    "made the lease of {lease} in pool {pool} for IPClaim {claim}"
                )
            }
            Self::ClaimDeleted {
                claim,
                owner,
                is_owner_gone,
            } => {
                let why = if *is_owner_gone {
                    format!("{owner} does not exist")
                } else {
                    format!("no pod of {owner} asks for it any more")
                };
                write!(
                    f,
                    "deleted IPClaim {claim}: {why}, and none has an address of it"
                )
            }
            Self::Contested { address, pods } => {
                let pods: Vec<String> = pods.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "two living pods use {address}: {}; delete all but one of them",
                    pods.join(" and ")
                )
            }
            Self::Problem(what) => f.write_str(what),
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

/// What a run did.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Whether everything was listed: without it nothing is released.
    pub looked: bool,
    /// How many leases there were.
    pub leases: usize,
    /// How many pods.
    pub pods: usize,
    /// How many nodes.
    pub nodes: usize,
    /// How many leases were released, by reason.
    #[serde(serialize_with = "by_reason")]
    pub reclaimed: BTreeMap<ReasonKind, usize>,
    /// How many looked dead and were kept, by what kept them.
    #[serde(serialize_with = "by_keep_reason")]
    pub kept: BTreeMap<KeepReason, usize>,
    /// How many were recreated.
    pub recreated: usize,
    /// How many leases were made for members of sets.
    pub members: usize,
    /// How many claims were deleted, because their applications are gone.
    pub claims_deleted: usize,
    /// How many addresses two living pods use.
    pub contested: usize,
    /// How many marks were written for the next run.
    pub marks: usize,
    /// How many objects could not be read.
    pub unreadable: usize,
    /// How many statuses of pools were written.
    pub statuses: usize,
    /// How many operations failed.
    pub failed: usize,
    /// For how long the oldest lease that looks dead has been known and kept.
    #[serde(serialize_with = "in_seconds")]
    pub oldest_suspect: Option<Duration>,
    /// Whether it was interrupted.
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

fn by_reason<S: serde::Serializer>(
    counts: &BTreeMap<ReasonKind, usize>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().map(|(kind, count)| (kind.label(), count)))
}

fn by_keep_reason<S: serde::Serializer>(
    counts: &BTreeMap<KeepReason, usize>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().map(|(why, count)| (why.label(), count)))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.looked {
            write!(
                f,
                "read {}, {} and {}",
                counted(self.leases, "lease"),
                counted(self.pods, "pod"),
                counted(self.nodes, "node")
            )?;
        } else {
            f.write_str("could not read everything")?;
        }
        let did = if self.dry_run {
            "would reclaim"
        } else {
            "reclaimed"
        };
        write!(f, "; {did} {}", self.reclaimed.values().sum::<usize>())?;
        let parts = self.reclaimed.iter();
        enclose(f, parts.map(|(kind, n)| format!("{n} {}", kind.label())))?;
        if !self.kept.is_empty() {
            write!(f, "; kept {}", self.kept.values().sum::<usize>())?;
            let parts = self.kept.iter();
            enclose(f, parts.map(|(why, n)| format!("{n} {}", why.label())))?;
        }
        for (count, noun, what) in [
            (self.recreated, "lease", "recreated"),
            (self.members, "lease", "made for claims"),
            (self.claims_deleted, "claim", "deleted"),
            (self.contested, "address", "used by two living pods"),
            (self.unreadable, "object", "unreadable"),
            (self.failed, "operation", "failed"),
        ] {
            if count > 0 {
                write!(f, "; {} {what}", counted(count, noun))?;
            }
        }
        if self.stopped {
            f.write_str("; interrupted")?;
        }
        Ok(())
    }
}

fn enclose(f: &mut fmt::Formatter<'_>, parts: impl Iterator<Item = String>) -> fmt::Result {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        Ok(())
    } else {
        write!(f, " ({})", parts.join(", "))
    }
}
