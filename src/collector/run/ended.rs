//! Claims whose application is gone, deleted.

use super::Run;
use crate::claim::{Claim, Source};
use crate::collector::api::Api;
use crate::collector::claims::{Existence, Plan};
use crate::collector::report::{Event, Reporter};
use crate::collector::rules::Case;
use crate::collector::snapshot::ApplicationSnapshot;
use crate::lease::{LeaseFilter, State};
use crate::retry::{Clock, Error};

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Deletes a claim whose application has been gone for long enough, and of which no pod has an
    /// address. Whether it did.
    ///
    /// An ADD that joins the set takes the condition back first, at the claim's version: the
    /// deletion names the one that was read before the members were listed. One that has read the
    /// claim without the condition has ended by then.
    pub(super) async fn end_claim(
        &mut self,
        claim: &Claim,
        plan: &Plan,
        case: &Case<'_>,
    ) -> Result<bool, Error> {
        let wait = case.options.claim_grace.max(case.options.add_timeout);
        let Source::Derived(owner) = &claim.source else {
            return Ok(false);
        };
        let is_over = |claim: &Claim| {
            let since = claim.owner_gone_since();
            since.is_some_and(|since| case.now.is_past(since, wait)) && claim.is_reclaimed()
        };
        if !matches!(plan.existence, Some(Existence::Gone(_))) || !is_over(claim) {
            return Ok(false);
        }
        let (client, api) = (&self.client, self.client.api);
        let namespace = &claim.name.namespace;
        let object = owner.object();
        let application = async || api.application(namespace, &object).await;
        if client.retry(application).await? != ApplicationSnapshot::Gone {
            return Ok(false);
        }
        let Some(live) = client.read_claim(&claim.name).await? else {
            return Ok(false);
        };
        if live.object.metadata.uid != claim.object.metadata.uid || !is_over(&live) {
            return Ok(false);
        }
        let members = client.find(LeaseFilter::Claim(&claim.name.name)).await?;
        let is_held = members.iter().any(|stored| {
            stored.lease.state == State::Held && claim.name.is_in(stored.lease.claim.as_ref())
        });
        if is_held {
            return Ok(false);
        }
        let delete = async || api.delete_claim(&live.object).await;
        if !client.retry(delete).await? {
            return Ok(false);
        }
        self.summary.claims_deleted += 1;
        self.reporter.event(&Event::ClaimDeleted {
            claim: claim.name.to_string(),
            owner: format!("{} {}", owner.kind, owner.name),
        });
        Ok(true)
    }
}
