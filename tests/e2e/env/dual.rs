//! A pod with a pool of each family.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::{Attachment, Pod};

use super::{Isolation, TestEnv};

pub struct DualStack {
    pub env: TestEnv,
    pub pod: Pod,
    /// The names of the pools.
    pub v4: String,
    pub v6: String,
}

impl DualStack {
    /// The specs of the pools are made of the environment's addresses.
    pub async fn new(
        v4: impl FnOnce(&TestEnv) -> Value,
        v6: impl FnOnce(&TestEnv) -> Value,
    ) -> Result<Self> {
        let env = Isolation::subnets().start().await?;
        Ok(Self {
            pod: env.pod("web").create().await?,
            v4: env.pool("v4", v4(&env)).await?,
            v6: env.pool("v6", v6(&env)).await?,
            env,
        })
    }

    pub fn eth0(&self) -> Result<Attachment> {
        let eth0 = self.env.eth0_on(&self.pod, &self.v4)?;
        Ok(eth0.ipam("ipv6Pools", json!([self.v6])))
    }

    /// The addresses of an ADD, or its error, redacted.
    pub async fn add(&self, eth0: &Attachment) -> Result<String> {
        let outcome = eth0.add().await?;
        if !outcome.succeeded() {
            return Ok(self.env.message(&outcome));
        }
        let addresses: Vec<String> = outcome.ips()?.iter().map(ToString::to_string).collect();
        Ok(self.env.redact(&addresses.join(" ")))
    }
}
