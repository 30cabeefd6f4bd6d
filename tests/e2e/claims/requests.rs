//! What a pod of a set costs the API server beyond a plain one.

use anyhow::Result;
use serde_json::json;
use testbed::Attachment;

use crate::env::{Isolation, TestEnv};

#[tokio::test]
async fn a_pod_of_a_set_reads_its_claim_and_lists_its_members_besides() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let pool = env.pool("pool", env.v4(1..=200)).await?;
    env.claim("web", json!({"addresses": [env.at(7).to_string()]}))
        .await?;
    let plain = env.pod("plain").create().await?;
    let plain = env.eth0_on(&plain, &pool)?;
    let (_pod, first) = env.claiming("first", "web").await?;
    let (_pod, next) = env.claiming("next", "web").await?;
    first.add().await?.success()?;
    first.del().await?.success()?;
    let costs = [cost(&env, plain).await?, cost(&env, next).await?];
    insta::assert_snapshot!(costs.join("\n"), @"
    create ipleases 201
    get ipclaims 200, list ipleases 200, update ipleases 200
    ");
    Ok(())
}

#[tokio::test]
async fn so_does_one_whose_application_has_a_set() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let racks = env.subnet_for_sets("racks", env.v4(1..=200)).await?;
    env.application("web", 2).await?;
    let mut costs = Vec::new();
    for name in ["web-first", "web-next"] {
        let pod = env.pod_of("web", name, &[&racks]).create().await?;
        costs.push(cost(&env, env.eth0(&pod)?).await?);
    }
    insta::assert_snapshot!(costs.join("\n"), @"
    create ipclaims 201, create ipleases 201, create ipleases 201, create ipleases 201, get deployments/scale 200, get ipclaims 404, list ipleases 200, list ipleases 200, update ipclaims/status 200, update ipleases 200
    get ipclaims 200, list ipleases 200, update ipleases 200
    ");
    Ok(())
}

/// What an ADD asks of leases, claims and applications.
async fn cost(env: &TestEnv, eth0: Attachment) -> Result<String> {
    // The watch cache has caught up once it has answered a consistent list.
    env.leases_where("spec.state=Retained").await?;
    let mark = env.cluster.mark().await?;
    eth0.add().await?.success()?;
    let requests = env.cluster.requests_since(&mark).await?;
    let ours = requests.iter().filter(|it| it.user() == env.node.user());
    let mut lines: Vec<String> = ours
        .map(|it| format!("{} {} {}", it.verb, it.resource(), it.code()))
        .filter(|line| {
            ["ipleases", "ipclaims", "deployments"]
                .iter()
                .any(|it| line.contains(it))
        })
        .collect();
    lines.sort();
    Ok(lines.join(", "))
}
