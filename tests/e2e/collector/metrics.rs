//! The numbers for Prometheus, and what is built on them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::{Tool, Tools, repository};

use super::heartbeats::alive;

/// Runs promtool.
fn promtool(args: &[&str], stdin: Option<&Path>) -> Result<()> {
    let tools = Tools::ready(&[Tool::Promtool])?;
    let mut command = Command::new(tools.path(Tool::Promtool));
    command.args(args);
    if let Some(path) = stdin {
        command.stdin(std::fs::File::open(path)?);
    }
    let out = command.output().context("run promtool")?;
    let output = [out.stdout, out.stderr].concat();
    let output = String::from_utf8_lossy(&output);
    // It complains of what is only unusual too, and then succeeds.
    let fine = out.status.success() && (stdin.is_none() || output.is_empty());
    ensure!(fine, "promtool {}: {output}", args.join(" "));
    Ok(())
}

/// Every word of a text that is the name of a metric of ours, without what a histogram adds to it.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours = words.filter(|word| word.starts_with("leasehold_"));
    let base = |word: &str| {
        let suffix = ["_bucket", "_sum", "_count"]
            .iter()
            .find(|suffix| word.ends_with(*suffix));
        word.strip_suffix(suffix.unwrap_or(&""))
            .unwrap_or(word)
            .to_owned()
    };
    ours.map(base).collect()
}

fn file(name: &str) -> Result<String> {
    let path = repository().join("deploy/monitoring").join(name);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

#[test]
fn the_alert_rules_do_what_their_tests_say() -> Result<()> {
    let rules = repository().join("deploy/monitoring");
    let path = |name: &str| rules.join(name).display().to_string();
    promtool(&["check", "rules", &path("alerts.yaml")], None)?;
    promtool(&["test", "rules", &path("alerts_test.yaml")], None)
}

#[tokio::test]
async fn what_rules_and_dashboard_ask_for_is_what_is_written() -> Result<()> {
    let env = super::run::env("metrics", "10.70.0.0/24").await?;
    let node = env.cluster.fresh_node().create().await?;
    let _heartbeat = alive(&env.cluster, &node).await?;
    let folder = env.cluster.dir().join("metrics");
    std::fs::create_dir_all(&folder)?;
    let pod = env
        .cluster
        .pod(env.name(), "web")
        .on(&node)
        .create()
        .await?;
    let eth0 = env
        .attachment(&node, &pod)?
        .ipam("metricsDir", json!(folder));
    eth0.add().await?.success()?;
    pod.force_delete().await?;
    let of_gc = folder.join("leasehold-gc.prom");
    let args = [
        "--margin",
        "0",
        "--metrics-file",
        of_gc.to_str().context("a path")?,
    ];
    env.collect_all(&args).await?;
    // One that is kept.
    let lost = env.cluster.fresh_node().create().await?;
    env.attach(&lost, "lost").await?.pod.force_delete().await?;
    lost.report_ready("Unknown").await?;
    env.collect(&args).await?;

    let of_plugin = folder.join("leasehold.prom");
    let (gc, plugin) = (
        std::fs::read_to_string(&of_gc)?,
        std::fs::read_to_string(&of_plugin)?,
    );
    for (text, line) in [
        (
            &gc,
            "leasehold_pool_addresses{pool=\"metrics\",vrf=\"\",family=\"IPv4\",state=\"free\"} 253",
        ),
        (
            &gc,
            "leasehold_pool_capacity_addresses{pool=\"metrics\",vrf=\"\",family=\"IPv4\"} 254",
        ),
        (
            &gc,
            "leasehold_leases_reclaimed_total{reason=\"pod_gone\"} 1",
        ),
        (
            &gc,
            "leasehold_pool_kept_leases{pool=\"metrics\",vrf=\"\",family=\"IPv4\",reason=\"unready\"} 1",
        ),
        (&gc, "leasehold_collector_failed_runs_total 0"),
        (
            &plugin,
            "leasehold_calls_total{command=\"ADD\",outcome=\"ok\"} 1",
        ),
        (
            &plugin,
            "leasehold_call_duration_seconds_bucket{command=\"ADD\",le=\"+Inf\"} 1",
        ),
    ] {
        ensure!(
            text.lines().any(|there| there == line),
            "no {line} in\n{text}"
        );
    }
    for path in [&of_gc, &of_plugin] {
        promtool(&["check", "metrics"], Some(path))?;
    }

    let resources: Value = serde_norway::from_str(&file("kube-state-metrics.yaml")?)?;
    let of_pools = &resources["spec"]["resources"][0];
    let from_objects = of_pools["metrics"].as_array().context("metrics")?;
    let status = serde_json::to_value(env.read_pool("metrics").await?.status)?;
    let mut written: BTreeSet<String> = names(&gc).union(&names(&plugin)).cloned().collect();
    for metric in from_objects {
        let field = metric["each"]["gauge"]["path"][1].as_str();
        let field = field.context("a field")?;
        ensure!(!status[field].is_null(), "a pool's status has no {field}");
        let name = metric["name"].as_str().context("a name")?;
        let name = format!("leasehold_pool_{name}");
        // The collector's own count is by reason, and goes on where its file does.
        let same = written.contains(&name) || name == "leasehold_pool_reclaimed_addresses";
        ensure!(same, "{name} is no name that the collector writes");
        written.insert(name);
    }
    let dashboard: Value = serde_json::from_str(&file("grafana-dashboard.json")?)?;
    for (what, text) in [
        ("alerts.yaml", file("alerts.yaml")?),
        ("grafana-dashboard.json", dashboard.to_string()),
    ] {
        let asked = names(&text);
        ensure!(
            !asked.is_empty() && asked.is_subset(&written),
            "{what}: {:?}",
            asked.difference(&written)
        );
    }
    Ok(())
}

/// Prometheus' operator may not be there, and kubectl would refuse what is none of its objects.
#[test]
fn whoever_applies_deploy_applies_no_monitoring() -> Result<()> {
    let path = repository().join("deploy/kustomization.yaml");
    let kustomization: Value = serde_norway::from_str(&std::fs::read_to_string(path)?)?;
    let resources = kustomization["resources"].to_string();
    ensure!(!resources.contains("monitoring"), "{resources}");
    Ok(())
}
