//! Applications that make and use their sets at the same time.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use kube::api::{Api, ListParams};
use leasehold::api::IPClaim;
use serde_json::json;
use tokio::task::JoinSet;

use crate::env::Isolation;

const APPLICATIONS: usize = 8;
const REPLICAS: usize = 4;
const AT_A_TIME: usize = 20;

/// The Subnet has exactly as many addresses as the sets need.
#[tokio::test]
async fn applications_that_make_their_sets_at_once_have_each_its_own() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let subnet = format!("{}-sets", env.name());
    let addresses = env.v4(256..=255 + u32::try_from(APPLICATIONS * REPLICAS)?);
    env.subnet_of(&subnet, &env.subnet(), addresses).await?;
    env.namespace(env.name(), json!({})).await?;
    let mut waiting = Vec::new();
    for number in 0..APPLICATIONS * REPLICAS {
        let application = format!("app-{}", number % APPLICATIONS);
        if number < APPLICATIONS {
            let replicas = u32::try_from(REPLICAS)?;
            env.cluster
                .deployment(env.name(), &application, replicas)
                .await?;
        }
        let pod = env
            .pod(&format!("{application}-7d9f8-{number}"))
            .of_deployment(&application)
            .annotation(
                "ipam.leasehold.io/subnet",
                &json!({"interface": "eth0", "ipv4": [subnet]}).to_string(),
            )
            .annotation("ipam.leasehold.io/ippool-ip-number", "+0");
        let eth0 = env.eth0(&pod.create().await?)?;
        // Not one of them may run out of time, however busy the machine is.
        waiting.push((application, eth0.ipam("timeoutSeconds", json!(150))));
    }

    let mut running = JoinSet::new();
    let mut answered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    loop {
        while running.len() < AT_A_TIME
            && let Some((application, eth0)) = waiting.pop()
        {
            running.spawn(async move { Ok::<_, anyhow::Error>((application, eth0.add().await?)) });
        }
        let Some(ended) = running.join_next().await else {
            break;
        };
        let (application, outcome) = ended??;
        for address in outcome.success()?.ips()? {
            answered
                .entry(application.clone())
                .or_default()
                .insert(address.to_string());
        }
    }

    let claims: Api<IPClaim> = env.claims().await?;
    let mut sets: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for claim in claims.list(&ListParams::default()).await? {
        let status = claim.status.context("a status")?;
        ensure!(status.maker.is_none(), "its maker is not done: {status:?}");
        let owner = claim.spec.owner.context("an owner")?.name;
        let other = sets.insert(owner, status.addresses.into_iter().collect());
        ensure!(other.is_none(), "two sets of an application");
    }
    ensure!(sets == answered, "sets {sets:?}, answers {answered:?}");
    let all: BTreeSet<&String> = sets.values().flatten().collect();
    ensure!(
        sets.len() == APPLICATIONS && all.len() == APPLICATIONS * REPLICAS,
        "{sets:?}"
    );
    Ok(())
}
