//! Every list, whole or not at all.

use std::cell::Cell;

use super::api::{Api, Page, Part};
use super::compact::SharedTexts;
use super::report::{Event, Reporter};
use super::snapshot::{ClaimSnapshot, LeaseSnapshot, Snapshot};
use super::{Error, Options};
use crate::api::{IPPool, ReservedIP, Subnet};
use crate::claim::{Claim, ClaimName, Source};
use crate::lease::{ClaimRef, State};
use crate::retry::{ApiError, Clock, ErrorKind, Retrying};
use crate::text::chain;

/// How often one list may expire. It takes a server that is slower than its own memory, five
/// minutes by default.
const BEGINNINGS: usize = 3;

/// What was listed.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub snapshot: Snapshot,
    pub pools: Vec<IPPool>,
    pub reserved: Vec<ReservedIP>,
    pub subnets: Vec<Subnet>,
    /// How many objects could not be read.
    pub unreadable: usize,
    /// Why the StatefulSets could not be listed.
    pub no_stateful_sets: Option<String>,
}

/// Lists everything: the leases first, so that a pod which the later list does not show was gone by
/// then.
pub(super) async fn gather<W: Api, C: Clock>(
    client: &Retrying<'_, W, C>,
    options: &Options,
    reporter: &impl Reporter,
) -> Result<Gathered, Error> {
    let api = client.api;
    let mut list = Lists {
        client,
        options,
        reporter,
        unreadable: 0,
    };
    let texts = SharedTexts::default();
    let leases = list
        .whole("leases", async |part| api.leases(part, &texts).await)
        .await?;
    let pods = list
        .whole("pods", async |part| api.pods(part, &texts).await)
        .await?;
    drop(texts);
    let nodes = list
        .whole("nodes", async |part| api.nodes(part).await)
        .await?;
    let heartbeats = list
        .whole("node heartbeats", async |part| api.heartbeats(part).await)
        .await?;
    let mut gathered = Gathered {
        pools: list
            .whole("pools", async |part| api.pools(part).await)
            .await?,
        reserved: list
            .whole("reserved addresses", async |part| api.reserved(part).await)
            .await?,
        subnets: list
            .whole("subnets", async |part| api.subnets(part).await)
            .await?,
        unreadable: 0,
        no_stateful_sets: None,
        snapshot: Snapshot {
            leases,
            pods,
            nodes: nodes.into_iter().collect(),
            heartbeats: heartbeats.into_iter().collect(),
            ..Snapshot::default()
        },
    };
    let sets = list
        .whole("claims", async |part| api.claims(part).await)
        .await?;
    let is_slot = |lease: &LeaseSnapshot| {
        let claim = lease.claim.as_deref().and_then(ClaimRef::stateful_set);
        lease.state == State::Retained && claim.is_some()
    };
    let is_set = |claim: &Claim| match &claim.source {
        Source::Derived(owner) => owner.object().is_stateful_set(),
        Source::Listed(_) | Source::Sized { .. } => false,
    };
    let mut stateful_sets = None;
    if gathered.snapshot.leases.iter().any(is_slot)
        || sets
            .iter()
            .any(|(_, claim)| claim.as_ref().is_some_and(is_set))
    {
        let listed = list
            .whole("StatefulSets", async |part| api.stateful_sets(part).await)
            .await;
        match listed {
            Ok(listed) => stateful_sets = Some(listed.into_iter().collect()),
            Err(Error::Incomplete { source, .. }) => {
                gathered.no_stateful_sets = Some(chain(&source));
            }
            Err(Error::Expired { source, .. }) => gathered.no_stateful_sets = Some(chain(&source)),
            Err(error) => return Err(error),
        }
    }
    gathered.unreadable = list.unreadable;
    let snapshot = &mut gathered.snapshot;
    snapshot.sets = sets.into_iter().collect();
    snapshot.stateful_sets = stateful_sets;
    for lease in &snapshot.leases {
        let Some(claim) = lease
            .claim
            .as_deref()
            .filter(|_| lease.state == State::Retained)
        else {
            continue;
        };
        if let Some(name) = ClaimName::of(claim) {
            let claim = ClaimSnapshot::of(snapshot.sets.get(&name), lease.name.address);
            snapshot.claims.insert(lease.name.clone(), claim);
        } else if let (Some(owner), Some(stateful_sets)) =
            (claim.stateful_set(), &snapshot.stateful_sets)
        {
            let name = (claim.namespace.as_str().into(), owner.name.as_str().into());
            let claim = ClaimSnapshot::of_slot(claim, stateful_sets.get(&name));
            snapshot.claims.insert(lease.name.clone(), claim);
        }
    }
    Ok(gathered)
}

struct Lists<'a, 'd, W, C, T> {
    client: &'a Retrying<'d, W, C>,
    options: &'a Options,
    reporter: &'a T,
    unreadable: usize,
}

/// What became of an attempt at a list.
enum Attempt<I> {
    Whole(Vec<I>, Vec<String>),
    Expired(ApiError),
}

impl<W: Api, C: Clock, T: Reporter> Lists<'_, '_, W, C, T> {
    /// A list to its end. One that expires on the way is begun again: its pages would be of two
    /// moments.
    async fn whole<I>(
        &mut self,
        what: &'static str,
        page: impl AsyncFn(Part<'_>) -> Result<Page<I>, ApiError>,
    ) -> Result<Vec<I>, Error> {
        let mut times = 0;
        loop {
            match self.attempt(what, &page).await? {
                Attempt::Whole(items, unreadable) => {
                    self.unreadable += unreadable.len();
                    for problem in unreadable {
                        self.reporter.event(&Event::Problem(problem));
                    }
                    return Ok(items);
                }
                Attempt::Expired(source) => {
                    times += 1;
                    if times >= BEGINNINGS {
                        return Err(Error::Expired {
                            what,
                            times,
                            source,
                        });
                    }
                }
            }
        }
    }

    async fn attempt<I>(
        &self,
        what: &'static str,
        page: &impl AsyncFn(Part<'_>) -> Result<Page<I>, ApiError>,
    ) -> Result<Attempt<I>, Error> {
        let (mut items, mut problems) = (Vec::new(), Vec::new());
        let mut after: Option<String> = None;
        // A list that breaks off may be more than the server can send in time.
        let in_pages = Cell::new(false);
        loop {
            if after.is_some() && self.client.clock.elapsed() > self.client.deadline.at {
                return Err(Error::OutOfTime {
                    seconds: self.options.deadline.as_secs(),
                });
            }
            let answer = self.client.retry(async || {
                let part = match &after {
                    Some(next) => Part::After(next),
                    None if in_pages.get() => Part::First,
                    None => Part::Whole,
                };
                match page(part).await {
                    Err(api_error) if api_error.kind == ErrorKind::Expired => Ok(Err(api_error)),
                    Err(api_error) => {
                        in_pages
                            .set(in_pages.get() || api_error.kind == ErrorKind::Transient(None));
                        Err(api_error)
                    }
                    Ok(page) => Ok(Ok(page)),
                }
            });
            let answer = answer
                .await
                .map_err(|source| Error::Incomplete { what, source })?;
            match answer {
                Err(expired) => return Ok(Attempt::Expired(expired)),
                Ok(Page {
                    items: more,
                    unreadable,
                    next,
                }) => {
                    if items.is_empty() {
                        // A whole list is not held twice.
                        items = more;
                    } else {
                        items.extend(more);
                    }
                    problems.extend(unreadable);
                    self.reporter.progress(what, items.len());
                    after = next;
                }
            }
            if after.is_none() {
                return Ok(Attempt::Whole(items, problems));
            }
        }
    }
}
