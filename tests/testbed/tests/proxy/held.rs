//! Requests and replies that wait for the test's word.

use std::time::Duration;

use testbed::proxy::{By, Came, Do, Log, Moment, On, Outcome};

use crate::client::{Client, Http, RESET};
use crate::{LEASES, lease, proxy_and_server};

#[tokio::test]
async fn a_held_write_is_committed_when_released_though_its_client_has_gone() {
    for http in Http::BOTH {
        let (proxy, server) = proxy_and_server().await;
        let gate = proxy.hold(On::create("ipleases").nth(1));
        let client = Client::of(&proxy, http);
        let process = tokio::spawn(async move { client.create(LEASES, "10.0.0.1").await });
        let held = gate.arrived().await.unwrap();
        assert_eq!(held.call.name.as_deref(), Some("10.0.0.1"));
        assert_eq!(gate.standing(), 1, "{http:?}");
        process.abort();
        assert!(process.await.unwrap_err().is_cancelled());
        assert!(!server.has(&lease("10.0.0.1")));
        held.release();
        let gone = |outcome: &Outcome| *outcome == Outcome::ClientGone;
        let log = proxy
            .wait_for("the late commit", |log| {
                log.records().iter().all(|late| gone(&late.outcome))
            })
            .await
            .unwrap();
        assert_eq!(
            log.records()[0].served.map(|status| status.as_u16()),
            Some(201),
            "{http:?}"
        );
        assert!(server.has(&lease("10.0.0.1")));
    }
}

#[tokio::test]
async fn a_held_request_holds_up_no_other() {
    for http in Http::BOTH {
        let (proxy, _server) = proxy_and_server().await;
        let gate = proxy.hold(On::create("ipleases"));
        let client = Client::of(&proxy, http);
        let other = client.clone();
        let process = tokio::spawn(async move { other.create(LEASES, "10.0.0.1").await });
        let held = gate.arrived().await.unwrap();
        assert_eq!(
            client.get(LEASES).await.unwrap().body["names"]
                .as_array()
                .unwrap()
                .len(),
            0
        );
        held.release();
        assert_eq!(
            process.await.unwrap().unwrap().status.as_u16(),
            201,
            "{http:?}"
        );
    }
}

#[tokio::test]
async fn what_a_held_reply_is_about_has_happened() {
    let (proxy, server) = proxy_and_server().await;
    let gate = proxy.hold_reply(On::create("ipleases"));
    let client = Client::of(&proxy, Http::Two);
    let process = tokio::spawn(async move { client.create(LEASES, "10.0.0.1").await });
    gate.arrived().await.unwrap();
    assert!(server.has(&lease("10.0.0.1")) && !process.is_finished());
    gate.release();
    assert_eq!(process.await.unwrap().unwrap().status.as_u16(), 201);
}

#[tokio::test]
async fn what_is_discarded_never_arrives_and_its_connection_is_reset() {
    for http in Http::BOTH {
        let (proxy, server) = proxy_and_server().await;
        let gate = proxy.hold(On::create("ipleases"));
        let client = Client::of(&proxy, http);
        let process = tokio::spawn(async move { client.create(LEASES, "10.0.0.1").await });
        gate.arrived().await.unwrap().discard();
        let failure = process.await.unwrap().unwrap_err();
        assert!(failure.says(RESET), "{failure:?}");
        assert!(!server.has(&lease("10.0.0.1")));
    }
}

#[tokio::test]
async fn a_gate_that_is_dropped_is_open() {
    let (proxy, server) = proxy_and_server().await;
    let gate = proxy.hold(On::create("ipleases"));
    let client = Client::of(&proxy, Http::One);
    let process = tokio::spawn(async move { client.create(LEASES, "10.0.0.1").await });
    gate.arrived().await.unwrap();
    drop(gate);
    process.await.unwrap().unwrap();
    assert!(server.has(&lease("10.0.0.1")));
}

#[tokio::test]
async fn a_delayed_request_arrives_later() {
    let (proxy, server) = proxy_and_server().await;
    let delay = Duration::from_millis(200);
    proxy.rule(On::create("ipleases"), Do::Delay(delay));
    Client::of(&proxy, Http::One)
        .create(LEASES, "10.0.0.1")
        .await
        .unwrap();
    let log = proxy.wait_for("its end", Log::is_quiet).await.unwrap();
    assert!(log.records()[0].ended.unwrap() >= log.records()[0].at + delay);
    assert!(server.has(&lease("10.0.0.1")));
}

#[tokio::test]
async fn rules_on_one_request_add_up() {
    let (proxy, server) = proxy_and_server().await;
    let gate = proxy.hold(On::create("ipleases").nth(1));
    proxy.rule(On::create("ipleases").nth(1), Do::LoseReply(By::Reset));
    let client = Client::of(&proxy, Http::One);
    let process = tokio::spawn(async move { client.create(LEASES, "10.0.0.1").await });
    gate.arrived().await.unwrap().release();
    process.await.unwrap().unwrap_err();
    assert!(server.has(&lease("10.0.0.1")));
}

/// What the collector's and the plugin's crash tests do, with a process of three requests.
#[tokio::test]
async fn a_process_can_be_stopped_at_each_of_its_requests_on_both_sides() {
    let (proxy, server) = proxy_and_server().await;
    let mut stops = Vec::new();
    'runs: for k in 1.. {
        for moment in Moment::BOTH {
            let caller = format!("run-{k}-{moment:?}");
            let gate = proxy.hold_at(moment, On::any().caller(&caller).nth(k));
            let client = Client::new(Http::One, &proxy.url_for(&caller), proxy.ca_pem());
            let address = caller.clone();
            let mut process = tokio::spawn(async move {
                client.get(LEASES).await.unwrap();
                client.create(LEASES, &address).await.unwrap();
                client.get(&lease(&address)).await.unwrap();
            });
            match gate.arrived_before(&mut process).await {
                Came::Arrived(held) => {
                    process.abort();
                    stops.push((k, moment, server.has(&lease(&caller))));
                    held.discard();
                }
                Came::Over(ended) => {
                    ended.unwrap();
                    break 'runs;
                }
            }
        }
    }
    let (before, after) = (Moment::Before, Moment::After);
    let expected = [
        (1, before, false),
        (1, after, false),
        (2, before, false),
        (2, after, true),
        (3, before, true),
        (3, after, true),
    ];
    assert_eq!(stops, expected);
}
