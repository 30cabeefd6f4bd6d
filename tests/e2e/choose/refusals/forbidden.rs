//! A cluster whose administrator has left out a rule of `deploy/rbac.yaml`.

use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use testbed::{Attachment, Cluster, Sandbox, repository};

use crate::PLUGIN;

/// The role that `deploy/rbac.yaml` gives to nodes.
fn role() -> Result<Value> {
    let text = std::fs::read_to_string(repository().join("deploy/rbac.yaml"))?;
    let objects = serde_norway::Deserializer::from_str(&text).map(Value::deserialize);
    let objects: Vec<Value> = objects.collect::<Result<_, _>>()?;
    let of_nodes = |object: &Value| {
        object["kind"] == "ClusterRole" && object["metadata"]["name"] == "leasehold-node"
    };
    objects
        .into_iter()
        .find(of_nodes)
        .context("no role of nodes")
}

/// The role without what lets nodes do this, granted to one node instead of to all.
fn without(verb: &str, resource: &str, user: &str) -> Result<String> {
    let name = format!("without-{verb}-{}", plain(resource));
    let mut role = role()?;
    role["metadata"] = json!({"name": name});
    let rules = role["rules"].as_array_mut().context("no rules")?;
    let holds = |list: &Value, word: &str| {
        list.as_array()
            .is_some_and(|list| list.iter().any(|item| item == word))
    };
    let found = rules
        .iter()
        .position(|rule| holds(&rule["resources"], resource) && holds(&rule["verbs"], verb))
        .with_context(|| format!("no rule to {verb} {resource}"))?;
    let split = rules.remove(found);
    let but = |list: &Value, word: &str| -> Vec<Value> {
        list.as_array()
            .into_iter()
            .flatten()
            .filter(|item| *item != word)
            .cloned()
            .collect()
    };
    let mut others = split.clone();
    others["resources"] = json!(but(&split["resources"], resource));
    let mut rest = split.clone();
    rest["resources"] = json!([resource]);
    rest["verbs"] = json!(but(&split["verbs"], verb));
    let whole = |rule: &Value| rule["resources"] != json!([]) && rule["verbs"] != json!([]);
    rules.extend([others, rest].into_iter().filter(whole));
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    Ok(format!("{role}\n---\n{binding}"))
}

/// A resource in the name of an object.
fn plain(resource: &str) -> String {
    resource.replace("*/", "any-")
}

#[tokio::test]
async fn a_forbidden_request_says_which_rule_is_missing() -> Result<()> {
    let cluster = Cluster::builder().bare().start().await?;
    cluster.apply(&repository().join("crds")).await?;
    let pool = json!({
        "apiVersion": "leasehold.io/v1alpha1",
        "kind": "IPPool",
        "metadata": {"name": "pool"},
        "spec": {"subnet": "10.1.0.0/24", "default": true},
    });
    cluster.apply_yaml(&pool.to_string()).await?;
    let subnet = json!({
        "apiVersion": "leasehold.io/v1alpha1",
        "kind": "Subnet",
        "metadata": {"name": "racks"},
        "spec": {"subnet": "10.2.0.0/24", "ips": ["10.2.0.1-10.2.0.9"]},
    });
    cluster.apply_yaml(&subnet.to_string()).await?;
    let mut calls = Vec::new();
    for (verb, resource) in [
        ("list", "ippools"),
        ("list", "reservedips"),
        ("list", "subnets"),
        ("get", "namespaces"),
        ("create", "ipleases"),
        ("get", "*/scale"),
    ] {
        let node = cluster.fresh_node().create().await?;
        cluster
            .apply_yaml(&without(verb, resource, &node.user())?)
            .await?;
        let mut pod = cluster
            .pod("forbidden", &format!("{verb}-{}", plain(resource)))
            .on(&node);
        if resource == "*/scale" {
            let racks = json!({"ipv4": ["racks"]}).to_string();
            pod = pod
                .of_deployment("get")
                .annotation("ipam.leasehold.io/subnet", &racks);
        }
        let pod = pod.create().await?;
        let eth0 = Attachment::new(PLUGIN.as_ref(), &node, &pod, &Arc::new(Sandbox::new()?))?;
        // Each is doubted for some seconds: a role may be on its way.
        calls.push((verb, resource, eth0.call("ADD")?.spawn()?, eth0));
    }
    for (verb, resource, call, _sandbox) in calls {
        let outcome = call.wait().await?;
        let error = outcome.json()?;
        let rule = format!(
            "apply deploy/rbac.yaml: its rule that nodes may {verb} {resource} is not in force"
        );
        assert_eq!(
            (&error["code"], &error["msg"]),
            (&json!(106), &json!(rule)),
            "{outcome}"
        );
        assert!(outcome.stdout.len() < 1024, "{outcome}");
    }
    Ok(())
}
