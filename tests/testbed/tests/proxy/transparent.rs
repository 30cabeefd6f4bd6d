//! Without a rule the proxy is not there.

use kube::api::{DynamicObject, PostParams};
use testbed::proxy::{Answer, Do, Log, On, Outcome, Proxy};

use crate::client::{Client, Http, kind, kube_leases};
use crate::server::Server;
use crate::{LEASES, lease, proxy_and_server};

#[tokio::test]
async fn what_is_sent_arrives_without_the_callers_name() {
    let (proxy, _server) = proxy_and_server().await;
    for http in Http::BOTH {
        let client = Client::new(http, &proxy.url_for("add-1"), proxy.ca_pem());
        let got = client.get("/echo?a=b&c=%2F").await.unwrap();
        assert_eq!(got.body["uri"], "/echo?a=b&c=%2F", "{http:?}");
        assert_eq!(got.body["authorization"], "Bearer of-n1", "{http:?}");
    }
    assert_eq!(proxy.log().count(&On::any().caller("add-1")), 2);
}

#[tokio::test]
async fn a_kube_client_works_through_it() {
    let (proxy, server) = proxy_and_server().await;
    let leases = kube_leases(&proxy, "kube");
    leases
        .create(
            &PostParams::default(),
            &DynamicObject::new("10.0.0.1", &kind()),
        )
        .await
        .unwrap();
    assert_eq!(
        leases
            .get("10.0.0.1")
            .await
            .unwrap()
            .metadata
            .name
            .as_deref(),
        Some("10.0.0.1")
    );
    assert!(server.has(&lease("10.0.0.1")));
    let log = proxy
        .wait_for("both requests' ends", Log::is_quiet)
        .await
        .unwrap();
    let created = On::create("ipleases").named("10.0.0.1").caller("kube");
    assert_eq!(
        log.of(&created)
            .filter(|record| record.is_delivered())
            .count(),
        1
    );
}

#[tokio::test]
async fn the_log_tells_who_asked_what_and_how_it_ended() {
    let (proxy, _server) = proxy_and_server().await;
    proxy.name("of-n1", "n1");
    let client = Client::of(&proxy, Http::One);
    client.create(LEASES, "10.0.0.1").await.unwrap();
    client.create(LEASES, "10.0.0.1").await.unwrap();
    client.get(LEASES).await.unwrap();
    let log = proxy.wait_for("three ends", Log::is_quiet).await.unwrap();
    let answered: Vec<_> = log
        .records()
        .iter()
        .map(|record| record.answered.unwrap().as_u16())
        .collect();
    assert_eq!(answered, [201, 409, 200]);
    assert!(
        log.records()
            .iter()
            .all(|record| record.call.caller == "n1" && record.connection == 1)
    );
    assert!(
        log.records()
            .iter()
            .all(|record| record.outcome == Outcome::Delivered && record.forwarded == 1)
    );
    let counts: Vec<_> = log.counts().into_iter().collect();
    assert_eq!(
        counts,
        [
            ("create ipleases".to_owned(), 2),
            ("list ipleases".to_owned(), 1)
        ]
    );
    assert_eq!(log.since(2).count(&On::any()), 1);
}

#[tokio::test]
async fn a_large_reply_passes_whole() {
    let (proxy, server) = proxy_and_server().await;
    let large = "x".repeat(5_000_000);
    server.put(&lease("large"), serde_json::json!({ "data": large }));
    for http in Http::BOTH {
        let got = Client::of(&proxy, http).get(&lease("large")).await.unwrap();
        assert_eq!(
            got.body["data"].as_str().unwrap().len(),
            large.len(),
            "{http:?}"
        );
    }
}

#[tokio::test]
async fn a_test_may_block_its_own_thread() {
    let server = Server::start().await;
    let proxy = Proxy::start(&server.url(), &server.ca_pem).unwrap();
    proxy.rule(On::any(), Do::Answer(Answer::of(503)));
    let client = Client::of(&proxy, Http::One);
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(client.get(LEASES))
            .unwrap()
            .status
            .as_u16()
    });
    assert_eq!(process.join().unwrap(), 503);
}

#[tokio::test]
async fn another_server_may_be_asked() {
    let (proxy, _server) = proxy_and_server().await;
    let other = Server::start().await;
    other.put(&lease("10.0.0.7"), serde_json::json!({}));
    let upstream = testbed::proxy::Upstream::new(&other.url(), &other.ca_pem).unwrap();
    proxy.rule(On::get("ipleases").nth(2), Do::SendTo(upstream));
    let client = Client::of(&proxy, Http::One);
    let mut found = Vec::new();
    for _ in 0..3 {
        found.push(
            client
                .get(&lease("10.0.0.7"))
                .await
                .unwrap()
                .status
                .as_u16(),
        );
    }
    assert_eq!(found, [404, 200, 404]);
}
