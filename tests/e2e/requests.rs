//! What a call costs the API server, by the server's own account. No other pod competes for
//! anything here.

use std::fs;

use anyhow::Result;
use serde_json::json;
use testbed::{Attachment, Mark, Outcome};

use crate::env::{Isolation, TestEnv, with};

/// A pod's interface on an environment of its own, and the requests of its node.
struct Counted {
    env: TestEnv,
    eth0: Attachment,
    mark: Mark,
}

impl Counted {
    /// On a pool of each of these families.
    async fn new(families: &[&str]) -> Result<Self> {
        Self::on(Isolation::subnets(), families).await
    }

    async fn on(isolation: Isolation, families: &[&str]) -> Result<Self> {
        let env = isolation.start().await?;
        let pod = env.pod("web").create().await?;
        let mut eth0 = env.eth0(&pod)?;
        for (family, spec) in [
            ("ipv4Pools", env.v4(1..=200)),
            ("ipv6Pools", env.v6(1..=200)),
        ] {
            let named = if families.contains(&family) {
                json!([env.pool(&family.to_lowercase(), spec).await?])
            } else {
                json!(null)
            };
            eth0 = eth0.ipam(family, named);
        }
        let mark = env.cluster.mark().await?;
        Ok(Self { env, eth0, mark })
    }

    /// The requests since the last count, in the order of the alphabet; what was asked of leases
    /// last.
    async fn cost(&mut self, outcome: Outcome) -> Result<Vec<String>> {
        outcome.success()?;
        let requests = self.env.cluster.requests_since(&self.mark).await?;
        self.mark = self.env.cluster.mark().await?;
        let user = self.env.node.user();
        let mut lines: Vec<String> = requests
            .iter()
            .filter(|request| request.user() == user)
            .map(|request| {
                let query = request.uri.split_once('?').map_or("", |(_, query)| query);
                let at = if query.contains("resourceVersion=0") {
                    " (cached)"
                } else {
                    ""
                };
                format!(
                    "{} {}{at} {}",
                    request.verb,
                    request.resource(),
                    request.code()
                )
            })
            .collect();
        lines.sort_by_key(|line| (line.contains("ipleases"), line.clone()));
        Ok(lines)
    }

    /// Takes the node's note of the container away.
    fn forget(&self) -> Result<()> {
        let folder = leasehold::plugin::RELEASE_CACHE;
        fs::remove_file(format!("{folder}/{}.eth0", self.eth0.container_id()))?;
        Ok(())
    }
}

#[tokio::test]
async fn an_add_is_six_requests_and_lists_no_leases() -> Result<()> {
    let mut call = Counted::new(&["ipv4Pools"]).await?;
    let added = call.eth0.add().await?;
    let cost = call.cost(added).await?;
    assert!(cost.len() <= 6, "{cost:#?}");
    insta::assert_snapshot!(cost.join("\n"), @"
    get namespaces (cached) 200
    get pods 200
    list ippools (cached) 200
    list reservedips (cached) 200
    list subnets (cached) 200
    create ipleases 201
    ");

    // The same again finds its lease where it would look first.
    let added = call.eth0.add().await?;
    let cost = call.cost(added).await?;
    insta::assert_snapshot!(cost[5..].join("\n"), @"
    create ipleases 409
    get ipleases 200
    ");
    Ok(())
}

/// The namespace, and which pools are default ones, may have been edited a moment ago: nothing else
/// decides.
#[tokio::test]
async fn an_add_of_a_pod_for_which_nothing_names_a_pool_reads_no_cache() -> Result<()> {
    let mut call = Counted::on(Isolation::vrf("defaults"), &[]).await?;
    let spec = with(call.env.v4(1..=200), &json!({"default": true}));
    call.env.pool("default", spec).await?;
    call.mark = call.env.cluster.mark().await?;
    let added = call.eth0.add().await?;
    let cost = call.cost(added).await?;
    insta::assert_snapshot!(cost.join("\n"), @"
    get namespaces 200
    get pods 200
    list ippools 200
    list reservedips 200
    list subnets 200
    create ipleases 201
    ");
    Ok(())
}

/// The configuration names pools of the other family: that the default pools count is known only
/// after the first reads.
#[tokio::test]
async fn default_pools_for_one_family_are_read_again() -> Result<()> {
    let mut call = Counted::on(Isolation::vrf("half-named"), &["ipv4Pools"]).await?;
    let spec = with(call.env.v6(1..=200), &json!({"default": true}));
    call.env.pool("default", spec).await?;
    call.mark = call.env.cluster.mark().await?;
    let added = call.eth0.add().await?;
    let cost = call.cost(added).await?;
    insta::assert_snapshot!(cost.join("\n"), @"
    get namespaces (cached) 200
    get namespaces 200
    get pods 200
    list ippools (cached) 200
    list ippools 200
    list reservedips (cached) 200
    list reservedips 200
    list subnets (cached) 200
    list subnets 200
    create ipleases 201
    create ipleases 201
    ");
    Ok(())
}

#[tokio::test]
async fn each_further_family_is_one_more() -> Result<()> {
    let mut call = Counted::new(&["ipv4Pools", "ipv6Pools"]).await?;
    let added = call.eth0.add().await?;
    let cost = call.cost(added).await?;
    assert!(cost.len() <= 7, "{cost:#?}");
    insta::assert_snapshot!(cost[5..].join("\n"), @"
    create ipleases 201
    create ipleases 201
    ");
    Ok(())
}

#[tokio::test]
async fn labels_of_the_node_are_one_more_where_a_pool_looks_at_them() -> Result<()> {
    let mut call = Counted::new(&["ipv4Pools"]).await?;
    let labeled = json!({"nodeAffinity": {"matchExpressions": [{"key": "no", "operator": "DoesNotExist"}]}, "vrf": "requests"});
    let spec = with(call.env.v4(1..=200), &labeled);
    let pool = call.env.pool("labeled", spec).await?;
    let eth0 = call
        .env
        .eth0_on(&call.env.pod("other").create().await?, &pool)?;
    call.eth0 = eth0.ipam("vrf", json!("requests"));
    call.mark = call.env.cluster.mark().await?;
    let added = call.eth0.add().await?;
    let cost = call.cost(added).await?;
    assert_eq!(cost.len(), 7, "{cost:#?}");
    assert!(
        cost.contains(&"get nodes (cached) 200".to_owned()),
        "{cost:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_new_sandbox_of_a_pod_is_two_more_one_of_them_a_list() -> Result<()> {
    let mut call = Counted::new(&["ipv4Pools"]).await?;
    let pod = call.env.pod("rebooted").create().await?;
    let pool = call.eth0.config()["ipam"]["ipv4Pools"][0].clone();
    let pool = pool.as_str().unwrap_or_default();
    let old = call.env.eth0_on(&pod, pool)?;
    old.add().await?.success()?;
    pod.report_addresses(&old.ips()?).await?;
    call.mark = call.env.cluster.mark().await?;
    let added = call.env.eth0_on(&pod, pool)?.add().await?;
    let cost = call.cost(added).await?;
    insta::assert_snapshot!(cost[5..].join("\n"), @"
    get ipleases 200
    list ipleases 200
    update ipleases 200
    ");
    Ok(())
}

#[tokio::test]
async fn a_sticky_pods_return_is_one_more_and_its_first_start_a_read_and_a_list() -> Result<()> {
    let mut call = Counted::new(&["ipv4Pools", "ipv6Pools"]).await?;
    let pools = ["ipv4Pools", "ipv6Pools"].map(|key| call.eth0.config()["ipam"][key].clone());
    let sticky = async |env: &TestEnv| -> Result<_> {
        let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "u", "controller": true});
        let pod = env.pod("web-0").owner(owner).create().await?;
        let eth0 = env.eth0(&pod)?.ipam("ipv4Pools", pools[0].clone());
        Ok((pod, eth0.ipam("ipv6Pools", pools[1].clone())))
    };
    let (pod, eth0) = sticky(&call.env).await?;
    call.mark = call.env.cluster.mark().await?;
    let added = eth0.add().await?;
    let cost = call.cost(added).await?;
    insta::assert_snapshot!(cost[5..].join("\n"), @"
    create ipleases 201
    create ipleases 201
    get ipleases (cached) 404
    get ipleases (cached) 404
    list ipleases 200
    ");

    eth0.del().await?.success()?;
    pod.force_delete().await?;
    let (_pod, eth0) = sticky(&call.env).await?;
    call.mark = call.env.cluster.mark().await?;
    let added = eth0.add().await?;
    let cost = call.cost(added).await?;
    insta::assert_snapshot!(cost[5..].join("\n"), @"
    get ipleases (cached) 200
    get ipleases (cached) 200
    update ipleases 200
    update ipleases 200
    ");
    Ok(())
}

#[tokio::test]
async fn a_del_is_two_requests_and_nothing_when_it_is_repeated() -> Result<()> {
    let mut call = Counted::new(&["ipv4Pools"]).await?;
    let added = call.eth0.add().await?;
    let result = call.eth0.result();
    call.cost(added).await?;

    let deleted = call.eth0.del().await?;
    insta::assert_snapshot!(call.cost(deleted).await?.join("\n"), @"
    get ipleases 200
    update ipleases 200
    ");
    // As runtimes do, ten seconds later and without a result.
    let deleted = call.eth0.del().await?;
    assert_eq!(call.cost(deleted).await?, [""; 0]);
    // Without the note it costs a list, or where the runtime knows the address a read.
    call.forget()?;
    let deleted = call.eth0.del().await?;
    insta::assert_snapshot!(call.cost(deleted).await?.join("\n"), @"list ipleases 200");
    call.eth0.remember(result);
    let deleted = call.eth0.del().await?;
    insta::assert_snapshot!(call.cost(deleted).await?.join("\n"), @"get ipleases 200");
    Ok(())
}

#[tokio::test]
async fn a_check_is_a_read_of_each_address_and_a_gc_one_list() -> Result<()> {
    let mut call = Counted::new(&["ipv4Pools", "ipv6Pools"]).await?;
    let added = call.eth0.add().await?;
    call.cost(added).await?;
    let checked = call.eth0.check().await?;
    insta::assert_snapshot!(call.cost(checked).await?.join("\n"), @"
    get ipleases 200
    get ipleases 200
    ");

    let known = json!([{"containerID": call.eth0.container_id(), "ifname": "eth0"}]);
    let config = with(
        call.eth0.config().clone(),
        &json!({"cni.dev/valid-attachments": known}),
    );
    let swept = call
        .eth0
        .call("GC")?
        .stdin(config.to_string())
        .run()
        .await?;
    insta::assert_snapshot!(call.cost(swept).await?.join("\n"), @"
    create selfsubjectreviews 201
    list ipleases 200
    ");
    Ok(())
}
