//! Pods that get no address, since a call for them is late or they are not what the call says; and
//! static pods, which do.

use anyhow::{Context, Result};
use kube::api::{Api, DeleteParams};
use leasehold::api::IPPool;
use serde_json::json;
use testbed::{Attachment, Pod};

use crate::env::{Isolation, TestEnv};

/// A pod on an environment with a pool, and its first interface.
struct Called {
    env: TestEnv,
    pool: String,
    pod: Pod,
    eth0: Attachment,
}

impl Called {
    async fn new() -> Result<Self> {
        let env = Isolation::subnets().start().await?;
        let pool = env.pool("pool", env.v4(1..=10)).await?;
        let (pod, eth0) = env.pod_on("web", &pool).await?;
        Ok(Self {
            env,
            pool,
            pod,
            eth0,
        })
    }

    /// What ADD says, which leaves no lease behind.
    async fn refusal(&self) -> Result<String> {
        let outcome = self.eth0.add().await?;
        assert!(!outcome.succeeded(), "{outcome}");
        assert_eq!(self.env.leases().await?.len(), 0);
        Ok(self.env.message(&outcome).replace(self.pod.uid(), "<uid>"))
    }
}

#[tokio::test]
async fn a_pod_that_is_gone() -> Result<()> {
    let call = Called::new().await?;
    call.pod.force_delete().await?;
    insta::assert_snapshot!(call.refusal().await?, @"103: pod test/web gets no address: there is no such pod on this node any more");
    Ok(())
}

#[tokio::test]
async fn a_pod_that_is_being_deleted() -> Result<()> {
    let call = Called::new().await?;
    call.pod.delete().await?;
    insta::assert_snapshot!(call.refusal().await?, @"103: pod test/web gets no address: it is being deleted");
    Ok(())
}

#[tokio::test]
async fn a_pod_that_has_run_to_its_end() -> Result<()> {
    for phase in ["Succeeded", "Failed"] {
        let call = Called::new().await?;
        call.pod.patch_status(json!({"phase": phase})).await?;
        let message = call.refusal().await?.replace(phase, "<phase>");
        insta::allow_duplicates! { insta::assert_snapshot!(message, @"103: pod test/web gets no address: it is finished (phase <phase>)"); }
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_that_was_made_again_under_its_name() -> Result<()> {
    let call = Called::new().await?;
    call.pod.force_delete().await?;
    let new = call.env.pod("web").create().await?;
    let message = call.refusal().await?.replace(new.uid(), "<new uid>");
    insta::assert_snapshot!(message, @"103: pod test/web gets no address: the call is for uid <uid>, and the pod of that name has uid <new uid> now");
    Ok(())
}

#[tokio::test]
async fn a_pod_of_another_node() -> Result<()> {
    let call = Called::new().await?;
    let node = call.env.cluster.fresh_node().create().await?;
    let elsewhere = call.env.clone().on(node);
    let pod = elsewhere.pod("elsewhere").create().await?;
    let eth0 = call.env.eth0_on(&pod, &call.pool)?;
    insta::assert_snapshot!(call.env.message(&eth0.add().await?), @"103: pod test/elsewhere gets no address: there is no such pod on this node any more");
    Ok(())
}

#[tokio::test]
async fn a_runtime_that_does_not_say_the_uid_is_believed() -> Result<()> {
    let call = Called::new().await?;
    let Called { env, pod, eth0, .. } = call;
    let eth0 = eth0.cni_arg("K8S_POD_UID", "");
    eth0.add().await?.success()?;
    let lease = env.leases().await?.remove(0);
    let holder = lease.spec.holder.context("a holder")?;
    assert_eq!(holder.uid, pod.uid());
    Ok(())
}

#[tokio::test]
async fn a_static_pod_is_known_by_its_mirror() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=10)).await?;
    let mirror = env.cluster.pod(env.name(), "proxy-node");
    let hash = "0123456789abcdef0123456789abcdef";
    let mirror = mirror
        .on(&env.node)
        .annotation("kubernetes.io/config.mirror", hash)
        .create()
        .await?;
    // kubelet passes the static pod's own uid to the runtime, which is this hash.
    let eth0 = env.eth0_on(&mirror, &pool)?.cni_arg("K8S_POD_UID", hash);
    eth0.add().await?.success()?;
    let lease = env.leases().await?.remove(0);
    assert_eq!(lease.spec.holder.context("a holder")?.uid, hash);
    eth0.check().await?.success()?;
    eth0.del().await?.success()?;

    let stranger = env.eth0_on(&mirror, &pool)?.cni_arg("K8S_POD_UID", "fedc");
    insta::assert_snapshot!(env.message(&stranger.add().await?), @"103: pod test/proxy-node gets no address: the call is for uid fedc, and the pod of that name has uid 0123456789abcdef0123456789abcdef now");
    Ok(())
}

#[tokio::test]
async fn a_pool_whose_ipv6_range_is_reversed_is_named_and_does_no_harm_to_others() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let good = env.pool("good", env.v6(1..=10)).await?;
    let range = format!("{}-{}", env.at6(20), env.at6(11));
    let reversed = json!({"subnet": env.subnet6(), "ips": [range]});
    let reversed = env.pool("reversed", reversed).await?;
    let pod = env.pod("web").create().await?;
    let on = |pools| {
        let eth0 = env.eth0_on(&pod, "none")?.ipam("ipv4Pools", json!(null));
        anyhow::Ok(eth0.ipam("ipv6Pools", pools))
    };
    insta::assert_snapshot!(env.message(&on(json!([reversed]))?.add().await?), @r#"101: no IPv4 or IPv6 pool for this pod: correct IPPool test-reversed: spec.ips[0] "fd00::14-fd00::b" ends before it begins: write the lower address first; IPv4 from the default pools: there are none; IPv6 from the CNI configuration's ipv6Pools: test-reversed: spec.ips[0] "fd00::14-fd00::b" ends before it begins: write the lower address first"#);
    on(json!([reversed, good]))?.add().await?.success()?;
    let pools: Api<IPPool> = env.api().await?;
    pools.delete(&reversed, &DeleteParams::default()).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_reserved_must_be_readable() -> Result<()> {
    // In an address space of its own: no other ADD shall fail for it.
    let env = Isolation::vrf("unreadable").start().await?;
    let pool = env.pool("pool", env.v6(1..=10)).await?;
    let range = format!("{}-{}", env.at6(9), env.at6(1));
    env.reserve("reversed", json!([range])).await?;
    let pod = env.pod("web").create().await?;
    let eth0 = env.eth0(&pod)?.ipam("ipv6Pools", json!([pool]));
    insta::assert_snapshot!(env.message(&eth0.add().await?), @r#"7: correct ReservedIP unreadable-reversed: spec.ips[0] "fd00::9-fd00::1" ends before it begins: write the lower address first: until then no address can be given, because what is reserved is unknown"#);
    Ok(())
}
