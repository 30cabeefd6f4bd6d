//! Sets that the plugin makes of a Subnet: for the pods of an application that name it.

mod crash;
mod owners;
mod refusals;
mod subnets;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use kube::api::ListParams;
use serde_json::{Value, json};
use testbed::{Attachment, Pod, PodBuilder};

use crate::env::{Isolation, TestEnv};

impl TestEnv {
    /// Makes or edits a Subnet, whose name follows the environment's; returns the whole name.
    pub async fn subnet_for_sets(&self, name: &str, spec: Value) -> Result<String> {
        let name = format!("{}-{name}", self.name());
        let subnet = spec["subnet"].as_str().unwrap_or_default().to_owned();
        self.subnet_of(&name, &subnet, spec).await?;
        Ok(name)
    }

    /// A Deployment that wants so many pods.
    pub async fn application(&self, name: &str, replicas: u32) -> Result<()> {
        self.namespace(self.name(), json!({})).await?;
        self.cluster.deployment(self.name(), name, replicas).await
    }

    /// A pod of this Deployment, which names Subnets of IPv4.
    pub fn pod_of(&self, deployment: &str, pod: &str, subnets: &[&str]) -> PodBuilder {
        let pod = self.pod(pod).of_deployment(deployment);
        let named = json!({"ipv4": subnets}).to_string();
        pod.annotation("ipam.leasehold.io/subnet", &named)
    }

    /// Makes a pod and attaches it; its addresses, or code and message of its error, redacted.
    async fn served(&self, pod: PodBuilder) -> Result<String> {
        let (_pod, _eth0, answer) = self.attached(pod).await?;
        Ok(answer)
    }

    async fn attached(&self, pod: PodBuilder) -> Result<(Pod, Attachment, String)> {
        let pod = pod.create().await?;
        let eth0 = self.eth0(&pod)?;
        let answer = self.answer(&eth0.add().await?)?;
        Ok((pod, eth0, without_hashes(&answer)))
    }

    /// The sets of the environment's namespace in a line each: owner, Subnet, `spec.reclaim` and
    /// how many addresses.
    async fn sets(&self) -> Result<String> {
        let claims = self.claims().await?.list(&ListParams::default()).await?;
        let mut lines: Vec<String> = claims
            .into_iter()
            .filter_map(|claim| {
                let owner = claim.spec.owner?;
                let size = claim.status.unwrap_or_default().addresses.len();
                let reclaim = claim.spec.reclaim;
                let line = format!(
                    "{} {} {} {} {size} {}",
                    owner.kind,
                    owner.name,
                    owner.interface,
                    owner.subnet,
                    reclaim.map_or_else(String::new, |it| format!("reclaim: {it}"))
                );
                Some(self.redact(line.trim()))
            })
            .collect();
        lines.sort();
        Ok(lines.join("\n"))
    }
}

/// A text in which the hash at the end of a set's name is that of any.
fn without_hashes(text: &str) -> String {
    let is_hash = |word: &&str| word.len() == 32 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let plain = words.map(|word| {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if is_hash(&bare) {
            word.replace(bare, "HASH")
        } else {
            word.to_owned()
        }
    });
    plain.collect()
}

#[tokio::test]
async fn pods_of_an_application_have_a_set_of_its_own() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=200)).await?;
    let mut sets = Vec::new();
    for name in ["web", "shop"] {
        // With one more for a rollout.
        env.application(name, 2).await?;
        let mut set = BTreeSet::new();
        for number in 0..3 {
            let pod = env.pod_of(name, &format!("{name}-{number}"), &[&racks]);
            let answer = env.served(pod).await?;
            ensure!(set.insert(answer.clone()), "given twice: {answer}");
        }
        sets.push(set);
    }
    ensure!(sets[0].is_disjoint(&sets[1]), "{sets:?}");
    insta::assert_snapshot!(env.sets().await?, @"
    Deployment shop eth0 test-racks 3
    Deployment web eth0 test-racks 3
    ");
    for lease in env.leases().await? {
        assert_eq!(lease.spec.pool, format!("subnet/{racks}"));
    }
    Ok(())
}

#[tokio::test]
async fn an_address_that_a_pod_of_a_set_gives_back_is_the_next_ones() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=200)).await?;
    env.application("web", 1).await?;
    let size = |pod: PodBuilder| pod.annotation("ipam.leasehold.io/ippool-ip-number", "1");
    let (pod, eth0, had) = env
        .attached(size(env.pod_of("web", "web-a", &[&racks])))
        .await?;
    eth0.check().await?.success()?;
    eth0.del().await?.success()?;
    pod.force_delete().await?;
    // On another node, under another name.
    let env = env.on(env.cluster.fresh_node().create().await?);
    let next = size(env.pod_of("web", "web-b", &[&racks]));
    assert_eq!(env.served(next).await?, had);
    Ok(())
}

#[tokio::test]
async fn a_set_is_as_large_as_its_pods_say() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=200)).await?;
    for (name, replicas, number, expected) in [
        ("fixed", 9, Some("2"), 2),
        ("spare", 3, Some("+2"), 5),
        ("exact", 3, Some("+0"), 3),
        ("surge", 8, None, 10),
        ("idle", 0, None, 1),
    ] {
        env.application(name, replicas).await?;
        let mut pod = env.pod_of(name, &format!("{name}-a"), &[&racks]);
        if let Some(number) = number {
            pod = pod.annotation("ipam.leasehold.io/ippool-ip-number", number);
        }
        env.served(pod).await?;
        let sets = env.sets().await?;
        let line = format!("Deployment {name} eth0 test-racks {expected}");
        ensure!(sets.contains(&line), "no {line} in\n{sets}");
    }
    Ok(())
}

#[tokio::test]
async fn a_set_grows_with_its_application() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=200)).await?;
    env.application("web", 1).await?;
    let pod = |number: u32| env.pod_of("web", &format!("web-{number}"), &[&racks]);
    let mut given = BTreeSet::new();
    for number in 0..2 {
        given.insert(env.served(pod(number)).await?);
    }
    let full = env.served(pod(2)).await?;
    ensure!(full.starts_with("100: "), "{full}");
    env.application("web", 4).await?;
    for number in 3..6 {
        given.insert(env.served(pod(number)).await?);
    }
    assert_eq!(given.len(), 5, "{given:?}");
    assert_eq!(env.sets().await?, "Deployment web eth0 test-racks 5");
    Ok(())
}

#[tokio::test]
async fn reserved_and_excluded_addresses_are_in_no_set() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let spec = json!({
        "subnet": env.subnet(), "ips": [format!("{}-{}", env.at(1), env.at(6))],
        "excludeIPs": [env.at(2)], "gateway": env.at(1),
    });
    let racks = env.subnet_for_sets("racks", spec).await?;
    env.reserve("printers", json!([env.at(3)])).await?;
    env.application("web", 3).await?;
    let mut given = BTreeSet::new();
    for number in 0..3 {
        let pod = env.pod_of("web", &format!("web-{number}"), &[&racks]);
        let pod = pod.annotation("ipam.leasehold.io/ippool-ip-number", "3");
        given.insert(env.served(pod).await?);
    }
    let expected = ["10.0.0.4", "10.0.0.5", "10.0.0.6"];
    assert_eq!(given, expected.map(str::to_owned).into());
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_reserved_later_makes_room_for_another() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=2)).await?;
    env.application("web", 1).await?;
    let one = |name| {
        let pod = env.pod_of("web", name, &[&racks]);
        pod.annotation("ipam.leasehold.io/ippool-ip-number", "1")
    };
    let (_pod, eth0, had) = env.attached(one("web-a")).await?;
    eth0.del().await?.success()?;
    let (had, other) = if had == "10.0.0.1" { (1, 2) } else { (2, 1) };
    env.reserve("printers", json!([env.at(had)])).await?;
    assert_eq!(env.served(one("web-b")).await?, format!("10.0.0.{other}"));
    Ok(())
}

#[tokio::test]
async fn spiderpools_annotations_ask_for_sets_too() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=200)).await?;
    env.application("web", 2).await?;
    let pod = env.pod("web-a").of_deployment("web");
    let list = json!([{"interface": "eth0", "ipv4": [racks]}]).to_string();
    let pod = pod
        .annotation("ipam.spidernet.io/subnets", &list)
        .annotation("ipam.spidernet.io/ippool-ip-number", "+2")
        .annotation("ipam.spidernet.io/ippool-reclaim", "false");
    env.served(pod).await?;
    assert_eq!(
        env.sets().await?,
        "Deployment web eth0 test-racks 4 reclaim: false"
    );
    Ok(())
}
