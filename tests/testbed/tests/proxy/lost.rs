//! Requests, replies and halves of replies that get lost.

use serde_json::json;
use testbed::proxy::{By, Do, Log, On, Outcome};

use crate::client::{Client, Failure, Http, RESET};
use crate::{LEASES, lease, proxy_and_server};

/// The words, hyper's and the kernel's, of which a client hears one.
fn words(http: Http, by: By) -> &'static [&'static str] {
    match (http, by) {
        (_, By::Reset) => RESET,
        (Http::One, By::Close | By::StreamReset) => &["unexpected"],
        // What the client sends unasked (acknowledged settings, windows) and nothing reads makes
        // the kernel reset after all.
        (Http::Two, By::Close) => &["close_notify", "reset", "broken pipe"],
        (Http::Two, By::StreamReset) => &["unexpected internal error encountered"],
        (_, By::Silence) => &[],
    }
}

const AUDIBLE: [By; 3] = [By::Reset, By::Close, By::StreamReset];

#[tokio::test]
async fn a_lost_request_never_arrives() {
    for http in Http::BOTH {
        for by in AUDIBLE {
            let (proxy, server) = proxy_and_server().await;
            proxy.rule(On::create("ipleases").nth(1), Do::LoseRequest(by));
            let failure = Client::of(&proxy, http)
                .create(LEASES, "10.0.0.1")
                .await
                .unwrap_err();
            assert!(
                failure.says(words(http, by)),
                "{http:?} {by:?}: {failure:?}"
            );
            assert!(!server.has(&lease("10.0.0.1")));
            assert_eq!(proxy.log().records()[0].forwarded, 0, "{http:?} {by:?}");
        }
    }
}

#[tokio::test]
async fn what_a_lost_reply_was_about_has_happened() {
    for http in Http::BOTH {
        for by in AUDIBLE {
            let (proxy, server) = proxy_and_server().await;
            proxy.rule(On::create("ipleases").nth(1), Do::LoseReply(by));
            let client = Client::of(&proxy, http);
            let failure = client.create(LEASES, "10.0.0.1").await.unwrap_err();
            assert!(
                failure.says(words(http, by)),
                "{http:?} {by:?}: {failure:?}"
            );
            assert!(server.has(&lease("10.0.0.1")));
            let again = client.create(LEASES, "10.0.0.1").await.unwrap();
            assert_eq!(again.status.as_u16(), 409, "{http:?} {by:?}");
            let log = proxy.wait_for("both ends", Log::is_quiet).await.unwrap();
            let first = &log.records()[0];
            assert_eq!(
                (first.forwarded, first.answered, &first.outcome),
                (1, None, &Outcome::Lost),
                "{http:?} {by:?}"
            );
            let answer = first.served.map(|status| status.as_u16());
            assert_eq!(answer, Some(201), "{http:?} {by:?}");
        }
    }
}

#[tokio::test]
async fn a_reply_breaks_off_in_the_middle_of_its_body() {
    for http in Http::BOTH {
        for by in AUDIBLE {
            // Small enough for one packet, and larger than any buffer on the way.
            for size in [100, 3_000_000] {
                let (proxy, server) = proxy_and_server().await;
                let list = json!({ "data": "x".repeat(size) });
                let whole = list.to_string().len();
                server.put(LEASES, list);
                proxy.rule(On::list("ipleases").nth(1), Do::LoseHalf(by));
                let client = Client::of(&proxy, http);
                match client.get(LEASES).await {
                    Err(Failure::Cut(status, half, _)) => {
                        assert_eq!(status.as_u16(), 200, "{http:?} {by:?} {size}");
                        assert!(half <= whole / 2, "{http:?} {by:?}: {half} of {whole}");
                    }
                    other => panic!("{http:?} {by:?} {size}: {other:?}"),
                }
                let again = client.get(LEASES).await.unwrap().status;
                assert_eq!(again.as_u16(), 200, "{http:?} {by:?} {size}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_leaves_the_others_of_its_connection_alone() {
    let (proxy, _server) = proxy_and_server().await;
    let gate = proxy.hold(On::list("ipleases").nth(1));
    proxy.rule(On::create("ipleases"), Do::LoseReply(By::StreamReset));
    let client = Client::of(&proxy, Http::Two);
    let other = client.clone();
    let beside = tokio::spawn(async move { other.get(LEASES).await });
    gate.arrived().await.unwrap();
    client.create(LEASES, "10.0.0.1").await.unwrap_err();
    gate.release();
    beside.await.unwrap().unwrap();
    let log = proxy.log();
    assert!(log.records().iter().all(|record| record.connection == 1));
}

#[tokio::test]
async fn a_connection_that_is_reset_takes_all_its_requests_with_it() {
    let (proxy, server) = proxy_and_server().await;
    let gate = proxy.hold(On::create("ipleases").named("10.0.0.1"));
    proxy.rule(
        On::create("ipleases").named("10.0.0.2"),
        Do::LoseReply(By::Reset),
    );
    let client = Client::of(&proxy, Http::Two);
    let other = client.clone();
    let beside = tokio::spawn(async move { other.create(LEASES, "10.0.0.1").await });
    let held = gate.arrived().await.unwrap();
    client.create(LEASES, "10.0.0.2").await.unwrap_err();
    beside.await.unwrap().unwrap_err();
    held.release();
    proxy
        .wait_for("the late commit", Log::is_quiet)
        .await
        .unwrap();
    assert!(server.has(&lease("10.0.0.1")));
}

#[tokio::test]
async fn silence_lasts_until_the_client_gives_up() {
    for http in Http::BOTH {
        let (proxy, server) = proxy_and_server().await;
        proxy.rule(On::create("ipleases"), Do::LoseReply(By::Silence));
        let client = Client::of(&proxy, http);
        let other = client.clone();
        let process = tokio::spawn(async move { other.create(LEASES, "10.0.0.1").await });
        proxy
            .wait_for("the loss", |log| {
                log.records()
                    .iter()
                    .any(|record| record.outcome == Outcome::Lost)
            })
            .await
            .unwrap();
        client.get(LEASES).await.unwrap();
        assert!(
            server.has(&lease("10.0.0.1")) && !process.is_finished(),
            "{http:?}"
        );
        process.abort();
    }
}
