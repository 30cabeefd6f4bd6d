//! Calls that are killed at each of their requests while they make a set or enlarge it: another
//! pod's call finishes what the dead one began, and nothing else is left over.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use kube::api::ListParams;
use testbed::proxy::Moment;

use super::{Isolation, TestEnv};

const NUMBER: &str = "ipam.leasehold.io/ippool-ip-number";
/// More than a call makes.
const REQUESTS: usize = 24;

#[tokio::test]
async fn another_pod_finishes_the_set_that_a_killed_call_was_making() -> Result<()> {
    each_request(0).await
}

#[tokio::test]
async fn another_pod_finishes_the_set_that_a_killed_call_was_enlarging() -> Result<()> {
    each_request(1).await
}

/// With so many members before. All at once, since who waits for a dead maker waits for long.
async fn each_request(members: usize) -> Result<()> {
    let env = Isolation::subnets().proxy().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=1000)).await?;
    for (moment, when) in Moment::BOTH.into_iter().zip(["before", "after"]) {
        let killed = (1..=REQUESTS).map(async |k| {
            let application = format!("web-{when}-{k}");
            let killed = is_killed(&env, &racks, &application, members, (moment, k)).await;
            killed.with_context(|| format!("killed {when} request {k}"))
        });
        let killed = try_join_all(killed).await?;
        let count = killed.into_iter().filter(|is_killed| *is_killed).count();
        ensure!(
            (12..REQUESTS).contains(&count),
            "a call makes {count} requests"
        );
    }
    Ok(())
}

/// Whether the call was killed; else it was over before that request.
async fn is_killed(
    env: &TestEnv,
    racks: &str,
    application: &str,
    members: usize,
    (moment, k): (Moment, usize),
) -> Result<bool> {
    env.application(application, 1).await?;
    let pod = |name: &str, size: usize| {
        let pod = env.pod_of(application, &format!("{application}-{name}"), &[racks]);
        pod.annotation(NUMBER, &size.to_string())
    };
    if members > 0 {
        let (_, eth0, answer) = env.attached(pod("first", members)).await?;
        eth0.check().await?.success().context(answer)?;
    }
    let caller = format!("dying-{application}");
    let dying = pod("dying", 3).create().await?;
    let is_killed = env.kill_add(&dying, &caller, (moment, k)).await?;

    let (_, next, answer) = env.attached(pod("next", 3)).await?;
    next.check().await?.success().context(answer)?;
    let claims = env.claims().await?.list(&ListParams::default()).await?;
    let claim = (claims.items.into_iter())
        .find(|claim| {
            let owner = claim.spec.owner.as_ref();
            owner.is_some_and(|owner| owner.name == application)
        })
        .context("no claim")?;
    let status = claim.status.context("no status")?;
    ensure!(status.maker.is_none(), "its maker is not done: {status:#?}");
    let name = claim.metadata.name.unwrap_or_default();
    let leases = env.leases_where(&format!("spec.claim.name={name}")).await?;
    let leases: BTreeSet<String> = leases.into_iter().map(|it| it.spec.address).collect();
    ensure!(
        leases.len() == 3 && leases == status.addresses.iter().cloned().collect(),
        "{leases:?}, {status:#?}"
    );
    Ok(is_killed)
}
