//! Servers that are away, and certificates that no client should accept.

use testbed::proxy::{Certificate, Log, On, Outcome};

use crate::client::{Client, Http, RESET};
use crate::{LEASES, lease, proxy_and_server};

#[tokio::test]
async fn a_proxy_that_refuses_has_no_connections_and_comes_back_at_the_same_port() {
    let (proxy, server) = proxy_and_server().await;
    let gate = proxy.hold(On::create("ipleases"));
    let client = Client::of(&proxy, Http::One);
    let other = client.clone();
    let process = tokio::spawn(async move { other.create(LEASES, "10.0.0.1").await });
    let held = gate.arrived().await.unwrap();
    proxy.refuse().await;
    process.await.unwrap().unwrap_err();
    let failure = client.get(LEASES).await.unwrap_err();
    assert!(failure.reason().contains("refused"), "{failure:?}");
    held.release();
    proxy
        .wait_for("the late commit", Log::is_quiet)
        .await
        .unwrap();
    assert!(server.has(&lease("10.0.0.1")));
    proxy.resume().await;
    client.get(LEASES).await.unwrap();
}

#[tokio::test]
async fn a_mute_proxy_goes_on_where_it_stopped() {
    for http in Http::BOTH {
        let (proxy, server) = proxy_and_server().await;
        let (known, new) = (Client::of(&proxy, http), Client::of(&proxy, http));
        known.get(LEASES).await.unwrap();
        proxy.mute().await;
        let on_known = tokio::spawn(async move { known.create(LEASES, "10.0.0.1").await });
        let on_new = tokio::spawn(async move { new.create(LEASES, "10.0.0.2").await });
        proxy
            .wait_for("the request on a known connection", |log| {
                log.count(&On::create("ipleases")) == 1
            })
            .await
            .unwrap();
        assert!(!server.has(&lease("10.0.0.1")));
        assert!(!on_known.is_finished() && !on_new.is_finished());
        proxy.resume().await;
        on_known.await.unwrap().unwrap();
        on_new.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_server_that_dies_is_a_reset_and_nothing_is_sent_again() {
    for http in Http::BOTH {
        let (proxy, mut server) = proxy_and_server().await;
        let client = Client::of(&proxy, http);
        client.get(LEASES).await.unwrap();
        server.kill().await;
        let failure = client.create(LEASES, "10.0.0.1").await.unwrap_err();
        assert!(failure.says(RESET), "{http:?}: {failure:?}");
        let log = proxy.wait_for("both ends", Log::is_quiet).await.unwrap();
        assert!(
            matches!(log.records()[1].outcome, Outcome::Broken(_)),
            "{log}"
        );
        assert_eq!(log.records()[1].forwarded, 1);
        server.run().await;
        client.create(LEASES, "10.0.0.1").await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_that_is_wrong_is_shown_to_those_who_connect_anew() {
    let (proxy, _server) = proxy_and_server().await;
    let expected = [
        (Certificate::Expired, "certificate expired"),
        (Certificate::OtherName, "not valid for name"),
        (Certificate::OtherAuthority, "UnknownIssuer"),
    ];
    for (certificate, reason) in expected {
        proxy.present(certificate).unwrap();
        let failure = Client::of(&proxy, Http::One).get(LEASES).await.unwrap_err();
        assert!(
            failure.reason().contains(reason),
            "{certificate:?}: {failure:?}"
        );
    }
    proxy.present(Certificate::Valid).unwrap();
    Client::of(&proxy, Http::One).get(LEASES).await.unwrap();
}

#[tokio::test]
async fn a_proxy_that_is_dropped_answers_no_more() {
    let (proxy, _server) = proxy_and_server().await;
    let gate = proxy.hold(On::any());
    let client = Client::of(&proxy, Http::One);
    let process = tokio::spawn(async move { client.get(LEASES).await });
    gate.arrived().await.unwrap();
    drop(proxy);
    process.await.unwrap().unwrap_err();
}
