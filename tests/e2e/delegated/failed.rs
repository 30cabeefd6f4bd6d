//! Attachments that fail after leasehold has given an address: the pod's next attempt gets another
//! one, while there is one.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use leasehold::api::{IPLease, State};
use serde_json::{Value, json};
use testbed::{Attachment, Pod};

use crate::env::{Isolation, TestEnv, with};

/// What a lease says of its last attachment.
async fn lease(env: &TestEnv, address: IpAddr) -> Result<IPLease> {
    let lease = env.lease(address).await?;
    lease.with_context(|| format!("{address} has no lease"))
}

/// One more sandbox for the pod, on this pool, as a kubelet makes it after a failure.
fn attempt(env: &TestEnv, pod: &Pod, key: &str, pool: &str) -> Result<Attachment> {
    let eth0 = env.eth0(pod)?.ipam(key, json!([pool]));
    Ok(eth0.ipam("ipFamilyPolicy", json!("SingleStack")))
}

#[tokio::test]
async fn a_pod_does_not_get_the_address_again_that_another_machine_answers_for() -> Result<()> {
    let env = Isolation::subnets().segment().start().await?;
    for cooldown in [30, 0] {
        let name = format!("dad-{cooldown}");
        // Only with a gateway does macvlan wait for what the kernel finds out.
        let more = json!({"gateway": env.at6(1), "cooldownSeconds": cooldown});
        let pool = env.pool(&name, with(env.v6(10..=12), &more)).await?;
        let pod = env.pod(&name).create().await?;
        let add = || {
            let eth0 = attempt(&env, &pod, "ipv6Pools", &pool)?;
            anyhow::Ok(eth0.ipam("ipFamilies", json!(["IPv6"])).by_macvlan())
        };
        // Its first choice, which it would have again and again.
        let eth0 = add()?;
        let taken = eth0.add().await?.success()?.ips()?[0];
        eth0.del().await?.success()?;
        env.segment()?.add_neighbor(&format!("{taken}/64"))?;

        let eth0 = add()?;
        let failed = eth0.add().await?;
        ensure!(!failed.succeeded(), "no machine answered: {failed}");
        // macvlan has called DEL itself, and the runtime does so again.
        for _ in 0..2 {
            let stored = lease(&env, taken).await?.spec;
            assert_eq!(stored.state, State::Cooling);
            ensure!(stored.attachment_failed, "{stored:?}");
            eth0.del().await?.success()?;
        }
        let eth0 = add()?;
        let another = eth0.add().await?.success()?.ips()?[0];
        ensure!(another != taken, "{taken} again");
        eth0.del().await?.success()?;
        let left = env.lease(another).await?;
        ensure!(left.is_none_or(|lease| !lease.spec.attachment_failed));
        env.segment()?
            .hub()
            .ip(&format!("address delete {taken}/64 dev br0"))?;
    }
    env.holds_nothing().await
}

/// DEL after an ADD, as a runtime calls it, and whether the lease remembers a failure.
#[tokio::test]
async fn only_a_del_without_a_result_and_with_a_namespace_follows_a_failure() -> Result<()> {
    let env = Isolation::subnets().segment().start().await?;
    let pool = env.pool("v4", env.v4(10..=60)).await?;
    for (number, (version, result, namespace, fails)) in [
        ("0.4.0", false, true, true),
        ("1.0.0", false, true, true),
        ("1.1.0", false, true, true),
        // Results are not passed to DEL before 0.4.0.
        ("0.3.1", false, true, false),
        ("0.2.0", false, true, false),
        // The last DELs of a pod have neither; and what has a result was attached.
        ("1.1.0", false, false, false),
        ("1.1.0", true, true, false),
        ("1.1.0", true, false, false),
    ]
    .into_iter()
    .enumerate()
    {
        let case = format!("{version}, result {result}, namespace {namespace}");
        let pod = env.pod(&format!("pod-{number}")).create().await?;
        let add = || {
            let eth0 = attempt(&env, &pod, "ipv4Pools", &pool)?;
            anyhow::Ok(eth0.set("cniVersion", json!(version)).by_macvlan())
        };
        let eth0 = add()?;
        let answer = eth0.add().await?.success()?.json()?;
        let address = v4(&answer)?;
        if !result {
            eth0.remember(None);
        }
        if !namespace {
            eth0.sandbox().remove();
        }
        eth0.del().await?.success()?;
        let stored = lease(&env, address).await?.spec;
        assert_eq!(stored.attachment_failed, fails, "{case}");
        let eth0 = add()?;
        let next = v4(&eth0.add().await?.success()?.json()?)?;
        assert_eq!(next != address, fails, "{case}");
        eth0.remember(None);
        eth0.del().await?.success()?;
    }
    env.holds_nothing().await
}

/// The address of an answer of any version.
fn v4(answer: &Value) -> Result<IpAddr> {
    let address = &answer["ips"][0]["address"];
    let address = address.as_str().or(answer["ip4"]["ip"].as_str());
    let address = address.and_then(|address| address.split('/').next());
    Ok(address.context("an address")?.parse()?)
}

#[tokio::test]
async fn an_address_that_failed_is_given_before_none_and_when_it_is_asked_for() -> Result<()> {
    let env = Isolation::vrf("failed-last").start().await?;
    for cooldown in [30, 0] {
        let pool = format!("failed-last-{cooldown}");
        let two = json!({"ips": ["10.0.0.1-10.0.0.2"], "cooldownSeconds": cooldown});
        env.pool_of(&pool, "10.0.0.0/24", two).await?;
        let pod = env.pod(&pool).create().await?;
        let fails = async || {
            let eth0 = env.eth0_on(&pod, &pool)?;
            let address = eth0.add().await?.success()?.ips()?[0];
            eth0.remember(None);
            let released = eth0.del().await?.success()?;
            ensure!(released.stderr.is_empty(), "{released}");
            anyhow::Ok(address)
        };
        let (first, second) = (fails().await?, fails().await?);
        ensure!(first != second);
        // All have failed: the one whose failure is longest ago, and so on.
        for expected in [first, second, first] {
            assert_eq!(fails().await?, expected, "cooldown {cooldown}");
        }
        let eth0 = env.eth0_on(&pod, &pool)?;
        let eth0 = eth0.cni_arg("IP", &first.to_string());
        assert_eq!(eth0.add().await?.success()?.ips()?, [first]);
        eth0.del().await?.success()?;
        // To another pod it is as good as any.
        let other = env.pod(&format!("{pool}-other")).create().await?;
        let other = env.eth0_on(&other, &pool)?;
        let other = other.cni_arg("IP", &second.to_string());
        assert_eq!(other.add().await?.success()?.ips()?, [second]);
        other.del().await?.success()?;
    }
    env.holds_nothing().await
}
