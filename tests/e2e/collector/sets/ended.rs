//! A set goes some time after its application.

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, PostParams};
use leasehold::api::Time;
use serde_json::json;
use testbed::proxy::{Do, On, Proxy};

use super::Member::{Fresh, Held, Released};
use super::{AT_ONCE, Application, env};
use crate::collector::run::Report;

/// Whether `OwnerGone` is `True`, or what else; empty: there is no such condition.
async fn owner_gone(application: &Application<'_>) -> Result<String> {
    let condition = application.condition("OwnerGone").await?;
    Ok(condition.map_or_else(String::new, |it| it.status))
}

/// As if the owner had been gone for so long.
async fn gone_for(application: &Application<'_>, minutes: i64) -> Result<()> {
    let mut claim = application.read().await?.context("the claim is gone")?;
    let status = claim.status.as_mut().context("no status")?;
    let gone = status
        .conditions
        .iter_mut()
        .find(|it| it.type_ == "OwnerGone");
    let since = Timestamp::now() - SignedDuration::from_mins(minutes);
    gone.context("no condition")?.last_transition_time = Time(since);
    let claims = application.env.claims().await?;
    let name = application.claim_name();
    claims
        .replace_status(&name, &PostParams::default(), &claim)
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_set_goes_some_time_after_its_application() -> Result<()> {
    let env = env("sets-ended", "10.60.4.0/24").await?;
    let web = Application::deployment(&env, "web", 2)
        .await?
        .at([10, 60, 4]);
    web.with(&[(1, Released("web-a", 1)), (2, Fresh)]).await?;
    for _ in 0..2 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(owner_gone(&web).await?.is_empty(), "it exists");

    web.delete().await?;
    env.collect(&[]).await?;
    let condition = web.condition("OwnerGone").await?.context("no condition")?;
    insta::assert_snapshot!(
        format!("{} {}: {}", condition.status, condition.reason, condition.message),
        @"True NotFound: Deployment web does not exist; the set goes some time after it, once no pod has an address of it"
    );
    env.collect(&[]).await?;
    let still = web.condition("OwnerGone").await?.context("no condition")?;
    ensure!(still == condition, "{still:#?}");

    // Made again, it has its set.
    web.create(2).await?;
    env.collect(&[]).await?;
    ensure!(
        owner_gone(&web).await? == "False",
        "{:?}",
        owner_gone(&web).await?
    );
    ensure!(web.lists().await? == "1 2 /", "{}", web.lists().await?);

    // A time that is over counts from when it was gone last.
    web.delete().await?;
    env.collect(&["--claim-grace", "1h"]).await?;
    gone_for(&web, 59).await?;
    env.collect(&["--claim-grace", "1h"]).await?;
    ensure!(
        owner_gone(&web).await? == "True",
        "{:?}",
        owner_gone(&web).await?
    );
    gone_for(&web, 61).await?;
    let report = env.collect(&["--claim-grace", "1h"]).await?;
    ensure!(web.read().await?.is_none(), "{report:#?}");
    let deleted = report.events("claimDeleted");
    ensure!(
        deleted.len() == 1 && deleted[0]["owner"] == "Deployment web",
        "{report:#?}"
    );
    ensure!(report.summary["claimsDeleted"] == 1, "{report:#?}");

    // Its members go once no ADD can be at work on them.
    let report = env.collect(&[]).await?;
    let address = web.address(1).to_string();
    ensure!(report.reason(&address) == Some("young"), "{report:#?}");
    let is_over = async |_: &Report| Ok(web.leases().await?.is_empty());
    let report = env
        .collect_until(AT_ONCE, "release the members", is_over)
        .await?;
    ensure!(report.reason(&address) == Some("claim_gone"), "{report:#?}");
    Ok(())
}

#[tokio::test]
async fn a_set_stays_while_a_pod_has_an_address_of_it_or_its_claim_says_so() -> Result<()> {
    let env = env("sets-stay", "10.60.5.0/24").await?;
    let mut keeps =
        Application::absent(&env, ("apps", "v1", "Deployment"), "keeps").at([10, 60, 5]);
    keeps.set.reclaim = false;
    let held = Application::absent(&env, ("apps", "v1", "DaemonSet"), "held").at([10, 60, 5]);
    let pod = held.pod("held-x", "2").create().await?;
    keeps.with(&[(1, Fresh)]).await?;
    held.with(&[(2, Held(pod.clone())), (3, Fresh)]).await?;
    for _ in 0..3 {
        env.collect(AT_ONCE).await?;
    }
    for application in [&keeps, &held] {
        ensure!(
            owner_gone(application).await? == "True",
            "{}",
            application.name
        );
    }
    ensure!(held.lists().await? == "2 3 /", "{}", held.lists().await?);
    let condition = keeps
        .condition("OwnerGone")
        .await?
        .context("no condition")?;
    ensure!(
        condition
            .message
            .ends_with("the set stays, because spec.reclaim is false"),
        "{condition:?}"
    );

    pod.force_delete().await?;
    let is_gone = async |_: &Report| Ok(held.read().await?.is_none());
    let args = [AT_ONCE, &["--release-unreachable"]].concat();
    env.collect_until(&args, "delete the claim", is_gone)
        .await?;
    ensure!(keeps.lists().await? == "1 /", "{}", keeps.lists().await?);
    held.end().await?;
    keeps.end().await
}

#[tokio::test]
async fn a_set_stays_whose_application_can_not_be_read() -> Result<()> {
    let env = env("sets-unknown", "10.60.6.0/24").await?;
    env.namespace(env.name(), json!({})).await?;
    let plural = "parrots.sets.example.com";
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let scale =
        json!({"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": plural},
        "spec": {
            "group": "sets.example.com", "scope": "Namespaced",
            "names": {"plural": "parrots", "singular": "parrot", "kind": "Parrot", "listKind": "ParrotList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"scale": scale, "status": {}}}],
        },
    });
    env.cluster.create_yaml(&definition.to_string()).await?;
    let parrot =
        Application::absent(&env, ("sets.example.com", "v1", "Parrot"), "polly").at([10, 60, 6]);
    let forged =
        Application::absent(&env, ("apps", "v1", "Deployment"), "../pods/x").at([10, 60, 6]);
    let web = Application::absent(&env, ("apps", "v1", "Deployment"), "web").at([10, 60, 6]);
    let job = Application::absent(&env, ("batch", "v1", "CronJob"), "nightly").at([10, 60, 6]);
    parrot.with(&[(1, Fresh), (2, Fresh)]).await?;
    // CEL has no word on what a name may be.
    let mut claim = forged.set.claim("maker");
    claim.metadata.name = Some(format!("x-{:032x}", 7));
    env.claims()
        .await?
        .create(&PostParams::default(), &claim)
        .await?;

    // A kind without objects is known; of one of them replicas too, through its scale.
    parrot.create(1).await?;
    let pod = parrot.pod("polly-x", "+0").create().await?;
    parrot.collect_until("2 /").await?;
    pod.force_delete().await?;

    // Without the rights nothing is known.
    web.with(&[(4, Fresh)]).await?;
    job.with(&[(5, Fresh)]).await?;
    let proxy = Proxy::start(&env.cluster.url(0), &env.cluster.ca_pem())?;
    let server = (proxy.url_for("collector"), proxy.ca_pem());
    let denial = proxy.rule(On::any().of("deployments/scale"), Do::answer(403));
    let call = env.collector(AT_ONCE, Some((&server.0, server.1))).await?;
    let outcome = call.run().await?.success()?;
    ensure!(
        outcome
            .stdout
            .contains("because Deployment sets-unknown/web of group apps could not be read"),
        "{outcome}"
    );
    ensure!(owner_gone(&web).await?.is_empty(), "{outcome}");
    denial.remove();

    // With its kind, an object is not known to be gone.
    let definitions: kube::Api<CustomResourceDefinition> = env.api().await?;
    definitions.delete(plural, &DeleteParams::default()).await?;
    let is_gone = async |report: &Report| {
        let problems = report.events("problem");
        Ok(problems.iter().any(|it| {
            it["message"]
                .as_str()
                .is_some_and(|text| text.contains("no such kind") && text.contains("Parrot"))
        }))
    };
    env.collect_until(&[], "miss the kind", is_gone).await?;
    for _ in 0..2 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(parrot.read().await?.is_some(), "its kind is gone");
    ensure!(
        env.claims()
            .await?
            .get_opt(&format!("x-{:032x}", 7))
            .await?
            .is_some(),
        "its owner has no name"
    );
    // What does not exist is known by then.
    ensure!(web.read().await?.is_none(), "it has not gone");
    ensure!(job.read().await?.is_none(), "it has not gone");
    env.delete_claim(&format!("x-{:032x}", 7)).await?;
    for application in [parrot, web, job] {
        application.end().await?;
    }
    Ok(())
}
