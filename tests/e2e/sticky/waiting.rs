//! While an earlier pod of the name may still run, the new one waits.

use anyhow::{Result, ensure};
use serde_json::json;
use testbed::Mark;

use super::{come_and_gone, numbered, owner};
use crate::env::{Isolation, TestEnv, in_time, with};

#[tokio::test]
async fn a_pod_waits_for_the_address_that_an_earlier_pod_of_its_name_has() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    let former = numbered(&env, "web-0").create().await?;
    let had = env.eth0_on(&former, &pool)?;
    let address = had.add().await?.success()?.ips()?[0];
    former.force_delete().await?;

    let elsewhere = env.on(env.cluster.fresh_node().create().await?);
    let pod = numbered(&elsewhere, "web-0").create().await?;
    let eth0 = elsewhere.eth0_on(&pod, &pool)?;
    let hurried = elsewhere
        .eth0_on(&pod, &pool)?
        .ipam("timeoutSeconds", json!(2));
    let in_vain = hurried.add().await?;
    in_time(&in_vain, 2)?;
    let [node, namespace] = [env.node.name(), env.name()];
    assert_eq!(in_vain.error_code(), Some(11), "{in_vain}");
    for words in [
        format!(
            "{address} is kept for pod {namespace}/web-0, and an earlier pod of that name has it on node {node}: its \
             containers may still be running"
        ),
        format!("the address comes free when node {node} has torn that pod down"),
    ] {
        ensure!(in_vain.stdout.contains(&words), "{words}: {in_vain}");
    }
    ensure!(
        env.held_by(&pod).await?.is_empty(),
        "it has another address"
    );

    let mark = env.cluster.mark().await?;
    let call = eth0.call("ADD")?.spawn()?;
    until_it_waits(&elsewhere, &mark).await?;
    had.del().await?.success()?;
    let answer = call.wait().await?.success()?;
    assert_eq!(answer.ips()?, [address]);
    Ok(())
}

#[tokio::test]
async fn what_a_name_has_given_up_is_not_taken_while_a_pod_of_it_has_another_address() -> Result<()>
{
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    let given_up = come_and_gone(&env, numbered(&env, "web-0"), &pool).await?;
    let excluded = with(env.v4(1..=200), &json!({"excludeIPs": [given_up]}));
    env.pool("pool", excluded).await?;
    let former = numbered(&env, "web-0").create().await?;
    let had = env.eth0_on(&former, &pool)?;
    let address = had.add().await?.success()?.ips()?[0];
    env.pool("pool", env.v4(1..=200)).await?;
    former.force_delete().await?;

    let elsewhere = env.on(env.cluster.fresh_node().create().await?);
    let pod = numbered(&elsewhere, "web-0").create().await?;
    let hurried = (elsewhere.eth0_on(&pod, &pool)?).ipam("timeoutSeconds", json!(2));
    let in_vain = hurried.add().await?;
    assert_eq!(in_vain.error_code(), Some(11), "{in_vain}");
    let awaited = format!("{address} is kept for pod {}/web-0", env.name());
    ensure!(in_vain.stdout.contains(&awaited), "{in_vain}");
    had.del().await?.success()?;
    let eth0 = elsewhere.eth0_on(&pod, &pool)?;
    assert_eq!(eth0.add().await?.success()?.ips()?, [address]);
    Ok(())
}

/// Until a call of this node reads a lease a second time.
async fn until_it_waits(env: &TestEnv, mark: &Mark) -> Result<()> {
    loop {
        let requests = env.cluster.requests_since(mark).await?;
        let reads = requests.iter().filter(|request| {
            request.user() == env.node.user()
                && request.verb == "get"
                && request.resource() == "ipleases"
        });
        if reads.count() > 1 {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn what_is_kept_is_not_waited_for_by_pods_of_other_names() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    let former = numbered(&env, "web-0").create().await?;
    env.eth0_on(&former, &pool)?.add().await?.success()?;
    let next = env
        .pod("web-1")
        .owner(owner("StatefulSet", "web"))
        .create()
        .await?;
    let answer = env.eth0_on(&next, &pool)?.add().await?.success()?;
    in_time(&answer, 1)?;
    let opted_out = env.pod_in(&format!("{}-b", env.name()), "web-0");
    let opted_out = opted_out
        .annotation(super::STICKY, "false")
        .create()
        .await?;
    let eth0 = env.eth0_on(&opted_out, &pool)?.set("nothing", json!(null));
    in_time(&eth0.add().await?.success()?, 1)
}
