//! What is taken of a pool's addresses, and how many are left.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::IPPoolStatus;
use crate::ip::Spans;

/// An address that has a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The address.
    pub address: IpAddr,
    /// The state of its lease.
    pub state: TakenState,
    /// Who holds it, or held it last; `None` where the lease names no holder.
    pub owner: Option<Owner>,
}

/// The state of a lease, as far as it matters for the next holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenState {
    /// A pod uses it.
    Held,
    /// It is kept for a claim.
    Retained,
    /// A machine outside the cluster answers for it. The collector ends that.
    Quarantined,
    /// It was released.
    Cooling {
        /// When, by the clock of the node that released it.
        released_at: Timestamp,
        /// How long it rests after that, unless nothing else is free.
        cooldown: Duration,
    },
}

/// The pod behind a lease, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The interface inside the pod.
    pub interface: String,
}

/// The addresses of a pool as the collector counted them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// When.
    pub at: Timestamp,
    /// How they are used.
    pub usage: Usage,
    /// Some of the free ones, where most of the pool is taken.
    pub sample: Vec<IpAddr>,
    /// Whether another pool may give some of its addresses: leases of both lie in it.
    pub overlaps: bool,
}

impl Count {
    /// Of a pool's status, if the collector has ever written one.
    #[must_use]
    pub fn of(status: &IPPoolStatus) -> Option<Self> {
        let number = |count: i64| u128::try_from(count).unwrap_or(0);
        Some(Self {
            at: status.observed_at.as_ref()?.0,
            usage: Usage {
                usable: number(status.capacity),
                held: number(status.held),
                cooling: number(status.cooling),
                retained: number(status.retained),
                quarantined: number(status.quarantined),
                free: number(status.free),
            },
            sample: (status.sample.iter())
                .filter_map(|address| address.parse().ok())
                .collect(),
            overlaps: (status.conditions.iter())
                .any(|condition| condition.type_ == "Overlapping" && condition.status == "True"),
        })
    }
}

/// How the addresses of a pool are used, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// How many addresses the pool may give at all; saturates at `u128::MAX`.
    pub usable: u128,
    /// Those that a pod uses.
    pub held: u128,
    /// Those that were released, whether their cooldown is over or not.
    pub cooling: u128,
    /// Those that are kept for a claim.
    pub retained: u128,
    /// Those that a machine outside the cluster uses.
    pub quarantined: u128,
    /// Those without a lease.
    pub free: u128,
}

impl Usage {
    /// Counts the leases of `taken` in `usable`; `taken` names no address twice.
    #[must_use]
    pub fn of(usable: &Spans, taken: &[Taken]) -> Self {
        let mut counts = Self {
            usable: usable.len(),
            held: 0,
            cooling: 0,
            retained: 0,
            quarantined: 0,
            free: usable.len(),
        };
        for lease in taken.iter().filter(|t| usable.contains(t.address)) {
            *match lease.state {
                TakenState::Held => &mut counts.held,
                TakenState::Cooling { .. } => &mut counts.cooling,
                TakenState::Retained => &mut counts.retained,
                TakenState::Quarantined => &mut counts.quarantined,
            } += 1;
            counts.free -= 1;
        }
        counts
    }
}

impl fmt::Display for Usage {
    /// `256 addresses: 250 held, 6 cooling`, without the counts that are 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.usable == 1 { "" } else { "es" };
        write!(f, "{} address{plural}", self.usable)?;
        let parts = [
            (self.held, "held"),
            (self.cooling, "cooling"),
            (self.retained, "retained"),
            (self.quarantined, "quarantined"),
            (self.free, "free"),
        ];
        for (index, (count, name)) in parts.iter().filter(|(n, _)| *n > 0).enumerate() {
            write!(f, "{} {count} {name}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}
