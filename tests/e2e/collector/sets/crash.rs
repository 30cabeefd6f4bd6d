//! The collector stopped at every call of a run that changes sets, on both sides of it.

use anyhow::{Context, Result, ensure};
use kube::api::PostParams;
use leasehold::api::State;
use testbed::proxy::{Moment, Proxy};

use super::Member::{Fresh, Held};
use super::{AT_ONCE, Application, env};
use crate::collector::crash::stop;
use crate::collector::run::Report;
use crate::env::TestEnv;

/// A run that is stopped at its `k`-th call, with SIGKILL; `false`: it makes fewer.
async fn stop_run(env: &TestEnv, proxy: &Proxy, (moment, k): (Moment, usize)) -> Result<bool> {
    let caller = format!("sets-{moment:?}-{k}").to_lowercase();
    let server = (proxy.url_for(&caller), proxy.ca_pem());
    let call = env.collector(AT_ONCE, Some((&server.0, server.1))).await?;
    stop(proxy, call, &caller, (moment, k)).await
}

/// What a pod has is in its set, and what is in a set is the set's or has no lease.
async fn whole(application: &Application<'_>, held: u8) -> Result<()> {
    let lists = application.status().await?;
    let filter = format!("spec.claim.name={}", application.claim_name());
    for lease in application.env.leases_where(&filter).await? {
        let is_held = lease.spec.state == State::Held;
        ensure!(
            !is_held || lists.addresses.contains(&lease.spec.address),
            "{lease:#?} {lists:#?}"
        );
    }
    for address in &lists.addresses {
        let lease = application.env.lease(address.parse()?).await?;
        let of = lease.and_then(|lease| lease.spec.claim);
        ensure!(
            of.as_ref()
                .is_none_or(|of| of.name == application.claim_name()),
            "{address} is of {of:?}"
        );
    }
    let held = application.address(held).to_string();
    ensure!(lists.addresses.contains(&held), "{lists:#?}");
    ensure!(!lists.leaving.contains(&held), "{lists:#?}");
    ensure!(
        application.env.is_held(held.parse()?).await?,
        "{held} is not held"
    );
    Ok(())
}

#[tokio::test]
async fn wherever_the_collector_is_stopped_sets_are_whole_and_become_what_they_should() -> Result<()>
{
    let env = env("sets-crash", "10.60.12.0/24").await?;
    let proxy = Proxy::start(&env.cluster.url(0), &env.cluster.ca_pem())?;
    let web = Application::deployment(&env, "web", 0)
        .await?
        .at([10, 60, 12]);
    let gone = Application::absent(&env, ("apps", "v1", "Deployment"), "gone").at([10, 60, 12]);
    let pod = web.pod("web-x", "1").create().await?;
    web.with(&[(1, Held(pod.clone()))]).await?;
    for moment in Moment::BOTH {
        let mut k = 1;
        loop {
            // What the run that is stopped does: members leave, a claim goes, a list is made again,
            // and what no list names is released.
            gone.with(&[(5, Fresh)]).await?;
            let mut claim = web.read().await?.context("it is gone")?;
            let status = claim.status.as_mut().context("no status")?;
            status.addresses = [1, 2, 3].map(|it| web.address(it).to_string()).to_vec();
            let claims = env.claims().await?;
            claims
                .replace_status(&web.claim_name(), &PostParams::default(), &claim)
                .await?;
            for number in [2, 3, 6] {
                web.member(number, &Fresh).await?;
            }
            env.collect(AT_ONCE).await?;
            ensure!(
                web.lists().await? == "1 2 3 / 2 3",
                "{}",
                web.lists().await?
            );
            env.collect(&["--claim-grace", "1h"]).await?;
            let stopped = stop_run(&env, &proxy, (moment, k)).await?;
            let at = format!("stopped {moment:?} call {k}");
            whole(&web, 1).await.context(at.clone())?;

            let is_over = async |_: &Report| {
                let left = (
                    web.lists().await?,
                    web.leases().await?,
                    gone.leases().await?,
                );
                Ok(left == ("1 /".to_owned(), "1".to_owned(), String::new()))
            };
            env.collect_until(AT_ONCE, "do the rest", is_over)
                .await
                .context(at)?;
            ensure!(gone.read().await?.is_none(), "its claim is left");
            if !stopped {
                break;
            }
            k += 1;
        }
        ensure!(k > 15, "it made {} requests only", k - 1);
    }
    pod.force_delete().await?;
    web.end().await
}
