//! The first look: every list, whole or not at all.

use super::api::{Api, Page};
use super::report::Reporter;
use super::snapshot::{ClaimSnapshot, Snapshot};
use super::{Error, Options};
use crate::api::{IPPool, ReservedIP, Subnet};
use crate::lease::State;
use crate::retry::{ApiError, Clock, ErrorKind, Retrying};

/// How often one list may expire. It takes a server that is slower than its own memory, five minutes by default.
const BEGINNINGS: usize = 3;

/// What pools are made of, as written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub pools: Vec<IPPool>,
    pub reserved: Vec<ReservedIP>,
    pub subnets: Vec<Subnet>,
}

/// Looks at everything: the leases first, so that a pod which the later list does not show was gone by then.
pub(super) async fn look<W: Api, C: Clock>(
    desk: &Retrying<'_, W, C>,
    options: &Options,
    reporter: &impl Reporter,
) -> Result<(Snapshot, Written), Error> {
    let world = desk.api;
    let list = Lists {
        desk,
        options,
        reporter,
    };
    let leases = list
        .whole("leases", async |a| world.leases(a).await)
        .await?;
    let mut snapshot = Snapshot {
        leases,
        ..Snapshot::default()
    };
    snapshot.pods = list.whole("pods", async |a| world.pods(a).await).await?;
    snapshot.nodes = list
        .whole("nodes", async |a| world.nodes(a).await)
        .await?
        .into_iter()
        .collect();
    let heartbeats = list
        .whole("node heartbeats", async |a| world.heartbeats(a).await)
        .await?;
    snapshot.heartbeats = heartbeats.into_iter().collect();
    let written = Written {
        pools: list.whole("pools", async |a| world.pools(a).await).await?,
        reserved: list
            .whole("reserved addresses", async |a| world.reserved(a).await)
            .await?,
        subnets: list
            .whole("subnets", async |a| world.subnets(a).await)
            .await?,
    };
    for lease in &snapshot.leases {
        if lease.state == State::Retained && lease.claim.is_some() {
            let claim = desk.retry(async || world.claim(lease).await).await;
            snapshot
                .claims
                .insert(lease.name.clone(), claim.unwrap_or(ClaimSnapshot::Unknown));
        }
    }
    Ok((snapshot, written))
}

struct Lists<'a, 'd, W, C, T> {
    desk: &'a Retrying<'d, W, C>,
    options: &'a Options,
    reporter: &'a T,
}

impl<W: Api, C: Clock, T: Reporter> Lists<'_, '_, W, C, T> {
    /// All pages of a list. One that expires on the way is begun again: its pages would be of two moments.
    async fn whole<I>(
        &self,
        what: &'static str,
        page: impl AsyncFn(Option<&str>) -> Result<Page<I>, ApiError>,
    ) -> Result<Vec<I>, Error> {
        let mut times = 0;
        loop {
            match self.attempt(what, &page).await? {
                Ok(items) => return Ok(items),
                Err(source) => {
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
        page: &impl AsyncFn(Option<&str>) -> Result<Page<I>, ApiError>,
    ) -> Result<Result<Vec<I>, ApiError>, Error> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            if self.desk.clock.elapsed() > self.options.deadline {
                return Err(Error::OutOfTime {
                    seconds: self.options.deadline.as_secs(),
                });
            }
            let answer = self
                .desk
                .retry(async || match page(after.as_deref()).await {
                    Err(trouble) if trouble.kind == ErrorKind::Expired => Ok(Err(trouble)),
                    outcome => outcome.map(Ok),
                });
            let answer = answer
                .await
                .map_err(|source| Error::Incomplete { what, source })?;
            match answer {
                Err(expired) => return Ok(Err(expired)),
                Ok(Page { items: more, next }) => {
                    items.extend(more);
                    self.reporter.progress(what, items.len());
                    after = next;
                }
            }
            if after.is_none() {
                return Ok(Ok(items));
            }
        }
    }
}
