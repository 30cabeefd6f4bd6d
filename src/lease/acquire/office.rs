//! The office of a set's maker: whose call makes the set, or enlarges it.
//!
//! It is advisory, so that calls do not make the same set several times. What counts is who commits
//! the list. The call that creates the claim has it at first. A maker says every [`RENEWAL`] that
//! it is still at work; the office of one that is silent for [`SILENCE`], by the clock of the call
//! that waits, passes on.

use std::time::Duration;

use super::super::Error;
use super::super::store::Store;
use super::hints::Hints;
use super::search::Search;
use crate::api::{ClaimWriter, IPClaimStatus};
use crate::claim::Claim;
use crate::retry::{Clock, Commit};

/// How often a maker says that it is at work.
const RENEWAL: Duration = Duration::from_secs(2);

/// After so long without a word another call takes the office: longer than several renewals that a
/// busy API server delays.
const SILENCE: Duration = Duration::from_secs(10);

/// What a call that waits for the maker has seen of it.
#[derive(Default)]
pub(super) struct Watch {
    seen: Option<(ClaimWriter, Duration)>,
}

impl Watch {
    /// Whether the office is free for `us` at `now`, where `maker` has it.
    pub fn is_free(&mut self, maker: Option<ClaimWriter>, us: &ClaimWriter, now: Duration) -> bool {
        let Some(maker) = maker.filter(|maker| !is_same_call(maker, us)) else {
            return true;
        };
        match &self.seen {
            Some((seen, since)) if *seen == maker => now.saturating_sub(*since) >= SILENCE,
            Some(_) | None => {
                self.seen = Some((maker, now));
                false
            }
        }
    }
}

/// Of the call that created a claim only the pod is known, and a pod has one at a time.
fn is_same_call(maker: &ClaimWriter, us: &ClaimWriter) -> bool {
    let is_unknown = maker.node.is_empty() && maker.container.is_empty();
    maker.pod == us.pod && (is_unknown || maker.node == us.node && maker.container == us.container)
}

/// The office of a maker that has it.
pub(super) struct Office {
    /// The claim as this call wrote it last.
    pub claim: Claim,
    renewals: i64,
    renewed: Duration,
}

impl<S: Store, C: Clock, H: Hints> Search<'_, S, C, H> {
    /// This call, as a claim names it.
    pub(super) fn writer(&self) -> ClaimWriter {
        let holder = &self.requester().holder;
        ClaimWriter {
            pod: holder.pod.clone(),
            node: holder.node.clone(),
            container: holder.container.clone(),
            renewals: 0,
        }
    }

    /// A replace of the status at the version that was read.
    pub(super) async fn write_status(
        &self,
        before: &Claim,
        change: impl FnOnce(&mut IPClaimStatus),
    ) -> Result<Commit<Claim>, Error> {
        let mut status = before.object.status.clone().unwrap_or_default();
        change(&mut status);
        status.writer = Some(self.writer());
        let leases = self.acquirer.leases;
        let write = async || leases.replace_claim_status(before, &status).await;
        self.acquirer.write(None, write).await
    }

    /// `None`: another call has written meanwhile.
    pub(super) async fn take_office(&self, claim: &Claim) -> Result<Option<Office>, Error> {
        let renewed = self.elapsed();
        if self.created.borrow().as_ref() == Some(claim) {
            return Ok(Some(Office {
                claim: claim.clone(),
                renewals: 0,
                renewed,
            }));
        }
        let maker = Some(self.writer());
        let taken = self.write_status(claim, |status| status.maker = maker);
        Ok(match taken.await? {
            Commit::Won(claim) => Some(Office {
                claim,
                renewals: 0,
                renewed,
            }),
            Commit::Lost => None,
        })
    }

    /// Says that this call is at work, when it is time for that. `false`: it has lost the office.
    pub(super) async fn renew(&self, office: &mut Office) -> Result<bool, Error> {
        let now = self.elapsed();
        if now.saturating_sub(office.renewed) < RENEWAL {
            return Ok(true);
        }
        office.renewed = now;
        office.renewals += 1;
        let maker = ClaimWriter {
            renewals: office.renewals,
            ..self.writer()
        };
        loop {
            let maker = Some(maker.clone());
            let renewed = self.write_status(&office.claim, |status| status.maker = maker);
            match renewed.await? {
                Commit::Won(claim) => {
                    office.claim = claim;
                    return Ok(true);
                }
                Commit::Lost if !self.read_office(office).await? => return Ok(false),
                Commit::Lost => {}
            }
        }
    }

    /// Reads the claim that another has written meanwhile. `false`: this call is not the maker any
    /// more, or the set has changed.
    pub(super) async fn read_office(&self, office: &mut Office) -> Result<bool, Error> {
        let read = self.acquirer.leases.read_claim(&office.claim.name).await?;
        let us = self.writer();
        let still_ours = read.filter(|now| {
            now.object.metadata.uid == office.claim.object.metadata.uid
                && now.addresses == office.claim.addresses
                && (now.maker()).is_some_and(|maker| is_same_call(&maker, &us))
        });
        let is_ours = still_ours.is_some();
        office.claim = still_ours.unwrap_or_else(|| office.claim.clone());
        Ok(is_ours)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.acquirer.leases.clock.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_office_passes_on_after_a_silence_of_its_maker() {
        let writer = |pod: &str, renewals| ClaimWriter {
            pod: pod.to_owned(),
            renewals,
            ..ClaimWriter::default()
        };
        let us = writer("us", 0);
        let mut watch = Watch::default();
        let mut is_free =
            |maker: Option<ClaimWriter>, at| watch.is_free(maker, &us, Duration::from_secs(at));
        assert!(is_free(None, 0), "no call has it");
        assert!(is_free(Some(us.clone()), 0), "this call has it");
        assert!(!is_free(Some(writer("a", 0)), 100), "seen just now");
        assert!(!is_free(Some(writer("a", 0)), 109));
        assert!(!is_free(Some(writer("a", 1)), 110), "it is at work");
        assert!(!is_free(Some(writer("b", 0)), 120), "another is");
        assert!(!is_free(Some(writer("b", 0)), 129));
        assert!(is_free(Some(writer("b", 0)), 130));
    }
}
