//! Each version of the specification, through libcni itself: `cnitool` reads our result by the
//! version's rules, and keeps it.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Wired;

/// What of a result depends on the version, with what does not left out.
fn shape(result: &Value) -> Result<String> {
    let keys = |value: &Value| {
        let object = value.as_object().context("an object")?;
        let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
        keys.sort_unstable();
        anyhow::Ok(keys.join(" "))
    };
    let version = result["cniVersion"].as_str().unwrap_or_default();
    let first = result["ips"].get(0).context("an address")?;
    Ok(format!(
        "{version}: {}; ips: {}; dns: {}",
        keys(result)?,
        keys(first)?,
        result["dns"]
    ))
}

#[tokio::test]
async fn each_version_of_cni_is_answered_in_itself() -> Result<()> {
    let wired = Wired::new().await?;
    let mut shapes = Vec::new();
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let name = version.replace('.', "-");
        let direct = wired.attach(&name).await?;
        let direct = direct.set("cniVersion", json!(version));
        let alone = direct.add().await?.success()?;
        shapes.push(format!("alone  {}", shape(&alone.json()?)?));
        direct.del().await?.success()?;

        // Single stack: the kernel takes its time to see that no other host has an IPv6 address.
        let eth0 = direct
            .by_macvlan()
            .ipam("ipFamilyPolicy", json!("SingleStack"));
        let added = eth0.cnitool("add")?.run().await?.success()?;
        shapes.push(format!("behind {}", shape(&added.json()?)?));
        assert_eq!(
            eth0.sandbox().netns().addresses("eth0")?,
            added.addresses()?,
            "{version}"
        );
        // There is no CHECK before 0.4.0, and libcni says so.
        let checked = eth0.cnitool("check")?.run().await?;
        ensure!(checked.succeeded() == (version >= "0.4.0"), "{checked}");
        eth0.cnitool("del")?.run().await?.success()?;
        wired.is_given_back(&eth0).await?;
    }
    insta::assert_snapshot!(shapes.join("\n"), @"
    alone  0.3.0: cniVersion dns ips routes; ips: address gateway version; dns: {}
    behind 0.3.0: cniVersion dns interfaces ips routes; ips: address gateway interface version; dns: {}
    alone  0.3.1: cniVersion dns ips routes; ips: address gateway version; dns: {}
    behind 0.3.1: cniVersion dns interfaces ips routes; ips: address gateway interface version; dns: {}
    alone  0.4.0: cniVersion dns ips routes; ips: address gateway version; dns: {}
    behind 0.4.0: cniVersion dns interfaces ips routes; ips: address gateway interface version; dns: {}
    alone  1.0.0: cniVersion ips routes; ips: address gateway; dns: null
    behind 1.0.0: cniVersion interfaces ips routes; ips: address gateway interface; dns: null
    alone  1.1.0: cniVersion ips routes; ips: address gateway; dns: null
    behind 1.1.0: cniVersion interfaces ips routes; ips: address gateway interface; dns: null
    ");
    Ok(())
}

/// Of the first versions libcni can't read what `cnitool` prints of them, so only the namespace
/// shows it.
#[tokio::test]
async fn the_first_versions_and_none_are_passed_on_by_main_plugins() -> Result<()> {
    let wired = Wired::new().await?;
    for (pod, version) in [
        ("none", json!(null)),
        ("empty", json!("")),
        ("first", json!("0.1.0")),
        ("second", json!("0.2.0")),
    ] {
        let eth0 = wired.attach(pod).await?.set("cniVersion", version);
        let eth0 = eth0
            .by_macvlan()
            .ipam("ipFamilyPolicy", json!("SingleStack"));
        let added = eth0.add().await?.success()?.json()?;
        let netns = eth0.sandbox().netns();
        let addresses = netns.addresses("eth0")?;
        assert_eq!(
            added["ip4"]["ip"],
            json!(addresses[0].to_string()),
            "{pod}: {added}"
        );
        let routes = netns.ip("-4 route show default dev eth0")?;
        assert_eq!(routes.lines().count(), 1, "{pod}: {routes}");
        eth0.remember(None);
        eth0.del().await?.success()?;
        wired.is_given_back(&eth0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn libcnis_gc_gives_back_what_is_not_valid_any_more() -> Result<()> {
    let wired = Wired::new().await?;
    let eth0 = wired.attach("web").await?;
    let eth0 = eth0.by_macvlan().set("name", json!(wired.env.name()));
    eth0.cnitool("add")?.run().await?.success()?;
    eth0.cnitool("status")?.run().await?.success()?;
    assert_eq!(wired.env.held().await?.len(), 2);
    // `cnitool` knows no valid attachment: libcni calls DEL for each that it has a result of.
    eth0.cnitool("gc")?.run().await?.success()?;
    assert_eq!(wired.env.held().await?.len(), 0);
    Ok(())
}
