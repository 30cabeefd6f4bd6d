//! Carrying a judgement out: at exactly the version that was judged, or not at all.

use jiff::Timestamp;

use super::second::{NodeReader, second};
use super::{Run, Stop};
use crate::collector::api::Api;
use crate::collector::confirm::confirm;
use crate::collector::index::SnapshotIndex;
use crate::collector::reason::{KeepReason, Reason};
use crate::collector::report::Reporter;
use crate::collector::suspect::Suspect;
use crate::lease::{Commit, Lease, State, StoredLease, released};
use crate::retry::{Clock, Error};

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Looks at a suspect again, judges it, and takes its address back if that is the judgement.
    pub(super) async fn look_again(
        &mut self,
        suspect: &Suspect<'_>,
        index: &SnapshotIndex<'_>,
        nodes: &mut NodeReader,
    ) -> Result<(), Stop> {
        self.go_on()?;
        let lease = suspect.lease;
        match self.judge(suspect, index, nodes).await {
            Ok(Ok((reason, next))) => self.taken_back(lease, reason, next),
            Ok(Err(kept)) => self.keep(suspect, index, kept, self.desk.api.server_time()),
            Err(error) => self.failed(format!("lease {} was not taken back", lease.name), error),
        }
        Ok(())
    }

    async fn judge(
        &self,
        suspect: &Suspect<'_>,
        index: &SnapshotIndex<'_>,
        nodes: &mut NodeReader,
    ) -> Result<Result<(Reason, Option<State>), KeepReason>, Error> {
        let (seen, second) = second(self.desk, suspect, nodes).await?;
        let reason = match confirm(suspect, index, &second, self.options) {
            Ok(reason) => reason,
            Err(kept) => {
                if let (KeepReason::Ending, Some(seen)) = (kept, seen) {
                    self.note_gone(&seen).await?;
                }
                return Ok(Err(kept));
            }
        };
        let Some(seen) = seen else {
            return Ok(Err(KeepReason::Vanished));
        };
        let now = self.desk.clock.now();
        let next = next(&seen.lease, &reason, now);
        let stays = next.as_ref().filter(|lease| !lease.has_cooled(now));
        let state = stays.map(|lease| lease.state);
        if self.options.dry_run || self.write(&seen, next, now).await? {
            Ok(Ok((reason, state)))
        } else {
            Ok(Err(KeepReason::Changed))
        }
    }

    /// Writes it; `false`: somebody was faster.
    async fn write(
        &self,
        seen: &StoredLease,
        next: Option<Lease>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let Some(next) = next else {
            return self.desk.delete(seen).await;
        };
        let Commit::Won(won) = self.desk.replace(seen, &next).await? else {
            return Ok(false);
        };
        // In two steps even without a cooldown: deploy/policy.yaml lets nobody but its node delete a Held lease, so that
        // whoever runs this needs no exception. Who takes it in between takes what is free.
        if next.has_cooled(now) {
            self.desk.delete(&won).await?;
        }
        Ok(true)
    }
}

/// What the lease is after this; `None`: gone.
fn next(lease: &Lease, reason: &Reason, now: Timestamp) -> Option<Lease> {
    match reason {
        Reason::PodGone(_) | Reason::PodFinished(..) | Reason::Surplus { .. } => {
            Some(released(lease, now))
        }
        Reason::Cooled | Reason::QuarantineOver => None,
        Reason::ClaimGone | Reason::ClaimOmits => {
            let unclaimed = Lease {
                claim: None,
                ..lease.clone()
            };
            Some(released(&unclaimed, now))
        }
    }
}
