//! What is noted on leases for the runs to come, which see no pod any more.

use super::{Run, Stop};
use crate::collector::api::Api;
use crate::collector::report::Reporter;
use crate::collector::suspect::GraceExtended;
use crate::lease::{Lease, StoredLease};
use crate::retry::{Clock, Error};

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Notes when this run saw that the holder's pod is gone.
    pub(super) async fn note_gone(&self, seen: &StoredLease) -> Result<(), Error> {
        if self.options.dry_run || seen.lease.gone_since.is_some() {
            return Ok(());
        }
        let noted = Lease {
            gone_since: self.desk.api.server_time(),
            ..seen.lease.clone()
        };
        self.note(seen, &noted).await
    }

    /// Notes how long the holder's pod is given to end.
    pub(super) async fn note_grace_extended(
        &mut self,
        grace_extended: &GraceExtended<'_>,
    ) -> Result<(), Stop> {
        self.go_on()?;
        if self.options.dry_run {
            return Ok(());
        }
        let name = &grace_extended.lease.name;
        if let Err(error) = self.try_to_prolong(grace_extended).await {
            self.failed(
                format!("lease {name} does not say how long its pod may take to end"),
                error,
            );
        }
        Ok(())
    }

    async fn try_to_prolong(&self, grace_extended: &GraceExtended<'_>) -> Result<(), Error> {
        let GraceExtended { lease, termination } = *grace_extended;
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
    async fn note(&self, seen: &StoredLease, noted: &Lease) -> Result<(), Error> {
        self.desk.replace(seen, noted).await?;
        Ok(())
    }
}
