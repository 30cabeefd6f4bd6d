//! Taking an address of each family, or of none.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::record::{Holder, Lease, LeaseName, StoredLease};
use super::retrying::{Clock, Deadline, Retrying};
use super::store::{LeaseFilter, Store};
use super::{Error, State};
use crate::allocate::Usage;
use crate::ip::PoolName;
use crate::ip::{Family, Vrf};
use crate::pool::Pool;

mod attempt;
mod eligibility;
mod search;

use search::Search;

/// Who asks for addresses.
#[derive(Debug, Clone)]
pub struct Requester {
    /// What the lease will say of its holder.
    pub holder: Holder,
    /// The address space of the network.
    pub vrf: Vrf,
    /// How long the pod's containers may take to end.
    pub termination: Duration,
    /// When this process began.
    pub since: Timestamp,
    /// Whether the pod shows any sign of an earlier sandbox, whose addresses it should have again.
    pub returning: bool,
}

/// One address that is asked for.
#[derive(Debug, Clone)]
pub struct AddressRequest<'a> {
    /// Of which family.
    pub family: Family,
    /// The pools that may give it, in order of preference.
    pub candidates: &'a [Arc<Pool>],
    /// Pools that give no new address, where an earlier one of this pod may be taken up again.
    pub resumable: &'a [Arc<Pool>],
    /// This very address, out of this pool.
    pub requested: Option<(IpAddr, Arc<Pool>)>,
}

/// An address that was given.
#[derive(Debug, Clone)]
pub struct Allocation {
    /// Its lease as it stands now.
    pub seen: StoredLease,
    /// The pool that says its prefix length, gateway and routes.
    pub pool: Arc<Pool>,
    /// What was there before.
    pub before: Previous,
}

/// What a grant took the place of, and so what it goes back to when it is given back.
#[derive(Debug, Clone)]
pub enum Previous {
    /// Nothing: the lease is deleted.
    Absent,
    /// A lease that nobody held: it is put back as it was.
    Vacant(Box<Lease>),
    /// This pod's own: it is left to this container's DEL.
    Own,
}

/// Why there is no address.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Each pool that fits is full, as of now.
    #[error("no free {family} address in {}: enlarge a pool or name a backup", names(.pools))]
    Exhausted {
        /// The family that was asked for.
        family: Family,
        /// The pools and what is in them.
        pools: Vec<(PoolName, Usage)>,
    },
    /// The pools give no new address, and there is no earlier one to take up again.
    #[error("no new {family} address: {} disabled, and this pod has no earlier address there: name another pool", are(.pools))]
    Disabled {
        /// The family that was asked for.
        family: Family,
        /// The pools.
        pools: Vec<PoolName>,
    },
    /// The address that was asked for is not to be had.
    #[error("{address} was asked for and is {}: ask for another", standing(*.state, .holder.as_deref()))]
    Unavailable {
        /// The address that was asked for.
        address: IpAddr,
        /// What its lease says.
        state: State,
        /// Who has it.
        holder: Option<Box<Holder>>,
    },
}

fn names(pools: &[(PoolName, Usage)]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = pools
        .iter()
        .take(SHOWN)
        .map(|(name, counts)| format!("{} ({counts})", shown(name)))
        .collect();
    match pools.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A name as a message can bear it, which has 1,024 bytes in an event: the longest label, where a name may have four.
fn shown(name: &PoolName) -> String {
    const READABLE: usize = 63;
    let name = name.as_str();
    match name.get(..READABLE) {
        Some(start) if name.len() > READABLE => format!("{start}…"),
        _ => name.to_owned(),
    }
}

fn are(pools: &[PoolName]) -> String {
    match pools {
        [pool] => format!("pool {} is", shown(pool)),
        [pool, rest @ ..] => format!("pool {} and {} more are", shown(pool), rest.len()),
        [] => "its pools are".to_owned(),
    }
}

/// What a lease says of its address: `held by shop/web-0 (eth0 on n1)`.
#[must_use]
pub fn standing(state: State, holder: Option<&Holder>) -> String {
    let by = |what: &str| match holder {
        Some(holder) => format!("{what} by {holder}"),
        None => format!("{what} by nobody known"),
    };
    match state {
        State::Held => by("held"),
        State::Cooling => by("cooling, last held"),
        State::Retained => by("kept for a claim, last held"),
        State::Quarantined => "in quarantine: somebody outside the cluster answers for it".into(),
        State::Unknown => "in a state that only a newer leasehold knows".into(),
    }
}

/// Takes one address for each bid, or none at all.
///
/// What was taken is given back when a later bid fails, or when the sandbox is gone in the end.
pub async fn take<S: Store, C: Clock>(
    desk: &Retrying<'_, S, C>,
    who: &Requester,
    bids: &[AddressRequest<'_>],
) -> Result<Vec<Allocation>, Error> {
    let mut allocations = Vec::with_capacity(bids.len());
    match acquire_each(desk, who, bids, &mut allocations).await {
        Ok(()) => Ok(allocations),
        Err(error) => {
            rollback(desk, allocations).await;
            Err(error)
        }
    }
}

async fn acquire_each<S: Store, C: Clock>(
    desk: &Retrying<'_, S, C>,
    who: &Requester,
    bids: &[AddressRequest<'_>],
    allocations: &mut Vec<Allocation>,
) -> Result<(), Error> {
    let earlier = if who.returning {
        desk.find(LeaseFilter::Pod(&who.holder.uid)).await?
    } else {
        Vec::new()
    };
    for bid in bids {
        allocations.push(Search { desk, who, bid }.run(&earlier).await?);
    }
    desk.not_late()
}

/// Puts back what was taken, the last first, each as it was before. What does not come about is left unsettled.
pub async fn rollback<S: Store, C: Clock>(desk: &Retrying<'_, S, C>, allocations: Vec<Allocation>) {
    // Two attempts at each, when the time for taking is over.
    let attempt = desk.patience.attempt;
    let over = desk.clock.elapsed() + attempt * 3;
    let patience = Deadline {
        deadline: desk.patience.deadline.max(over),
        attempt,
    };
    let undoing = Retrying::new(desk.store, desk.clock, patience, desk.sandbox_exists);
    for Allocation {
        seen,
        pool: _,
        before,
    } in allocations.into_iter().rev()
    {
        let outcome = match before {
            Previous::Own => continue,
            Previous::Absent => undoing.delete(&seen).await.map(|_| ()),
            Previous::Vacant(lease) => undoing.replace(&seen, &lease).await.map(|_| ()),
        };
        if outcome.is_err() {
            desk.unsettled.borrow_mut().push(seen.lease.name);
        }
    }
}

impl Requester {
    /// The lease that says so.
    fn lease(&self, pool: &Pool, address: IpAddr) -> Lease {
        Lease {
            name: LeaseName {
                vrf: self.vrf.clone(),
                address,
            },
            pool: pool.name.clone(),
            state: State::Held,
            holder: Some(self.holder.clone()),
            co_holder: None,
            claim: None,
            cooldown: pool.cooldown,
            termination: self.termination,
            held_since: Some(self.since),
            released_at: None,
            quarantined_until: None,
            gone_since: None,
            foreign_mac: None,
        }
    }
}
