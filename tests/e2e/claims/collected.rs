//! What the collector makes of claims: sets that are ready before any pod, and that lose what they
//! no longer ask for.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::collector::run::{Report, env};

#[tokio::test]
async fn a_listed_set_is_confirmed_before_any_pod_uses_it() -> Result<()> {
    let env = env("claims-listed", "10.31.0.0/24").await?;
    let listed = json!({"addresses": ["10.31.0.10-10.31.0.11", "10.31.0.20"]});
    env.claim("web", listed).await?;
    env.collect(&[]).await?;
    insta::assert_snapshot!(env.set("web").await?, @r"
    10.31.0.10 10.31.0.11 10.31.0.20 / 10.31.0.10 10.31.0.11 10.31.0.20 /
    Confirmed:
    ");
    insta::assert_snapshot!(env.members("web").await?, @r"
    10.31.0.10 Retained -
    10.31.0.11 Retained -
    10.31.0.20 Retained -
    ");

    // A pod of the set gets one of them, and what a firewall is open for stays the same.
    let (_pod, eth0) = env.claiming("web-0", "web").await?;
    eth0.add().await?.success()?;
    env.collect(&[]).await?;
    insta::assert_snapshot!(env.set("web").await?, @r"
    10.31.0.10 10.31.0.11 10.31.0.20 / 10.31.0.10 10.31.0.11 10.31.0.20 /
    Confirmed:
    ");
    Ok(())
}

#[tokio::test]
async fn a_size_is_chosen_from_its_pools_once_and_grows_as_it_is_asked_to() -> Result<()> {
    let env = env("claims-sized", "10.32.0.0/29").await?;
    env.claim("web", json!({"size": 3, "pools": ["claims-sized"]}))
        .await?;
    env.collect(&[]).await?;
    let before = env.set("web").await?;
    env.collect(&[]).await?;
    assert_eq!(env.set("web").await?, before);
    assert_eq!(env.leases().await?.len(), 3);

    env.edit_claim("web", json!({"size": 6})).await?;
    env.collect(&[]).await?;
    assert_eq!(env.leases().await?.len(), 6);
    insta::assert_snapshot!(env.set("web").await?, @r"
    10.32.0.1 10.32.0.2 10.32.0.3 10.32.0.4 10.32.0.5 10.32.0.6 / 10.32.0.1 10.32.0.2 10.32.0.3 10.32.0.4 10.32.0.5 10.32.0.6 /
    Confirmed:
    ");

    env.edit_claim("web", json!({"size": 7})).await?;
    env.collect(&[]).await?;
    insta::assert_snapshot!(env.set("web").await?, @r"
    10.32.0.1 10.32.0.2 10.32.0.3 10.32.0.4 10.32.0.5 10.32.0.6 / 10.32.0.1 10.32.0.2 10.32.0.3 10.32.0.4 10.32.0.5 10.32.0.6 /
    PoolFull: its pools have 1 too few: enlarge one or name another
    ");
    for number in 0..6 {
        let (_pod, eth0) = env.claiming(&format!("web-{number}"), "web").await?;
        eth0.add().await?.success()?;
    }
    let (_pod, eth0) = env.claiming("web-6", "web").await?;
    let refused = env.answer(&eth0.add().await?)?;
    let why = "; it is to have 7, and its condition Ready says what keeps it from that; enlarge it or end a pod";
    ensure!(refused.contains(why), "{refused}");
    Ok(())
}

#[tokio::test]
async fn the_address_of_a_plain_pod_is_the_sets_once_that_pod_ends() -> Result<()> {
    let env = env("claims-plain", "10.33.0.0/29").await?;
    let node = env.node.clone();
    let plain = env.attach(&node, "plain").await?;
    let address = plain.address;
    env.claim("web", json!({"addresses": [address.to_string()]}))
        .await?;
    for _ in 0..2 {
        env.collect(&[]).await?;
        let set = env.set("web").await?;
        let expected =
            format!("{address} /  /\nIncomplete: {address} is held by test/plain until that ends");
        assert_eq!(set, expected);
        assert_eq!(env.members("web").await?, format!("{address} Held plain"));
    }
    // A new sandbox of the same pod has it again, and the claim stays.
    plain.pod.report_addresses(&[address]).await?;
    let again = env.attachment(&node, &plain.pod)?;
    let added = again.add().await?.success()?;
    assert_eq!(added.ips()?, [address]);
    assert_eq!(env.members("web").await?, format!("{address} Held plain"));
    again.del().await?.success()?;
    plain.pod.force_delete().await?;
    env.collect(&[]).await?;
    assert_eq!(
        env.set("web").await?,
        format!("{address} / {address} /\nConfirmed: ")
    );
    Ok(())
}

#[tokio::test]
async fn a_claim_gets_no_address_that_its_namespace_may_not_have() -> Result<()> {
    let env = env("claims-barred", "10.34.0.0/24").await?;
    let elsewhere = json!({"ips": ["10.35.0.0/24"], "namespaceName": ["elsewhere"]});
    env.pool_of("claims-elsewhere", "10.35.0.0/24", elsewhere)
        .await?;
    let listed = ["10.34.0.9", "10.35.0.9", "10.36.0.9"];
    env.claim("web", json!({"addresses": listed})).await?;
    env.claim("younger", json!({"addresses": ["10.34.0.9"]}))
        .await?;
    env.collect(&[]).await?;
    insta::assert_snapshot!(env.set("web").await?, @r"
    10.34.0.9 / 10.34.0.9 /
    NotAllowed: pool claims-elsewhere gives 10.35.0.9 to other namespaces, no pool gives 10.36.0.9
    ");
    insta::assert_snapshot!(env.set("younger").await?, @r"
    /  /
    NotAllowed: 10.34.0.9 is in IPClaim test/web already
    ");
    insta::assert_snapshot!(env.members("younger").await?, @"");
    Ok(())
}

#[tokio::test]
async fn what_a_claim_asks_for_no_more_leaves_it_once_no_add_can_be_taking_it() -> Result<()> {
    let env = env("claims-leaving", "10.37.0.0/24").await?;
    env.claim("web", json!({"addresses": ["10.37.0.8", "10.37.0.9"]}))
        .await?;
    env.collect(&[]).await?;
    env.edit_claim("web", json!({"addresses": ["10.37.0.8"]}))
        .await?;
    env.collect(&[]).await?;
    insta::assert_snapshot!(env.set("web").await?, @r"
    10.37.0.8 10.37.0.9 / 10.37.0.8 10.37.0.9 / 10.37.0.9
    Confirmed:
    ");
    let report = env.collect(&[]).await?;
    assert_eq!(report.reason("10.37.0.9"), Some("leaving"), "{report:#?}");

    let gone = async |_: &Report| Ok(env.leases().await?.len() == 1);
    env.collect_until(&["--add-timeout", "0"], "let it go", gone)
        .await?;
    insta::assert_snapshot!(env.set("web").await?, @r"
    10.37.0.8 / 10.37.0.8 /
    Confirmed:
    ");

    // With the claim all of it goes.
    env.delete_claim("web").await?;
    let report = env.collect(&[]).await?;
    assert_eq!(report.reason("10.37.0.8"), Some("young"), "{report:#?}");
    let gone = async |_: &Report| Ok(env.leases().await?.is_empty());
    env.collect_until(&["--add-timeout", "0"], "release its members", gone)
        .await?;
    Ok(())
}
