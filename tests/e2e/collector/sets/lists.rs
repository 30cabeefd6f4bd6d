//! What the collector makes of lists: one that is lost, members that lost their leases, and leases
//! that no list names.

use anyhow::{Result, ensure};
use kube::api::DeleteParams;
use leasehold::api::{IPLease, State, Subnet};
use serde_json::json;

use super::Member::{Fresh, Held, Released};
use super::{AT_ONCE, Application, env};
use crate::collector::run::Report;

#[tokio::test]
async fn a_list_that_is_lost_is_made_of_the_leases_that_name_the_claim() -> Result<()> {
    let env = env("sets-lost", "10.60.7.0/24").await?;
    let web = Application::deployment(&env, "web", 3)
        .await?
        .at([10, 60, 7]);
    web.claim(&[]).await?;
    let pod = web.pod("web-x", "").create().await?;
    web.member(1, &Held(pod.clone())).await?;
    web.member(2, &Fresh).await?;
    web.member(3, &Released("web-a", 9)).await?;
    let report = env.collect(AT_ONCE).await?;
    ensure!(web.lists().await? == "1 2 3 /", "{report:#?}");
    for _ in 0..3 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(web.leases().await? == "1 2 3", "{}", web.leases().await?);
    pod.force_delete().await?;
    web.end().await
}

#[tokio::test]
async fn what_a_maker_makes_is_its_own_until_no_add_can_be_at_work() -> Result<()> {
    let env = env("sets-making", "10.60.8.0/24").await?;
    let web = Application::deployment(&env, "web", 3)
        .await?
        .at([10, 60, 8]);
    web.claim(&[]).await?;
    web.member(1, &Fresh).await?;
    web.member(2, &Fresh).await?;
    for _ in 0..3 {
        let report = env.collect(&[]).await?;
        let reason = report
            .reason(&web.address(1).to_string())
            .map(str::to_owned);
        ensure!(reason.as_deref() == Some("young"), "{report:#?}");
    }
    ensure!(web.lists().await? == "/", "{}", web.lists().await?);
    let ready = web.condition("Ready").await?;
    ensure!(
        ready.is_some_and(|it| it.reason == "Incomplete"),
        "no pod's call has made it"
    );

    // Its maker has died: what it has made is the set's.
    web.collect_until("1 2 /").await?;
    for _ in 0..2 {
        env.collect(AT_ONCE).await?;
    }
    ensure!(web.leases().await? == "1 2", "{}", web.leases().await?);

    // One that dies while the set grows leaves what no list names.
    web.member(3, &Fresh).await?;
    let report = env.collect(&[]).await?;
    let address = web.address(3).to_string();
    ensure!(report.reason(&address) == Some("young"), "{report:#?}");
    let is_over = async |_: &Report| Ok(web.leases().await? == "1 2");
    let report = env.collect_until(AT_ONCE, "release it", is_over).await?;
    ensure!(
        report.reason(&address) == Some("claim_omits"),
        "{report:#?}"
    );
    web.end().await
}

#[tokio::test]
async fn a_member_that_another_pod_has_is_lost_to_the_set() -> Result<()> {
    let env = env("sets-taken", "10.60.9.0/24").await?;
    let web = Application::deployment(&env, "web", 2)
        .await?
        .at([10, 60, 9]);
    let (own, other) = (web.pod("web-x", ""), env.pod("other"));
    let (own, other) = (own.create().await?, other.create().await?);
    web.with(&[(1, Fresh)]).await?;
    let mut claim = web.read().await?.expect("it was made");
    let status = claim.status.as_mut().expect("it has a list");
    status
        .addresses
        .extend([2, 3].map(|number| web.address(number).to_string()));
    let (claims, name) = (env.claims().await?, web.claim_name());
    claims
        .replace_status(&name, &kube::api::PostParams::default(), &claim)
        .await?;
    for (number, pod) in [(2, &own), (3, &other)] {
        let holder = json!({
            "namespace": env.name(), "pod": pod.name(), "uid": pod.uid(), "node": env.node.name(),
            "container": "c", "interface": "eth0", "network": "net",
        });
        let address = web.address(number).to_string();
        env.write_lease(&address, json!({"state": "Held", "holder": holder}))
            .await?;
    }
    env.collect(&[]).await?;
    ensure!(web.lists().await? == "1 2 /", "{}", web.lists().await?);
    ensure!(web.leases().await? == "1 2", "{}", web.leases().await?);
    ensure!(
        env.is_held(web.address(3).into()).await?,
        "the other pod keeps it"
    );
    for pod in [own, other] {
        pod.force_delete().await?;
    }
    let is_over = async |_: &Report| Ok(!env.is_held(web.address(3).into()).await?);
    let args = [AT_ONCE, &["--release-unreachable"]].concat();
    env.collect_until(&args, "release it", is_over).await?;
    web.end().await
}

#[tokio::test]
async fn a_members_lease_that_was_deleted_comes_back_as_the_sets() -> Result<()> {
    let env = env("sets-deleted", "10.60.10.0/24").await?;
    let web = Application::deployment(&env, "web", 2)
        .await?
        .at([10, 60, 10]);
    let (own, other) = (web.pod("web-x", ""), env.pod("other"));
    let (own, other) = (own.create().await?, other.create().await?);
    web.with(&[(1, Fresh), (2, Fresh), (3, Fresh)]).await?;
    let delete = DeleteParams::default();
    for (number, pod) in [(2, &own), (3, &other), (9, &own)] {
        pod.report_addresses(&[web.address(number).into()]).await?;
        if number < 9 {
            let leases = env.api::<IPLease>().await?;
            let name = web.address(number).to_string();
            leases.delete(&name, &delete).await?;
        }
        let report = env.collect(&[]).await?;
        let about = report.about(&web.address(number).to_string());
        let event = about.map(|(event, _)| event);
        // What no set lists is not known to be of this cluster.
        let expected = (number < 9).then_some("recreated");
        ensure!(event.as_deref() == expected, "{number}: {report:#?}");
    }
    let pool = format!("subnet/{}", env.name());
    for (number, claim) in [(2, Some(web.set.reference())), (3, None)] {
        let lease = env.lease(web.address(number).into()).await?;
        let spec = lease.map(|lease| lease.spec).unwrap_or_default();
        ensure!(spec.claim == claim && spec.pool == pool, "{spec:#?}");
        ensure!(spec.state == State::Held, "{spec:#?}");
    }
    // What a pod of another application has is lost to the set.
    env.collect(&[]).await?;
    ensure!(web.lists().await? == "1 2 /", "{}", web.lists().await?);
    for pod in [own, other] {
        pod.force_delete().await?;
    }
    web.end().await
}

#[tokio::test]
async fn a_subnet_has_the_status_of_a_pool() -> Result<()> {
    let env = env("sets-counted", "10.60.11.0/29").await?;
    let web = Application::deployment(&env, "web", 2)
        .await?
        .at([10, 60, 11]);
    let pod = web.pod("web-x", "").create().await?;
    web.with(&[(1, Fresh), (2, Held(pod.clone()))]).await?;
    env.reserve("one", json!(["10.60.11.6"])).await?;
    let metrics = env.cluster.dir().join("sets-counted.prom");
    let file = metrics.to_string_lossy().into_owned();
    env.collect(&["--metrics-file", &file]).await?;
    let subnets = env.api::<Subnet>().await?;
    let subnet = subnets.get(env.name()).await?;
    let status = subnet.status.unwrap_or_default();
    let counts = [
        status.capacity,
        status.held,
        status.retained,
        status.cooling,
        status.free,
    ];
    ensure!(counts == [5, 1, 1, 0, 3], "{status:#?}");
    ensure!(
        status.observed_generation == subnet.metadata.generation,
        "{status:#?}"
    );
    let exhausted = status.conditions.iter().find(|it| it.type_ == "Exhausted");
    ensure!(
        exhausted.is_some_and(|it| it.status == "False"),
        "{status:#?}"
    );
    let text = std::fs::read_to_string(&metrics)?;
    let line = r#"leasehold_pool_addresses{pool="subnet/sets-counted",vrf="",family="IPv4",state="free"} 3"#;
    ensure!(text.lines().any(|it| it == line), "{text}");

    for number in 3..6 {
        web.member(number, &Released("web-a", 1)).await?;
    }
    env.collect(&[]).await?;
    let status = subnets.get(env.name()).await?.status.unwrap_or_default();
    let exhausted = status.conditions.iter().find(|it| it.type_ == "Exhausted");
    ensure!(
        exhausted.is_some_and(|it| it.status == "True"),
        "{status:#?}"
    );
    pod.force_delete().await?;
    web.end().await
}
