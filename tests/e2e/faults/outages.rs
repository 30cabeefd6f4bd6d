//! An API server that can't be reached, or whose answers are of no use: the plugin answers in time,
//! and says what failed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::proxy::{Answer, By, Certificate, Do, On, Rule};
use testbed::{Attachment, Outcome, Pod};
use tokio::task::JoinSet;

use super::{INVALID_CONFIG, TRY_AGAIN_LATER};
use crate::env::{Isolation, TestEnv, in_time};

const LEASES: &str = "/apis/leasehold.io/v1alpha1/ipleases";

/// What every request of a caller meets, and what the message has of it.
fn faults() -> Vec<(&'static str, Do, &'static str)> {
    vec![
        (
            "429",
            Do::answer(429).retry_after(1).into(),
            "429 Too Many Requests: storage is (re)initializing",
        ),
        (
            "429-plain",
            Answer::overloaded().into(),
            "429 Too Many Requests: Too many requests, please try again later.",
        ),
        (
            "503",
            Do::answer(503).into(),
            "503 Service Unavailable: the server is currently unable to handle the request",
        ),
        (
            "500",
            Do::answer(500).into(),
            "500 Internal Server Error: Internal error occurred: etcdserver: leader changed",
        ),
        (
            "504",
            Do::answer(504).into(),
            "504 Gateway Timeout: Timeout: request did not complete within the allotted timeout",
        ),
        (
            "502-page",
            Do::answer(502).plain("<html>Bad\nGateway</html>").into(),
            "502 Bad Gateway: <html>Bad Gateway</html>",
        ),
        ("hang", Do::LoseRequest(By::Silence), "no answer within"),
        ("reset", Do::LoseReply(By::Reset), "reset"),
        ("half", Do::LoseHalf(By::Reset), "reset"),
        ("closed", Do::LoseRequest(By::Close), "clos"),
        (
            "not-json",
            Do::answer(200).plain("hello").into(),
            "expected value at line 1 column 1",
        ),
    ]
}

/// What an error says when the request at the end of `path` failed in this way.
fn says(outcome: &Outcome, env: &TestEnv, caller: &str, path: &str, what: &str) -> Result<()> {
    let json = outcome.json()?;
    let message = format!(
        "{}; {}",
        json["msg"].as_str().unwrap_or_default(),
        json["details"].as_str().unwrap_or_default()
    );
    let request = format!("{}{path}", env.proxy().url_for(caller));
    ensure!(
        message.contains(&request) && message.contains(what),
        "it should name {request} and {what:?}: {message}"
    );
    Ok(())
}

#[tokio::test]
async fn an_add_under_a_constant_fault_ends_in_time_and_names_what_failed() -> Result<()> {
    let env = Isolation::vrf("outage").proxy().start().await?;
    env.default_pool(20).await?;
    let mut adds = JoinSet::new();
    for (caller, fault, what) in faults() {
        let rule = env.proxy().rule(On::any().caller(caller), fault);
        let pod = env.pod(caller).create().await?;
        let eth0 = env.eth0_via(caller, &pod)?.ipam("timeoutSeconds", json!(3));
        adds.spawn(async move {
            let outcome = eth0.add().await;
            (caller, what, rule, pod, eth0, outcome)
        });
    }
    for (caller, what, rule, pod, eth0, outcome) in adds.join_all().await {
        let outcome = outcome?;
        ensure!(
            outcome.error_code() == TRY_AGAIN_LATER,
            "{caller}: {outcome}"
        );
        let path = format!("/api/v1/namespaces/outage/pods/{caller}");
        says(&outcome, &env, caller, &path, what).context(caller)?;
        in_time(&outcome, 3)?;
        over(&env, &pod, &eth0, &rule).await.context(caller)?;
    }
    Ok(())
}

/// The fault is over: what the failed ADD may have left is released, and the next one succeeds.
async fn over(env: &TestEnv, pod: &Pod, failed: &Attachment, rule: &Rule) -> Result<()> {
    rule.remove();
    let eth0 = env
        .eth0_via("afterwards", pod)?
        .in_sandbox(failed.sandbox());
    eth0.del().await?.success()?;
    env.holds_nothing().await?;
    eth0.add().await?.success()?;
    eth0.del().await?.success()?;
    env.holds_nothing().await
}

/// The worst of it: the lease is made, and its client does not learn of it.
#[tokio::test]
async fn an_add_whose_writes_are_never_answered_names_the_lease_whose_fate_is_unknown() -> Result<()>
{
    let env = Isolation::vrf("unanswered").proxy().start().await?;
    env.default_pool(1).await?;
    for (caller, fault) in [
        ("reset", Do::LoseReply(By::Reset)),
        ("hang", Do::LoseReply(By::Silence)),
        ("half", Do::LoseHalf(By::Reset)),
        ("503", Do::AnswerInstead(Do::answer(503))),
    ] {
        let rule = env.proxy().rule(On::writes().caller(caller), fault);
        let pod = env.pod(caller).create().await?;
        let eth0 = env.eth0_via(caller, &pod)?.ipam("timeoutSeconds", json!(3));
        let outcome = eth0.add().await?;
        ensure!(
            outcome.error_code() == TRY_AGAIN_LATER,
            "{caller}: {outcome}"
        );
        says(
            &outcome,
            &env,
            caller,
            LEASES,
            "lease unanswered.10.0.0.1 may have been written",
        )
        .context(caller)?;
        in_time(&outcome, 3)?;
        ensure!(env.held().await?.len() == 1, "{caller}: nothing was made");
        over(&env, &pod, &eth0, &rule).await.context(caller)?;
    }
    Ok(())
}

/// A pod must be able to terminate, whatever the API server does.
#[tokio::test]
async fn a_del_under_a_constant_fault_succeeds_in_thirty_seconds_and_reports_what_is_left()
-> Result<()> {
    let env = Isolation::vrf("outage-del").proxy().start().await?;
    env.default_pool(20).await?;
    let mut dels = JoinSet::new();
    let mut rules = Vec::new();
    for (caller, fault, what) in faults() {
        let pod = env.pod(caller).create().await?;
        let eth0 = env.eth0_via(caller, &pod)?;
        eth0.add().await?.success()?;
        rules.push(env.proxy().rule(On::any().caller(caller), fault));
        dels.spawn(async move {
            let kept = eth0.result();
            let outcome = eth0.del().await;
            eth0.remember(kept);
            (caller, what, eth0, outcome)
        });
    }
    let outcomes = dels.join_all().await;
    for rule in rules {
        rule.remove();
    }
    for (caller, what, eth0, outcome) in outcomes {
        let outcome = outcome?.success()?;
        let left = format!("{}{LEASES}/outage-del.", env.proxy().url_for(caller));
        let named =
            outcome.stderr.contains("the collector will do it") && outcome.stderr.contains(&left);
        // What is said of a part of an answer depends on where it was cut.
        ensure!(
            named && outcome.stderr.contains(what),
            "{caller} should name {left} and {what:?}: {outcome}"
        );
        in_time(&outcome, 30)?;
        eth0.del().await?.success()?;
    }
    env.holds_nothing().await
}

/// As when many nodes come back at once: the time for an ADD is longer than that.
#[tokio::test]
async fn an_add_waits_through_twenty_seconds_of_429_as_they_ask() -> Result<()> {
    let env = Isolation::vrf("busy").proxy().start().await?;
    env.default_pool(20).await?;
    let pod = env.pod("patient").create().await?;
    let first_seven = On::get("pods").caller("patient").first(7);
    env.proxy()
        .rule(first_seven, Do::answer(429).retry_after(3));
    let eth0 = env
        .eth0_via("patient", &pod)?
        .ipam("timeoutSeconds", Value::Null);
    let outcome = eth0.add().await?.success()?;
    ensure!(outcome.elapsed > Duration::from_secs(20), "{outcome}");
    // One every three seconds, and no more than jitter can lengthen that.
    in_time(&outcome, 7 * 4)?;
    env.holds_only(&eth0).await
}

/// A first request that fails must not fail the call, whatever it is.
#[tokio::test]
async fn an_add_gets_over_one_fault_at_each_request() -> Result<()> {
    let env = Isolation::vrf("hiccup").proxy().start().await?;
    env.default_pool(20).await?;
    for k in 1..=6 {
        let caller = format!("hiccup-{k}");
        let rules = [
            env.proxy()
                .rule(On::any().caller(&caller).nth(k), Do::answer(503)),
            env.proxy().rule(
                On::any().caller(&caller).nth(k + 1),
                Do::LoseHalf(By::Reset),
            ),
        ];
        let pod = env.pod(&caller).create().await?;
        let eth0 = env.eth0_via(&caller, &pod)?;
        eth0.add().await?.success().context(caller)?;
        ensure!(rules[0].acted() == 1, "there are fewer than {k} requests");
        env.holds_only(&eth0).await?;
        eth0.del().await?.success()?;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_not_there_or_not_the_one_is_reported_as_such() -> Result<()> {
    let env = Isolation::vrf("unknown").proxy().start().await?;
    env.default_pool(20).await?;
    let pod = env.pod("pod").create().await?;
    let eth0 = env
        .eth0_via("caller", &pod)?
        .ipam("timeoutSeconds", json!(1));
    let expect = async |code: Option<u64>, what: &str| {
        let outcome = eth0.add().await?;
        ensure!(outcome.error_code() == code, "{outcome}");
        says(
            &outcome,
            &env,
            "caller",
            "/api/v1/namespaces/unknown/pods/pod",
            what,
        )
    };
    env.proxy().refuse().await;
    expect(TRY_AGAIN_LATER, "refused").await?;
    env.proxy().resume().await;
    for (certificate, what) in [
        (Certificate::Expired, "certificate expired"),
        (Certificate::OtherName, "certificate not valid for name"),
        (
            Certificate::OtherAuthority,
            "not signed by the kubeconfig's certificate-authority",
        ),
    ] {
        env.proxy().present(certificate)?;
        expect(INVALID_CONFIG, what).await?;
    }
    env.proxy().present(Certificate::Valid)?;
    eth0.add().await?.success().map(drop)
}
