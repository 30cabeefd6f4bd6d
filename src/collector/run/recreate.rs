//! Leases that are missing, recreated.

use super::{Run, Stop};
use crate::collector::api::Api;
use crate::collector::marks::{MarkTable, MissingMark};
use crate::collector::now::Now;
use crate::collector::pod_name::PodName;
use crate::collector::recreate::Missing;
use crate::collector::report::{Event, Reporter};
use crate::lease::Commit;
use crate::retry::{Clock, Error};

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Recreates the lease of an address that a pod still uses, where there is still none; or marks
    /// it as missing.
    pub(super) async fn recreate(
        &mut self,
        missing: &Missing<'_>,
        now: &Now,
        marks: &mut MarkTable,
    ) -> Result<(), Stop> {
        self.go_on()?;
        let lease = missing.name();
        if !missing.is_due() {
            if let Some(since) = now.server {
                let pod = missing.pod.uid.clone();
                marks.set_missing(lease, MissingMark { pod, since });
            }
            return Ok(());
        }
        match self.try_to_recreate(missing).await {
            Ok(false) => {}
            Ok(true) => {
                let pool = missing.pool.name.clone();
                self.summary.recreated += 1;
                self.changes.recreated.push((lease.clone(), pool.clone()));
                self.reporter.event(&Event::Recreated {
                    lease,
                    pool,
                    pod: PodName::from(missing.pod),
                    dry_run: self.options.dry_run,
                });
            }
            Err(error) => self.failed(format!("lease {lease} was not recreated"), error),
        }
        Ok(())
    }

    async fn try_to_recreate(&self, missing: &Missing<'_>) -> Result<bool, Error> {
        let listed = missing.pod;
        let pod = async || self.client.api.pod(&listed.namespace, &listed.name).await;
        let pod = self.client.retry(pod).await?;
        let lease = missing.lease();
        if !pod.is_some_and(|pod| missing.is_confirmed_by(&pod))
            || self.client.read(&lease.name).await?.is_some()
        {
            return Ok(false);
        }
        if self.options.dry_run {
            return Ok(true);
        }
        match self.client.create(&lease).await? {
            Commit::Won(stored) => stored.check_whole().map(|()| true),
            Commit::Lost => Ok(false),
        }
    }
}
