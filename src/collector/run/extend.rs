//! Records in leases how long their pods are given to end: no object shows it once the pod is gone.

use super::{Run, Stop};
use crate::collector::api::Api;
use crate::collector::compact::Version;
use crate::collector::grace_extended::GraceExtended;
use crate::collector::report::Reporter;
use crate::lease::{Commit, Lease};
use crate::retry::{Clock, Error};

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Writes into the leases how long the holders' pods are given to end.
    pub(super) async fn extend(&mut self, extended: &[GraceExtended<'_>]) -> Result<(), Stop> {
        if self.options.dry_run {
            return Ok(());
        }
        for extended in extended {
            self.go_on()?;
            let name = &extended.lease.name;
            if let Err(error) = self.try_to_extend(extended).await {
                let what = format!("lease {name} lacks how long its pod may take to end");
                self.failed(what, error);
            }
        }
        Ok(())
    }

    async fn try_to_extend(&self, extended: &GraceExtended<'_>) -> Result<(), Error> {
        let GraceExtended { lease, termination } = *extended;
        let stored = self.client.read(&lease.name).await?;
        let Some(stored) = stored.filter(|stored| Version::from(&stored.version) == lease.version)
        else {
            return Ok(());
        };
        let next = Lease {
            termination,
            ..stored.lease.clone()
        };
        // Another writer was faster and has changed the lease.
        match self.client.replace(&stored, &next).await? {
            Commit::Won(stored) => stored.check_whole(),
            Commit::Lost => Ok(()),
        }
    }
}
