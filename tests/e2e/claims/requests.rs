//! What a pod of a set costs the API server beyond a plain one.

use anyhow::Result;
use serde_json::json;

use crate::env::Isolation;

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
    let mut costs = Vec::new();
    for eth0 in [plain, next] {
        let mark = env.cluster.mark().await?;
        eth0.add().await?.success()?;
        let requests = env.cluster.requests_since(&mark).await?;
        let ours = requests.iter().filter(|it| it.user() == env.node.user());
        let mut lines: Vec<String> = ours
            .map(|it| format!("{} {} {}", it.verb, it.resource(), it.code()))
            .filter(|line| line.contains("ipleases") || line.contains("ipclaims"))
            .collect();
        lines.sort();
        costs.push(lines.join(", "));
    }
    insta::assert_snapshot!(costs.join("\n"), @"
    create ipleases 201
    get ipclaims 200, list ipleases 200, update ipleases 200
    ");
    Ok(())
}
