//! Sets made what their claims ask for: missing leases first, then the list.

use std::collections::HashMap;

use super::{Run, Stop};
use crate::allocate::{Seed, order};
use crate::claim::{Claim, Source};
use crate::collector::api::Api;
use crate::collector::claims::{AllClaims, Member, Plan, Wanting, lease_name};
use crate::collector::now::Now;
use crate::collector::report::{Event, Reporter};
use crate::collector::rules::Case;
use crate::lease::{Commit, Lease, LeaseName, State};
use crate::pool::{Pool, Pools};
use crate::retry::{Clock, Error};
use crate::select::Labels;

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Makes the leases that members of sets lack, and writes what the sets are. One claim that
    /// fails keeps no other from it.
    pub(super) async fn resolve_claims(
        &mut self,
        case: &Case<'_>,
        pools: &Pools,
    ) -> Result<(), Stop> {
        let applications = self.applications(case.index.snapshot).await?;
        let all = AllClaims::of(case.index, &applications);
        let mut namespaces: HashMap<&str, Labels> = HashMap::new();
        for claim in case.index.snapshot.sets.values().flatten() {
            if claim.deleting || self.options.dry_run {
                continue;
            }
            self.go_on()?;
            let namespace = claim.name.namespace.as_str();
            if !matches!(claim.source, Source::Derived(_)) && !namespaces.contains_key(namespace) {
                let api = self.client.api;
                let read = async || api.namespace(namespace).await;
                match self.client.retry(read).await {
                    Ok(found) => {
                        namespaces.insert(namespace, found.labels);
                    }
                    Err(error) => {
                        let what = format!("IPClaim {} was not resolved", claim.name);
                        self.failed(what, error);
                        continue;
                    }
                }
            }
            let no_labels = Labels::new();
            let labels = namespaces.get(namespace).unwrap_or(&no_labels);
            let plan = all.plan(claim, labels, pools, case);
            let ended = self.end_claim(claim, &plan, case).await;
            let resolved = match ended {
                Ok(true) => Ok(()),
                Ok(false) => self.resolve(claim, plan, &all, &case.now).await,
                Err(error) => Err(error),
            };
            if let Err(error) = resolved {
                let what = format!("IPClaim {} was not resolved", claim.name);
                self.failed(what, error);
            }
        }
        Ok(())
    }

    async fn resolve(
        &mut self,
        claim: &Claim,
        mut plan: Plan,
        all: &AllClaims<'_>,
        now: &Now,
    ) -> Result<(), Error> {
        let members = std::mem::take(&mut plan.members);
        for (address, member) in members {
            let name = lease_name(claim, address);
            let member = match member {
                Member::Missing(pool) => {
                    if self.make_member(claim, name, &pool).await? {
                        Member::Confirmed
                    } else {
                        Member::Unconfirmed(format!("{address} was taken by another pod"))
                    }
                }
                Member::Plain(name) => self.adopt(claim, &name, all).await?,
                settled @ (Member::Confirmed
                | Member::Unconfirmed(_)
                | Member::Lost
                | Member::NotAllowed(_)) => settled,
            };
            plan.members.insert(address, member);
        }
        for wanting in std::mem::take(&mut plan.wanting) {
            let left = self.choose_members(claim, wanting, all, &mut plan).await?;
            if left.count > 0 {
                plan.wanting.push(left);
            }
        }
        // As with marks, the time that is written down is the API server's.
        let now = now.server.unwrap_or(now.own);
        let Some(status) = plan.status(claim, now) else {
            return Ok(());
        };
        // Where another was faster, the next run looks again.
        self.client.replace_claim_status(claim, &status).await?;
        Ok(())
    }

    /// Makes members of what is free, until there are as many as are asked for.
    async fn choose_members(
        &mut self,
        claim: &Claim,
        mut wanting: Wanting,
        all: &AllClaims<'_>,
        plan: &mut Plan,
    ) -> Result<Wanting, Error> {
        let uid = claim.object.metadata.uid.clone().unwrap_or_default();
        for pool in wanting.pools.clone() {
            let seed = Seed::of(&uid, "", "", pool.name.as_str());
            for address in order(&pool.usable, seed) {
                if wanting.count == 0 {
                    return Ok(wanting);
                }
                let name = lease_name(claim, address);
                if !all.is_listed(&name)
                    && !plan.members.contains_key(&address)
                    && self.make_member(claim, name, &pool).await?
                {
                    plan.members.insert(address, Member::Confirmed);
                    wanting.count -= 1;
                }
            }
        }
        Ok(wanting)
    }

    /// Makes the lease of a member; `false`: another pod was first.
    async fn make_member(
        &mut self,
        claim: &Claim,
        name: LeaseName,
        pool: &Pool,
    ) -> Result<bool, Error> {
        let lease = Lease::of_a_member(name, pool, claim.reference());
        let Commit::Won(_) = self.client.create(&lease).await? else {
            return Ok(false);
        };
        self.changes
            .made
            .push((lease.name.clone(), pool.name.clone()));
        self.summary.members += 1;
        self.reporter.event(&Event::MemberMade {
            lease: lease.name,
            pool: pool.name.clone(),
            claim: claim.name.to_string(),
        });
        Ok(true)
    }

    /// Writes the claim into the lease of a plain pod, so that the address is the set's once that
    /// pod gives it back.
    async fn adopt(
        &mut self,
        claim: &Claim,
        name: &LeaseName,
        all: &AllClaims<'_>,
    ) -> Result<Member, Error> {
        let address = name.address;
        let lost = || Member::Unconfirmed(format!("{address} has changed hands"));
        let Some(stored) = self.client.read(name).await? else {
            return Ok(lost());
        };
        let is_plain = stored.lease.claim.is_none();
        let state = match stored.lease.state {
            State::Held if is_plain && !all.may_hold(claim, &stored.lease) => {
                return Ok(Member::Lost);
            }
            State::Held if is_plain => State::Held,
            State::Cooling if is_plain => State::Retained,
            State::Held
            | State::Cooling
            | State::Retained
            | State::Quarantined
            | State::Unknown => return Ok(lost()),
        };
        let adopted = Lease {
            state,
            claim: Some(claim.reference()),
            ..stored.lease.clone()
        };
        let Commit::Won(_) = self.client.replace(&stored, &adopted).await? else {
            return Ok(lost());
        };
        self.changes.states.insert(name.clone(), Some(state));
        Ok(match (state, adopted.holder) {
            (State::Held, Some(holder)) => {
                Member::held(address, &format!("{}/{}", holder.namespace, holder.pod))
            }
            _ => Member::Confirmed,
        })
    }
}
