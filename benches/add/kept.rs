//! What a pod whose address is kept asks of the API server, beside a plain one: part of `-- sets`.
//! One call at a time, on sets that have room. `tests/e2e` says the same as a rule.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;
use testbed::Attachment;

use super::environment::Bench;
use super::figures::{head, row};
use super::sets::{NAMESPACE, PLAIN};

const SUBNET: &str = "kept";
const APPLICATION: &str = "kept";
const SIZE: usize = 10;

/// How often each sort of request was made.
type Asked = BTreeMap<String, usize>;

impl Bench {
    /// The table.
    pub async fn kept(&self) -> Result<()> {
        let subnet = json!({"apiVersion": "leasehold.io/v1alpha1", "kind": "Subnet", "metadata": {"name": SUBNET},
            "spec": {"subnet": "10.90.0.0/24", "ips": ["10.90.0.1-10.90.0.200"]}});
        self.cluster.apply_yaml(&subnet.to_string()).await?;
        let replicas = u32::try_from(SIZE)?;
        (self.cluster)
            .deployment(NAMESPACE, APPLICATION, replicas)
            .await?;

        head(["requests", "beyond", "which"]);
        let plain = self.asked(&self.attachment_on(PLAIN).await?).await?;
        let print = |name, asked: &Asked| {
            let count = |asked: &Asked| asked.values().sum::<usize>();
            let beyond = asked.iter().filter_map(|(sort, times)| {
                let more = times.saturating_sub(plain.get(sort).copied().unwrap_or_default());
                (more > 0).then(|| format!("{more} {sort}"))
            });
            let beyond: Vec<String> = beyond.collect();
            let all = count(asked);
            let more = all.saturating_sub(count(&plain));
            row(name, [all.to_string(), more.to_string(), beyond.join(", ")]);
        };
        print("plain", &plain);
        for name in ["sticky, first start", "sticky, return"] {
            let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "u", "controller": true});
            let pod = self.cluster.pod(NAMESPACE, "db-0").owner(owner);
            let pod = pod.on(&self.node).create().await?;
            let eth0 = self.ours(&pod, PLAIN)?;
            print(name, &self.asked(&eth0).await?);
            eth0.del().await?.success()?;
            pod.force_delete().await?;
        }
        for (number, name) in ["its set made, of 10", "a set joined"]
            .into_iter()
            .enumerate()
        {
            let pod = self.member(APPLICATION, number, SUBNET).await?;
            print(name, &self.asked(&self.ours(&pod, PLAIN)?).await?);
        }
        Ok(())
    }

    /// What an ADD asks.
    async fn asked(&self, eth0: &Attachment) -> Result<Asked> {
        let mark = self.cluster.mark().await?;
        eth0.add().await?.success()?;
        let mut asked = Asked::new();
        for request in self.cluster.requests_since(&mark).await? {
            if request.user() == self.node.user() {
                let sort = format!("{} {}", request.verb, request.resource());
                *asked.entry(sort).or_default() += 1;
            }
        }
        Ok(asked)
    }
}
