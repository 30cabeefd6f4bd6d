//! GC: what the runtime no longer knows is released, of this node and this network only.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::{Attachment, Call};

use crate::env::{Isolation, TestEnv, with};

/// An environment with a pool, and attachments on it.
struct Swept {
    env: TestEnv,
    pool: String,
}

impl Swept {
    async fn new() -> Result<Self> {
        let env = Isolation::subnets().start().await?;
        let at_once = with(env.v4(1..=50), &json!({"cooldownSeconds": 0}));
        let pool = env.pool("pool", at_once).await?;
        Ok(Self { env, pool })
    }

    /// A pod of this name, attached in this network.
    async fn attached(&self, name: &str, network: &str) -> Result<(Value, Attachment)> {
        let pod = self.env.pod(name).create().await?;
        let eth0 = self.env.eth0_on(&pod, &self.pool)?;
        let eth0 = eth0.set("name", json!(network));
        eth0.add().await?.success()?;
        let known = json!({"containerID": eth0.container_id(), "ifname": "eth0"});
        Ok((known, eth0))
    }

    async fn gc(&self, by: &Attachment, valid: Value) -> Result<()> {
        let call = call(by, &json!({"cni.dev/valid-attachments": valid}))?;
        let outcome = call.run().await?.success()?;
        ensure!(
            outcome.stdout.is_empty() && outcome.stderr.is_empty(),
            "{outcome}"
        );
        Ok(())
    }

    /// The pods that hold an address.
    async fn holders(&self) -> Result<Vec<String>> {
        let held = self.env.held().await?;
        let pods = held.into_iter().map(|lease| Some(lease.spec.holder?.pod));
        let mut pods: Vec<String> = pods.collect::<Option<_>>().context("a holder")?;
        pods.sort();
        Ok(pods)
    }
}

/// GC of the network of `by`, with these keys in the configuration; the environment is what libcni
/// sends.
fn call(by: &Attachment, keys: &Value) -> Result<Call> {
    let config = with(by.config().clone(), keys);
    let call = by.call("GC")?.stdin(config.to_string());
    let unset = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"];
    Ok(unset
        .into_iter()
        .fold(call, |call, name| call.env(name, "")))
}

#[tokio::test]
async fn what_is_not_in_the_list_is_given_back_and_what_is_stays() -> Result<()> {
    let swept = Swept::new().await?;
    let (known, eth0) = swept.attached("known", "net").await?;
    swept.attached("stale", "net").await?;
    swept.attached("stale-too", "net").await?;
    swept.gc(&eth0, json!([known])).await?;
    assert_eq!(swept.holders().await?, ["known"]);
    Ok(())
}

#[tokio::test]
async fn an_attachment_is_known_by_container_and_interface() -> Result<()> {
    let swept = Swept::new().await?;
    let (known, eth0) = swept.attached("web", "net").await?;
    let other_interface = with(known.clone(), &json!({"ifname": "net1"}));
    swept.gc(&eth0, json!([known, other_interface])).await?;
    assert_eq!(swept.holders().await?, ["web"]);
    swept.gc(&eth0, json!([other_interface])).await?;
    assert_eq!(swept.holders().await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn an_empty_list_means_that_nothing_is_attached() -> Result<()> {
    let swept = Swept::new().await?;
    let (_, eth0) = swept.attached("stale", "net").await?;
    swept.gc(&eth0, json!([])).await?;
    assert_eq!(swept.holders().await?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_list_that_is_absent_or_null_is_refused_since_go_omits_an_empty_one() -> Result<()> {
    let swept = Swept::new().await?;
    let (_, eth0) = swept.attached("web", "net").await?;
    let absent = call(&eth0, &json!({}))?.run().await?;
    insta::assert_snapshot!(swept.env.message(&absent), @"7: cni.dev/valid-attachments is missing; expected a list, [] if nothing is attached (a list that is absent is not taken for an empty one)");
    let null = json!({"cni.dev/valid-attachments": null, "cni.dev/attachments": null});
    let null = call(&eth0, &null)?.run().await?;
    assert_eq!(null.stdout, absent.stdout);
    let strange = json!({"cni.dev/valid-attachments": [{"containerID": "c1"}]});
    let strange = call(&eth0, &strange)?.run().await?;
    insta::assert_snapshot!(swept.env.message(&strange), @r#"7: cni.dev/valid-attachments is [{"containerID":"c1"}]; expected a list of objects with containerID and ifname"#);
    assert_eq!(swept.holders().await?, ["web"]);
    Ok(())
}

#[tokio::test]
async fn the_list_may_come_by_the_name_it_had_in_the_first_text_of_the_specification() -> Result<()>
{
    let swept = Swept::new().await?;
    let (known, eth0) = swept.attached("known", "net").await?;
    swept.attached("stale", "net").await?;
    let keys = json!({"cni.dev/attachments": [known]});
    call(&eth0, &keys)?.run().await?.success()?;
    assert_eq!(swept.holders().await?, ["known"]);
    Ok(())
}

#[tokio::test]
async fn other_networks_and_nodes_and_address_spaces_are_left_alone() -> Result<()> {
    let swept = Swept::new().await?;
    let (_, eth0) = swept.attached("stale", "net").await?;
    swept.attached("of-another-network", "other").await?;

    let node = swept.env.cluster.fresh_node().create().await?;
    let elsewhere = Swept {
        env: swept.env.clone().on(node),
        pool: swept.pool.clone(),
    };
    elsewhere.attached("of-another-node", "net").await?;

    let spec = with(swept.env.v4(1..=50), &json!({"vrf": "gc"}));
    let vrf = swept.env.pool("vrf", spec).await?;
    let (_, attachment) = swept.env.pod_on("of-another-vrf", &vrf).await?;
    let attachment = attachment
        .ipam("vrf", json!("gc"))
        .set("name", json!("net"));
    attachment.add().await?.success()?;

    swept.gc(&eth0, json!([])).await?;
    let left = ["of-another-network", "of-another-node", "of-another-vrf"];
    assert_eq!(swept.holders().await?, left);
    Ok(())
}

#[tokio::test]
async fn before_cni_1_1_0_there_is_no_gc() -> Result<()> {
    let swept = Swept::new().await?;
    let (_, eth0) = swept.attached("web", "net").await?;
    let keys = json!({"cniVersion": "1.0.0", "cni.dev/valid-attachments": []});
    let outcome = call(&eth0, &keys)?.run().await?;
    insta::assert_snapshot!(swept.env.message(&outcome), @"1: cniVersion is 1.0.0, which has no GC");
    assert_eq!(swept.holders().await?, ["web"]);
    Ok(())
}
