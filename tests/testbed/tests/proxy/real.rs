//! The proxy in front of a real API server, as a node's programs meet it.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use testbed::proxy::{Answer, By, Do, Log, On, Proxy};

const HEARTBEATS: &str = "kube-node-lease";

async fn leases(kubeconfig: &testbed::Kubeconfig) -> Api<Lease> {
    Api::namespaced(kubeconfig.client().await.unwrap(), HEARTBEATS)
}

fn heartbeat(node: &testbed::Node) -> Lease {
    let mut lease = Lease::default();
    lease.metadata.name = Some(node.name().to_owned());
    lease
}

#[tokio::test]
async fn a_nodes_late_write_is_committed_with_the_nodes_rights() {
    let cluster = testbed::shared().await.unwrap();
    let node = cluster.fresh_node().create().await.unwrap();
    let proxy = Proxy::start(&cluster.url(0), &cluster.ca_pem()).unwrap();
    let kubeconfig = node
        .identity()
        .server(&proxy.url_for("kubelet"))
        .ca(proxy.ca_pem());
    let (through, direct) = (leases(&kubeconfig).await, leases(&node.identity()).await);

    let gate = proxy.hold(On::create("leases").caller("kubelet"));
    let own = heartbeat(&node);
    let late = tokio::spawn(async move { through.create(&PostParams::default(), &own).await });
    let held = gate.arrived().await.unwrap();
    assert_eq!(held.call.name.as_deref(), Some(node.name()));
    late.abort();
    assert!(direct.get_opt(node.name()).await.unwrap().is_none());
    held.release();
    let log = proxy
        .wait_for("the late commit", Log::is_quiet)
        .await
        .unwrap();
    assert_eq!(
        log.records()[0].served.map(|status| status.as_u16()),
        Some(201),
        "{log}"
    );
    assert!(direct.get_opt(node.name()).await.unwrap().is_some());
}

#[tokio::test]
async fn what_the_proxy_says_reads_as_what_the_server_says() {
    let cluster = testbed::shared().await.unwrap();
    let (node, other) = (
        cluster.fresh_node().create().await.unwrap(),
        cluster.fresh_node().create().await.unwrap(),
    );
    let proxy = Proxy::start(&cluster.url(0), &cluster.ca_pem()).unwrap();
    proxy.name(&node.token(), &node.user());
    let kubeconfig = node.identity().server(&proxy.url()).ca(proxy.ca_pem());
    let leases = leases(&kubeconfig).await;
    let refused = async || match leases.get(other.name()).await {
        Err(kube::Error::Api(status)) => (status.code, status.reason, status.message),
        other => panic!("{other:?}"),
    };
    let (code, reason, message) = refused().await;
    proxy.rule(On::any(), Do::Answer(Answer::of(403)));
    let (said_code, said_reason, said_message) = refused().await;
    assert_eq!((code, reason), (said_code, said_reason));
    // The server adds its own reason after a colon.
    assert!(
        message.starts_with(&said_message),
        "{message} and {said_message}"
    );
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_exists_already_when_repeated() {
    let cluster = testbed::shared().await.unwrap();
    let node = cluster.fresh_node().create().await.unwrap();
    let proxy = Proxy::start(&cluster.url(0), &cluster.ca_pem()).unwrap();
    let kubeconfig = node.identity().server(&proxy.url()).ca(proxy.ca_pem());
    let leases = leases(&kubeconfig).await;
    proxy.rule(On::create("leases").nth(1), Do::LoseReply(By::Reset));
    let own = heartbeat(&node);
    leases
        .create(&PostParams::default(), &own)
        .await
        .unwrap_err();
    match leases.create(&PostParams::default(), &own).await {
        Err(kube::Error::Api(status)) => assert_eq!(status.reason, "AlreadyExists"),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        proxy.log().count(&On::create("leases")),
        2,
        "{}",
        proxy.log()
    );
}
