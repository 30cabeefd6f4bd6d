//! What a pod is told whose application has no set, or none with an address for it.

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use leasehold::api::IPClaim;
use serde_json::json;
use testbed::PodBuilder;

use super::owners::owned;
use super::{Isolation, TestEnv, without_hashes};
use crate::env::in_time;

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
    let expected = format!(
        "7: the name of ReplicaSet {}… may have been cut, so its application is unknown: create an IPClaim and name it in the \
         annotation ipam.leasehold.io/claim",
        "a".repeat(60)
    );
    assert_eq!(answer, expected);
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

/// As `kubectl get --raw` shows it while the server behind an `APIService` is away.
#[tokio::test]
async fn an_application_whose_kind_is_served_by_no_server_is_named() -> Result<()> {
    let (env, racks) = env().await?;
    let service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.away.example.com"},
        "spec": {
            "group": "away.example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
            "insecureSkipTLSVerify": true, "service": {"namespace": env.name(), "name": "away"},
        },
    });
    env.cluster.create_yaml(&service.to_string()).await?;
    let pod = owned(env.pod("ship-a"), "away.example.com/v1", "Ship", "ship");
    let pod = naming(pod, &racks).create().await?;
    let eth0 = env.eth0(&pod)?.ipam("timeoutSeconds", json!(3));
    let refused = eth0.add().await?;
    in_time(&refused, 3)?;
    assert_eq!(refused.error_code(), Some(11), "{refused}");
    ensure!(
        refused
            .stdout
            .contains("/apis/away.example.com/v1 was not answered: 503 Service Unavailable"),
        "{refused}"
    );
    Ok(())
}

#[tokio::test]
async fn what_a_pod_says_of_its_subnet_is_refused_in_plain_words() -> Result<()> {
    let (env, racks) = env().await?;
    env.application("web", 1).await?;
    let pod = |name: &str, annotation: &str| {
        let pod = env.pod(name).of_deployment("web").annotation(NUMBER, "1");
        pod.annotation("ipam.leasehold.io/subnet", annotation)
    };
    // Twice is once.
    let twice = json!({"ipv4": [racks, racks]}).to_string();
    insta::assert_snapshot!(env.served(pod("web-a", &twice)).await?, @"10.0.0.1");
    let of_ipv6 = json!({"ipv6": [racks]}).to_string();
    let refused = env.served(pod("web-b", &of_ipv6)).await?;
    ensure!(
        refused.starts_with("101: ") && refused.contains("subnet/test-racks: "),
        "{refused}"
    );
    for (index, name) in ["räcks", &"a".repeat(254), ""].into_iter().enumerate() {
        let named = json!({"ipv4": [name]}).to_string();
        let refused = env.served(pod(&format!("web-c{index}"), &named)).await?;
        ensure!(
            refused.starts_with(
                "7: the pod's annotation ipam.leasehold.io/subnet at $.ipv4[0] (line 1, column "
            ) && refused.contains(
                r#" is not the name of a Subnet: a-z, 0-9, "-" and "."; for example {"ipv4":["#
            ),
            "{refused}"
        );
    }
    Ok(())
}

/// A set is for one application, whatever its claim is called.
#[tokio::test]
async fn a_claim_that_is_of_another_application_is_named() -> Result<()> {
    let (env, racks) = env().await?;
    env.application("web", 1).await?;
    let pod = |name: &str| env.pod_of("web", name, &[&racks]).annotation(NUMBER, "1");
    env.served(pod("web-a")).await?;
    let claims = env.claims().await?;
    let made = claims.list(&ListParams::default()).await?.items.remove(0);
    let name = made.metadata.name.clone().unwrap_or_default();
    let (_named, eth0) = env.claiming("by-name", &name).await?;
    let by_name = without_hashes(&env.answer(&eth0.add().await?)?);
    ensure!(
        by_name.starts_with(
            "7: IPClaim test/web-test-racks-HASH is the set of an application, which its pods get by the annotation subnet: \
             name a claim of your own"
        ),
        "{by_name}"
    );

    env.delete_claim(&name).await?;
    let mut forged = IPClaim::new(&name, made.spec);
    if let Some(owner) = &mut forged.spec.owner {
        owner.name = "shop".to_owned();
    }
    claims.create(&PostParams::default(), &forged).await?;
    insta::assert_snapshot!(env.served(pod("web-b")).await?, @"101: IPClaim test/web-test-racks-HASH has the name of this application's set and is for another: delete it, or name an IPClaim of yours in the pod's annotation ipam.leasehold.io/claim; IPv4 from the pod's annotation ipam.leasehold.io/subnet: subnet/test-racks: fits; IPv6 from the default pools: there are none");
    Ok(())
}

/// A Deployment counts only pods that are not being deleted: here one beside the one that is refused.
#[tokio::test]
async fn a_set_that_is_full_says_how_many_of_its_pods_are_terminating() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=3)).await?;
    env.application("web", 2).await?;
    let pod = |name: &str| env.pod_of("web", name, &[&racks]).annotation(NUMBER, "3");
    for name in ["web-a", "web-b", "web-c"] {
        env.served(pod(name)).await?;
    }
    let deployments: Api<Deployment> = Api::namespaced(env.cluster.admin().await?, env.name());
    let status = json!({"status": {"replicas": 2}});
    deployments
        .patch_status("web", &PatchParams::default(), &Patch::Merge(status))
        .await?;
    let refused = env.served(pod("web-d")).await?;
    ensure!(
        refused.contains(
            "; pods that are terminating hold at least 2 of 3; raise the pods' annotation"
        ),
        "{refused}"
    );
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
    for (index, number) in ["0", "1025", "two", "-1", "+1000000", "+", "[5]"]
        .iter()
        .enumerate()
    {
        let answer = env.served(pod(&format!("web-d{index}"), number)).await?;
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
