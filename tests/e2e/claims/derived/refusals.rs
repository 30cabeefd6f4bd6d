//! What a pod is told whose application has no set, or none with an address for it.

use anyhow::{Result, ensure};
use testbed::PodBuilder;

use super::owners::owned;
use super::{Isolation, TestEnv};

const NUMBER: &str = "ipam.leasehold.io/ippool-ip-number";

/// With a Subnet of one address.
async fn env() -> Result<(TestEnv, String)> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=1)).await?;
    Ok((env, racks))
}

fn naming(pod: PodBuilder, subnet: &str) -> PodBuilder {
    let named = format!(r#"{{"ipv4":["{subnet}"]}}"#);
    pod.annotation("ipam.leasehold.io/subnet", &named)
}

#[tokio::test]
async fn a_pod_whose_application_is_unknown_is_told_what_to_do() -> Result<()> {
    let (env, racks) = env().await?;
    let bare = naming(env.pod("bare"), &racks);
    insta::assert_snapshot!(env.served(bare).await?, @"7: the pod has no controller, so it is of no application: create an IPClaim and name it in the annotation ipam.leasehold.io/claim, or run the pod in a Deployment");

    let long = format!("{}-7d9f8", "a".repeat(247));
    let cut = owned(env.pod("cut"), "apps/v1", "ReplicaSet", &long);
    let cut = naming(cut.label("pod-template-hash", "7d9f8"), &racks);
    let answer = env.served(cut).await?;
    ensure!(
        answer.starts_with("7: the name of ReplicaSet aaaa")
            && answer
                .contains("may have been cut, so its application is unknown: create an IPClaim"),
        "{answer}"
    );
    Ok(())
}

#[tokio::test]
async fn an_application_whose_replicas_are_unknown_needs_a_number() -> Result<()> {
    let (env, racks) = env().await?;
    let job = naming(owned(env.pod("once-a"), "batch/v1", "Job", "once"), &racks);
    insta::assert_snapshot!(env.served(job).await?, @"101: how many pods Job once is to have can't be read, because its kind has no /scale: set the pod's annotation ipam.leasehold.io/ippool-ip-number to a number; IPv4 from the pod's annotation ipam.leasehold.io/subnet: subnet/test-racks: fits; IPv6 from the default pools: there are none");
    let gone = naming(env.pod("gone-a").of_deployment("gone"), &racks);
    insta::assert_snapshot!(env.served(gone).await?, @"101: Deployment gone does not exist, so it is unknown how many addresses its pods need: create it, or end the pod; IPv4 from the pod's annotation ipam.leasehold.io/subnet: subnet/test-racks: fits; IPv6 from the default pools: there are none");
    let none = owned(env.pod("none-a"), "none.example.com/v1", "None", "none");
    insta::assert_snapshot!(env.served(naming(none, &racks)).await?, @"101: how many pods None none is to have can't be read, because its kind has no /scale: set the pod's annotation ipam.leasehold.io/ippool-ip-number to a number; IPv4 from the pod's annotation ipam.leasehold.io/subnet: subnet/test-racks: fits; IPv6 from the default pools: there are none");
    Ok(())
}

#[tokio::test]
async fn a_set_that_is_full_or_finds_no_room_says_so() -> Result<()> {
    let (env, racks) = env().await?;
    env.application("web", 1).await?;
    let pod = |name: &str, number: &str| {
        env.pod_of("web", name, &[&racks])
            .annotation(NUMBER, number)
    };
    insta::assert_snapshot!(env.served(pod("web-a", "1")).await?, @"10.0.0.1");
    insta::assert_snapshot!(env.served(pod("web-b", "1")).await?, @"100: IPClaim test/web-test-racks-HASH is full: 10.0.0.1 is held by test/web-a (eth0 on node); raise the pods' annotation ipam.leasehold.io/ippool-ip-number: until then no pod is added, and a rollout with maxUnavailable: 0 cannot proceed; IPv4 from the pod's annotation ipam.leasehold.io/subnet: subnet/test-racks: fits; IPv6 from the default pools: there are none");
    insta::assert_snapshot!(env.served(pod("web-c", "9")).await?, @"100: Subnet test-racks has too few free addresses for IPClaim test/web-test-racks-HASH: 8 are missing and 0 are free; enlarge its spec.ips, or name another Subnet too; IPv4 from the pod's annotation ipam.leasehold.io/subnet: subnet/test-racks: fits; IPv6 from the default pools: there are none");
    for (name, number) in [("web-d", "0"), ("web-e", "1025"), ("web-f", "two")] {
        let answer = env.served(pod(name, number)).await?;
        let expected = format!(
            "7: annotation {NUMBER}: {number:?} is not a number of addresses: write \"N\" from 1 to 1024, or \"+N\" for so \
             many more than replicas; for example +1"
        );
        assert_eq!(answer, expected);
    }
    let reclaim = pod("web-g", "1").annotation("ipam.leasehold.io/ippool-reclaim", "no");
    insta::assert_snapshot!(env.served(reclaim).await?, @r#"7: annotation ipam.leasehold.io/ippool-reclaim: "no" is neither "true" nor "false"; for example false"#);
    let sticky = pod("web-h", "1").annotation("ipam.leasehold.io/sticky", "true");
    insta::assert_snapshot!(env.served(sticky).await?, @"7: no address can be kept for a pod of ReplicaSet web-7d9f8, because each of its pods has a new name: leave the annotation ipam.leasehold.io/sticky away, or run the pod in a StatefulSet");
    Ok(())
}
