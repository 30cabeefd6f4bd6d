//! Leases that are missing, recreated.

use std::rc::Rc;

use futures_util::StreamExt;

use super::{AT_ONCE, Run, Stop, in_time, rotate};
use crate::collector::api::Api;
use crate::collector::marks::{MarkTable, MissingMark};
use crate::collector::now::Now;
use crate::collector::pod_name::PodName;
use crate::collector::recreate::Missing;
use crate::collector::report::{Event, Reporter};
use crate::lease::Commit;
use crate::retry::{Clock, Error, Retrying};

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Recreates the leases of addresses that pods still use, where there is still none; or marks
    /// them as missing.
    pub(super) async fn recreate(
        &mut self,
        missing: &[Missing<'_>],
        now: &Now,
        marks: &mut MarkTable,
    ) -> Result<(), Stop> {
        let (mut due, waiting): (Vec<&Missing<'_>>, Vec<_>) =
            missing.iter().partition(|missing| missing.is_due());
        for missing in waiting {
            if let Some(since) = now.server {
                let pod = missing.pod.uid.clone();
                marks.set_missing(missing.name(), MissingMark { pod, since });
            }
        }
        rotate(&mut due, self.client.clock.chance());
        let client = Rc::clone(&self.client);
        let (client, stop, dry_run) = (&*client, self.stop, self.options.dry_run);
        let mut outcomes = in_time(due, client, stop)
            .map(async |missing| (missing, recreate(client, missing, dry_run).await))
            .buffer_unordered(AT_ONCE);
        while let Some((missing, outcome)) = outcomes.next().await {
            match outcome {
                Ok(false) => {}
                Ok(true) => self.recreated(missing),
                Err(error) => {
                    let what = format!("lease {} was not recreated", missing.name());
                    self.failed(what, error);
                }
            }
        }
        self.go_on()
    }

    fn recreated(&mut self, missing: &Missing<'_>) {
        let (lease, pool) = (missing.name(), missing.pool.name.clone());
        self.summary.recreated += 1;
        self.changes.recreated.push((lease.clone(), pool.clone()));
        self.reporter.event(&Event::Recreated {
            lease,
            pool,
            pod: PodName::from(missing.pod),
            dry_run: self.options.dry_run,
        });
    }
}

/// Recreates one, if live reads confirm that it is missing. Whether it did.
async fn recreate<W: Api, C: Clock>(
    client: &Retrying<'_, W, C>,
    missing: &Missing<'_>,
    dry_run: bool,
) -> Result<bool, Error> {
    let listed = missing.pod;
    let pod = async || client.api.pod(&listed.namespace, &listed.name).await;
    let pod = client.retry(pod).await?;
    let lease = missing.lease();
    if !pod.is_some_and(|pod| missing.is_confirmed_by(&pod))
        || client.read(&lease.name).await?.is_some()
    {
        return Ok(false);
    }
    if dry_run {
        return Ok(true);
    }
    match client.create(&lease).await? {
        Commit::Won(stored) => stored.check_whole().map(|()| true),
        Commit::Lost => Ok(false),
    }
}
