//! Many real processes at once: no address twice, and none without a holder.

mod busy;
mod concurrent_pods;
mod sets;

use anyhow::{Context, Result, ensure};
use kube::api::{Api, DeleteParams};
use leasehold::api::{IPPool, State};
use serde_json::json;
use testbed::proxy::Moment;

use crate::env::{Isolation, with};
use concurrent_pods::{At, ConcurrentPods, REQUESTS};

const EXHAUSTED: Option<u64> = Some(100);

#[tokio::test]
async fn three_hundred_pods_on_256_addresses_have_each_of_them_once_and_the_others_an_error()
-> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(256..=511)).await?;
    let pods = ConcurrentPods::gather(&env, &pool, 300).await?;
    let outcomes = pods.add_all_at_once().await?;
    let held = pods.agrees_with_the_leases(&outcomes).await?;
    assert_eq!(held.len(), 256);
    let mut refusals = outcomes.iter().filter(|outcome| !outcome.succeeded());
    let expected = "100: no free IPv4 address in test-pool (256 addresses: 256 held)";
    assert!(refusals.all(|refusal| env.message(refusal).starts_with(expected)));
    Ok(())
}

/// Two of three are killed, each in another place.
fn fate(number: usize) -> Option<At> {
    let mut places = Moment::BOTH
        .into_iter()
        .flat_map(|moment| (1..REQUESTS).map(move |k| At::Request(moment, k)))
        .chain([At::Create, At::Lease]);
    let place = places.nth((number / 3 + number % 3 * REQUESTS) % (2 * REQUESTS));
    place.filter(|_| !number.is_multiple_of(3))
}

#[tokio::test]
async fn of_processes_killed_at_any_request_nothing_remains_held_after_del() -> Result<()> {
    let env = Isolation::subnets().proxy().start().await?;
    let at_once = with(env.v4(256..=383), &json!({"cooldownSeconds": 0}));
    let at_once = env.pool("at-once", at_once).await?;
    let cooling = env.pool("cooling", env.v4(384..=511)).await?;
    let pods = ConcurrentPods::gather(&env, &at_once, 150)
        .await?
        .join(ConcurrentPods::gather(&env, &cooling, 150).await?);
    let (killed, orphans) = pods.add_and_kill(fate).await?;
    ensure!(
        killed == 200 && orphans >= 16,
        "{killed} killed, {orphans} of them with an address: nothing to clear up"
    );

    pods.del_all().await?;
    let left = env.leases().await?;
    // A DEL without a result tells of an attachment that failed: that is remembered where nothing
    // cools, too.
    let wrong = left.iter().find(|lease| {
        lease.spec.state != State::Cooling
            || lease.spec.pool != cooling && !lease.spec.attachment_failed
    });
    ensure!(wrong.is_none(), "left behind: {wrong:?}");
    Ok(())
}

#[tokio::test]
async fn pools_that_overlap_give_no_address_twice() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let low = env.pool("low", env.v4(300..=419)).await?;
    let high = env.pool("high", env.v4(380..=499)).await?;
    let pods = ConcurrentPods::gather(&env, &low, 100)
        .await?
        .join(ConcurrentPods::gather(&env, &high, 100).await?);
    let outcomes = pods.add_all_at_once().await?;
    let held = pods.agrees_with_the_leases(&outcomes).await?;
    // 200 pods, 200 addresses; but the pods of one pool may have taken more of what both have than
    // its share.
    for (outcome, pool) in outcomes.iter().zip(pods.pools()) {
        let (first, last) = if pool == low { (300, 419) } else { (380, 499) };
        let full = (first..=last).all(|number| held.contains(&env.at(number).into()));
        ensure!(
            outcome.succeeded() || outcome.error_code() == EXHAUSTED && full,
            "{outcome}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_pool_edited_disabled_and_deleted_under_load_gives_no_address_twice() -> Result<()> {
    let env = Isolation::subnets().proxy().start().await?;
    let pool = env.pool("pool", env.v4(256..=300)).await?;
    let pods = ConcurrentPods::gather(&env, &pool, 120).await?;
    let pools: Api<IPPool> = env.api().await?;
    let edit = async |round: usize| {
        let spec = match round % 5 {
            0 => env.v4(280..=330),
            1 => with(env.v4(256..=400), &json!({"disable": true})),
            2 => with(
                env.v4(256..=400),
                &json!({"excludeIPs": [env.at(290)], "gateway": env.at(291)}),
            ),
            3 => {
                pools.delete(&pool, &DeleteParams::default()).await?;
                env.v4(300..=400)
            }
            _ => env.v4(256..=400),
        };
        env.pool("pool", spec).await.map(drop)
    };
    let outcomes = pods.add_around(8, edit).await?;
    let held = pods.agrees_with_the_leases(&outcomes).await?;
    // Around the first and the last of five edits the pool serves all the time, and has room twice.
    ensure!(held.len() >= 32, "{} attached: no load", held.len());
    for refusal in outcomes.iter().filter(|outcome| !outcome.succeeded()) {
        // Full, or no pool at this moment: each of them says so.
        let code = refusal.error_code().context("no error object")?;
        ensure!(matches!(code, 100 | 101), "{refusal}");
    }

    pools.delete(&pool, &DeleteParams::default()).await.ok();
    pods.del_all().await?;
    assert_eq!(env.held().await?.len(), 0);
    Ok(())
}
