//! A new sandbox of the same pod has the same address and takes it over from the old one; a call
//! for a sandbox that is gone is too late.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use serde_json::json;
use testbed::{Attachment, Pod};

use crate::env::{Isolation, TestEnv, with};

/// A pod whose first sandbox was attached and is no more, as after a reboot: DEL was not called for
/// it.
struct Rebooted {
    env: TestEnv,
    pool: String,
    pod: Pod,
    old: Attachment,
    /// What the first sandbox had.
    had: Vec<IpAddr>,
}

impl Rebooted {
    async fn new() -> Result<Self> {
        let env = Isolation::subnets().start().await?;
        let pool = env.pool("pool", env.v4(1..=200)).await?;
        let pod = env.pod("web").create().await?;
        let old = env.eth0_on(&pod, &pool)?;
        old.add().await?.success()?;
        old.sandbox().remove();
        Ok(Self {
            had: old.ips()?,
            env,
            pool,
            pod,
            old,
        })
    }

    /// ADD for a new sandbox has the old one's address, and there is one lease.
    async fn has_the_same_address(&self) -> Result<Attachment> {
        let new = self.env.eth0_on(&self.pod, &self.pool)?;
        new.add().await?.success()?;
        assert_eq!(new.ips()?, self.had);
        let leases = self.env.leases().await?;
        assert_eq!(leases.len(), 1, "{leases:?}");
        Ok(new)
    }
}

#[tokio::test]
async fn a_pod_without_any_sign_of_its_old_sandbox_has_its_address_again() -> Result<()> {
    Rebooted::new().await?.has_the_same_address().await?;
    Ok(())
}

#[tokio::test]
async fn a_pod_that_reports_its_address_has_it_again() -> Result<()> {
    let pod = Rebooted::new().await?;
    pod.pod.report_addresses(&pod.had).await?;
    pod.has_the_same_address().await?;
    Ok(())
}

#[tokio::test]
async fn a_pod_whose_address_is_not_the_first_it_would_try_has_it_again_by_any_sign_of_a_sandbox()
-> Result<()> {
    let status = json!({"containerStatuses": [{
        "name": "main", "containerID": "containerd://1", "image": "", "imageID": "", "ready": false, "restartCount": 0,
    }]});
    let network_status =
        json!({"metadata": {"annotations": {"k8s.v1.cni.cncf.io/network-status": "[]"}}});
    for by_status in [true, false] {
        let env = Isolation::subnets().start().await?;
        // Given out of a narrow pool, the address is one of two hundred that the wide pool would
        // try.
        let pool = env.pool("pool", env.v4(100..=100)).await?;
        let (pod, old) = env.pod_on("web", &pool).await?;
        old.add().await?.success()?;
        env.pool("pool", env.v4(1..=200)).await?;
        if by_status {
            pod.patch_status(status.clone()).await?;
        } else {
            pod.patch(network_status.clone()).await?;
        }
        let rebooted = Rebooted {
            had: old.ips()?,
            env,
            pool,
            pod,
            old,
        };
        rebooted.has_the_same_address().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_old_sandbox_gives_nothing_back_that_the_new_one_has() -> Result<()> {
    let pod = Rebooted::new().await?;
    let new = pod.has_the_same_address().await?;
    pod.old.del().await?.success()?;
    assert_eq!(pod.env.held().await?.len(), 1);
    new.check().await?.success()?;
    new.del().await?.success()?;
    assert_eq!(pod.env.held().await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_sandbox_that_takes_the_place_of_one_given_back_has_its_address_though_that_cools()
-> Result<()> {
    let pod = Rebooted::new().await?;
    pod.old.del().await?.success()?;
    pod.has_the_same_address().await?;
    Ok(())
}

#[tokio::test]
async fn a_pool_disabled_meanwhile_lets_a_pod_keep_its_address_and_gives_no_other_one() -> Result<()>
{
    let pod = Rebooted::new().await?;
    let disabled = with(pod.env.v4(1..=200), &json!({"disable": true}));
    pod.env.pool("pool", disabled).await?;
    let (other, eth0) = pod.env.pod_on("other", &pod.pool).await?;
    insta::assert_snapshot!(pod.env.message(&eth0.add().await?), @r#"101: no IPv4 or IPv6 pool for this pod: set "disable: false" in IPPool test-pool, or name another pool; IPv4 from the CNI configuration's ipv4Pools: test-pool: disabled; IPv6 from the default pools: there are none"#);
    other.report_addresses(&[pod.env.at(7).into()]).await?;
    insta::assert_snapshot!(pod.env.message(&eth0.add().await?), @"101: no new IPv4 address: pool test-pool is disabled, and this pod has no earlier address there: name another pool; IPv4 from the CNI configuration's ipv4Pools: test-pool: disabled; IPv6 from the default pools: there are none");

    pod.pod.report_addresses(&pod.had).await?;
    pod.has_the_same_address().await?;
    Ok(())
}

#[tokio::test]
async fn a_pod_made_again_under_its_name_is_another_one() -> Result<()> {
    let Rebooted {
        env,
        pool,
        pod,
        had,
        ..
    } = Rebooted::new().await?;
    pod.force_delete().await?;
    let (_, new) = env.pod_on("web", &pool).await?;
    new.add().await?.success()?;
    ensure!(new.ips()? != had, "the old pod may run still");
    assert_eq!(env.held().await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_call_for_a_sandbox_that_is_gone_takes_nothing() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=10)).await?;
    let (_, late) = env.pod_on("web", &pool).await?;
    late.sandbox().remove();
    insta::assert_snapshot!(env.message(&late.add().await?), @"104: the network namespace of this container is gone: the call is too late");
    assert_eq!(env.leases().await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_late_call_takes_nothing_back_from_the_sandbox_after_it() -> Result<()> {
    let pod = Rebooted::new().await?;
    let new = pod.has_the_same_address().await?;
    let late = pod.old.add().await?;
    assert_eq!(late.error_code(), Some(104), "{late}");
    new.check().await?.success()?;
    Ok(())
}
