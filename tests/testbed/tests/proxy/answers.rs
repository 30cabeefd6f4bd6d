//! Answers that are not the API server's, or not the latest.

use http::header;
use testbed::proxy::{Answer, Do, On, Reply};

use crate::client::{Client, Http, kube_leases};
use crate::{LEASES, lease, proxy_and_server};

#[tokio::test]
async fn the_proxy_answers_in_the_servers_words() {
    let (proxy, server) = proxy_and_server().await;
    let rule = proxy.rule(
        On::create("ipleases").first(2),
        Do::answer(429).retry_after(3),
    );
    for http in Http::BOTH {
        let got = Client::of(&proxy, http)
            .create(LEASES, "10.0.0.1")
            .await
            .unwrap();
        assert_eq!(got.status.as_u16(), 429, "{http:?}");
        assert_eq!(got.headers[header::RETRY_AFTER], "3");
        assert_eq!(got.body["reason"], "TooManyRequests");
    }
    assert_eq!(rule.acted(), 2);
    assert!(!server.has(&lease("10.0.0.1")));
    let third = Client::of(&proxy, Http::One)
        .create(LEASES, "10.0.0.1")
        .await
        .unwrap();
    assert_eq!(third.status.as_u16(), 201);
}

#[tokio::test]
async fn a_kube_client_reads_its_statuses() {
    let (proxy, _server) = proxy_and_server().await;
    let leases = kube_leases(&proxy, "n1");
    let expected = [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (409, "Conflict"),
        (410, "Expired"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (504, "Timeout"),
    ];
    for (code, reason) in expected {
        let rule = proxy.rule(On::any(), Do::answer(code));
        match leases.get("10.0.0.1").await {
            Err(kube::Error::Api(status)) => {
                assert_eq!((status.code, status.reason.as_str()), (code, reason));
            }
            other => panic!("{code}: {other:?}"),
        }
        rule.remove();
    }
}

#[tokio::test]
async fn a_write_can_be_done_and_answered_as_failed() {
    let (proxy, server) = proxy_and_server().await;
    proxy.rule(On::create("ipleases"), Do::AnswerInstead(Answer::of(504)));
    let got = Client::of(&proxy, Http::Two)
        .create(LEASES, "10.0.0.1")
        .await
        .unwrap();
    assert_eq!(got.status.as_u16(), 504);
    assert!(server.has(&lease("10.0.0.1")));
    let log = proxy.log();
    let statuses = (
        log.records()[0].served.unwrap().as_u16(),
        log.records()[0].answered.unwrap().as_u16(),
    );
    assert_eq!(statuses, (201, 504));
}

#[tokio::test]
async fn a_request_sent_twice_is_answered_by_the_first_or_the_second_reply() {
    for (reply, status) in [(Reply::First, 201), (Reply::Second, 409)] {
        let (proxy, _server) = proxy_and_server().await;
        proxy.rule(On::create("ipleases"), Do::Duplicate(reply));
        let got = Client::of(&proxy, Http::One)
            .create(LEASES, "10.0.0.1")
            .await
            .unwrap();
        assert_eq!(got.status.as_u16(), status, "{reply:?}");
        assert_eq!(proxy.log().records()[0].forwarded, 2, "{reply:?}");
    }
}

#[tokio::test]
async fn a_frozen_list_lags_behind_and_a_consistent_one_does_not() {
    let (proxy, _server) = proxy_and_server().await;
    let cached = format!("{LEASES}?resourceVersion=0");
    let lag = proxy.freeze(On::list("ipleases").with_query("resourceVersion=0"));
    let client = Client::of(&proxy, Http::One);
    let names = async |path: &str| {
        client.get(path).await.unwrap().body["names"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(names(&cached).await, 0);
    client.create(LEASES, "10.0.0.1").await.unwrap();
    assert_eq!(names(&cached).await, 0);
    assert_eq!(names(LEASES).await, 1);
    lag.remove();
    assert_eq!(names(&cached).await, 1);
}
