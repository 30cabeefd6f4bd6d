//! Carrying a judgement out: at exactly the version that was judged, or not at all.

use super::second::{Witness, second};
use super::{End, Run};
use crate::collect::confirm::confirm;
use crate::collect::event::Tell;
use crate::collect::index::Index;
use crate::collect::reason::{Kept, Reason};
use crate::collect::suspect::Suspect;
use crate::collect::world::World;
use crate::lease::{Clock, Commit, Error, Lease, Seen, State, after};

impl<W: World, C: Clock, T: Tell> Run<'_, W, C, T> {
    /// Looks at a suspect again, judges it, and takes its address back if that is the judgement.
    pub(super) async fn look_again(
        &mut self,
        suspect: &Suspect<'_>,
        index: &Index<'_>,
        witness: &mut Witness,
    ) -> Result<(), End> {
        self.go_on()?;
        let lease = suspect.lease;
        match self.judge(suspect, index, witness).await {
            Ok(Ok((reason, next))) => self.taken_back(lease, reason, next),
            Ok(Err(kept)) => self.keep(suspect, index, kept, self.desk.store.server_time()),
            Err(error) => self.failed(format!("lease {} was not taken back", lease.name), error),
        }
        Ok(())
    }

    async fn judge(
        &self,
        suspect: &Suspect<'_>,
        index: &Index<'_>,
        witness: &mut Witness,
    ) -> Result<Result<(Reason, Option<State>), Kept>, Error> {
        let (seen, second) = second(self.desk, suspect, witness).await?;
        let reason = match confirm(suspect, index, &second, self.policy) {
            Ok(reason) => reason,
            Err(kept) => return Ok(Err(kept)),
        };
        let Some(seen) = seen else {
            return Ok(Err(Kept::Vanished));
        };
        let next = self.next(&seen, &reason);
        let state = next.as_ref().map(|lease| lease.state);
        if self.policy.dry_run || self.write(&seen, next).await? {
            Ok(Ok((reason, state)))
        } else {
            Ok(Err(Kept::Changed))
        }
    }

    /// What the lease is afterwards; `None`: gone.
    fn next(&self, seen: &Seen, reason: &Reason) -> Option<Lease> {
        let now = self.desk.clock.now();
        match reason {
            Reason::PodGone(_) | Reason::PodFinished(..) | Reason::Surplus { .. } => {
                after(&seen.lease, now)
            }
            Reason::Cooled | Reason::QuarantineOver => None,
            Reason::ClaimGone | Reason::ClaimOmits => {
                let unclaimed = Lease {
                    claim: None,
                    ..seen.lease.clone()
                };
                after(&unclaimed, now)
            }
        }
    }

    /// Writes it; `false`: somebody was faster.
    async fn write(&self, seen: &Seen, next: Option<Lease>) -> Result<bool, Error> {
        match next {
            None => self.desk.delete(seen).await,
            Some(next) => Ok(matches!(
                self.desk.replace(seen, &next).await?,
                Commit::Won(_)
            )),
        }
    }
}
