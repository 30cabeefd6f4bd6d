//! Claims whose application is gone, or does not ask for them any more, deleted.

use super::Run;
use crate::claim::{Claim, OWNER_GONE, Source};
use crate::collector::api::Api;
use crate::collector::claims::Plan;
use crate::collector::report::{Event, Reporter};
use crate::collector::rules::Case;
use crate::collector::snapshot::ApplicationSnapshot;
use crate::lease::{LeaseFilter, State};
use crate::retry::{Clock, Error};

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Deletes a claim whose application has been gone for long enough, or has not asked for it for
    /// as long, and of which no pod has an address. Whether it did.
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
        let Some(condition) = plan.ends_by(claim) else {
            return Ok(false);
        };
        let is_over = |claim: &Claim| {
            let since = claim.since(condition);
            since.is_some_and(|since| case.now.is_past(since, wait))
        };
        if !is_over(claim) {
            return Ok(false);
        }
        let (client, api) = (&self.client, self.client.api);
        let namespace = &claim.name.namespace;
        let object = owner.object();
        let application = async || api.application(namespace, &object).await;
        if condition == OWNER_GONE && client.retry(application).await? != ApplicationSnapshot::Gone
        {
            return Ok(false);
        }
        let Some(live) = client.read_claim(&claim.name).await? else {
            return Ok(false);
        };
        let is_same = live.object.metadata.uid == claim.object.metadata.uid
            && live.is_unmade() == claim.is_unmade();
        if !is_same || !is_over(&live) {
            return Ok(false);
        }
        let members = client.find(LeaseFilter::Claim(&claim.name.name)).await?;
        // Of what names a claim without a list one is made, sooner or later.
        let is_needed = members.iter().any(|stored| {
            claim.name.is_in(stored.lease.claim.as_ref())
                && (stored.lease.state == State::Held || live.is_unmade())
        });
        if is_needed {
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
            is_owner_gone: condition == OWNER_GONE,
        });
        Ok(true)
    }
}
