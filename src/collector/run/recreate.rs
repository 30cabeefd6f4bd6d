//! Leases that are missing, made again.

use super::{Run, Stop};
use crate::collector::api::Api;
use crate::collector::missing::Missing;
use crate::collector::report::{Event, Reporter};
use crate::lease::Commit;
use crate::retry::{Clock, Error};

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Makes the lease of an address that a pod still reports, where there is still none.
    pub(super) async fn make_again(&mut self, missing: &Missing<'_>) -> Result<(), Stop> {
        self.go_on()?;
        let name = missing.lease().name;
        match self.try_to_make(missing).await {
            Ok(false) => {}
            Ok(true) => {
                let pool = &missing.pool.name;
                self.summary.made += 1;
                self.changes.made.push((name.clone(), pool.clone()));
                self.reporter.event(&Event::Made {
                    lease: name,
                    pool: pool.clone(),
                    pod: (missing.pod.namespace.clone(), missing.pod.name.clone()),
                    dry_run: self.options.dry_run,
                });
            }
            Err(error) => self.failed(format!("lease {name} was not made again"), error),
        }
        Ok(())
    }

    async fn try_to_make(&self, missing: &Missing<'_>) -> Result<bool, Error> {
        let before = missing.pod;
        let pod = async || self.desk.api.pod(&before.namespace, &before.name).await;
        let pod = self.desk.retry(pod).await?;
        let still = pod.is_some_and(|pod| {
            pod.uid == before.uid && pod.is_alive() && pod.reports(missing.address)
        });
        let lease = missing.lease();
        if !still || self.desk.read(&lease.name).await?.is_some() {
            return Ok(false);
        }
        if self.options.dry_run {
            return Ok(true);
        }
        Ok(matches!(self.desk.create(&lease).await?, Commit::Won(_)))
    }
}
