//! What is noted on leases for the runs to come, which see no pod any more.

use super::{End, Run};
use crate::collect::event::Tell;
use crate::collect::suspect::Prolonged;
use crate::collect::world::World;
use crate::lease::{Clock, Error, Lease, Seen};

impl<W: World, C: Clock, T: Tell> Run<'_, W, C, T> {
    /// Notes when this run saw that the holder's pod is gone.
    pub(super) async fn note_gone(&self, seen: &Seen) -> Result<(), Error> {
        if self.policy.dry_run || seen.lease.gone_since.is_some() {
            return Ok(());
        }
        let noted = Lease {
            gone_since: self.desk.store.server_time(),
            ..seen.lease.clone()
        };
        self.note(seen, &noted).await
    }

    /// Notes how long the holder's pod is given to end.
    pub(super) async fn note_prolonged(&mut self, prolonged: &Prolonged<'_>) -> Result<(), End> {
        self.go_on()?;
        if self.policy.dry_run {
            return Ok(());
        }
        let name = &prolonged.lease.name;
        if let Err(error) = self.try_to_prolong(prolonged).await {
            self.failed(
                format!("lease {name} does not say how long its pod may take to end"),
                error,
            );
        }
        Ok(())
    }

    async fn try_to_prolong(&self, prolonged: &Prolonged<'_>) -> Result<(), Error> {
        let Prolonged { lease, termination } = *prolonged;
        let seen = self.desk.read(&lease.name).await?;
        let Some(seen) = seen.filter(|seen| *seen.version == *lease.version) else {
            return Ok(());
        };
        let noted = Lease {
            termination,
            ..seen.lease.clone()
        };
        self.note(&seen, &noted).await
    }

    /// Whoever is faster has changed what there was to note.
    async fn note(&self, seen: &Seen, noted: &Lease) -> Result<(), Error> {
        self.desk.replace(seen, noted).await.map(drop)
    }
}
