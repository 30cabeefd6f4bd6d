//! A slow API server is no dead one, and a dead one behind a living proxy is found.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::Attachment;
use testbed::proxy::{By, Do, On, Proxy};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{DENIED, TRY_AGAIN_LATER};
use crate::env::{Isolation, TestEnv, in_time};

/// As API Priority and Fairness does under load.
const QUEUED: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_request_that_is_queued_for_ten_seconds_is_sent_once() -> Result<()> {
    let env = Isolation::vrf("queued").proxy().start().await?;
    env.default_pool(20).await?;
    let pod = env.pod("queued").create().await?;
    let queued = env.proxy().rule(On::any().caller("add"), Do::Delay(QUEUED));
    let eth0 = env.eth0_via("add", &pod)?.ipam("timeoutSeconds", json!(50));
    let added = eth0.add().await?.success()?;
    in_time(&added, 50)?;
    ensure!(queued.acted() <= 6, "{} requests", queued.acted());
    queued.remove();
    env.holds_only(&eth0).await?;

    // With its result, so that DEL has two requests: a read and a write.
    let queued = env.proxy().rule(On::any().caller("del"), Do::Delay(QUEUED));
    let by_del = env.eth0_via("del", &pod)?.in_sandbox(eth0.sandbox());
    by_del.remember(eth0.result());
    let released = by_del.del().await?.success()?;
    in_time(&released, 30)?;
    ensure!(
        released.stderr.is_empty() && queued.acted() == 2,
        "{} requests: {released}",
        queued.acted()
    );
    env.holds_nothing().await
}

#[tokio::test]
async fn a_del_whose_server_accepts_and_is_silent_has_thirty_seconds() -> Result<()> {
    let env = Isolation::vrf("silent-del").proxy().start().await?;
    env.default_pool(20).await?;
    let pod = env.pod("silent").create().await?;
    let eth0 = env.eth0_via("silent", &pod)?;
    eth0.add().await?.success()?;
    // Less than a DEL has, and more than where nothing accepts.
    let silence = Do::Delay(Duration::from_secs(20));
    env.proxy().rule(On::reads().caller("silent"), silence);
    let released = eth0.del().await?.success()?;
    in_time(&released, 30)?;
    ensure!(released.stderr.is_empty(), "{released}");
    env.holds_nothing().await
}

/// Each write is lost to another pod after three seconds, and there are always more addresses to
/// try.
#[tokio::test]
async fn writes_that_are_slow_and_lost_end_with_the_deadline() -> Result<()> {
    let env = Isolation::vrf("slow-writes").proxy().start().await?;
    env.default_pool(30).await?;
    env.report_full("slow-writes").await?;
    let pod = env.pod("pod").create().await?;
    let slow = On::writes().caller("slow");
    env.proxy().rule(slow.clone(), Do::answer(409));
    env.proxy()
        .rule(slow, Do::DelayReply(Duration::from_secs(3)));
    let eth0 = env.eth0_via("slow", &pod)?.ipam("timeoutSeconds", json!(8));
    let outcome = eth0.add().await?;
    ensure!(outcome.error_code() == TRY_AGAIN_LATER, "{outcome}");
    in_time(&outcome, 8)
}

/// The Node authorizer hears of pods by a watch: until then it denies the pod and, by the policy,
/// its leases.
#[tokio::test]
async fn an_authorizer_that_lags_for_six_seconds_is_waited_for_and_a_missing_role_is_not()
-> Result<()> {
    let env = Isolation::vrf("lagging-authorizer").proxy().start().await?;
    env.default_pool(20).await?;
    let no_pod = "ipleases.leasehold.io \"a\" is forbidden: ValidatingAdmissionPolicy 'leasehold-node' with binding \
        'leasehold-node' denied request: no pod a/b is bound to node n1";
    let lag = Duration::from_secs(6);
    for (caller, reads, writes) in [
        ("by-authorizer", Some(Do::answer(403)), Do::answer(403)),
        ("by-policy", None, Do::answer(403).message(no_pod)),
    ] {
        let pod = env.pod(caller).create().await?;
        if let Some(denial) = reads {
            let rule = env.proxy().rule(On::get("pods").caller(caller), denial);
            rule.for_duration(lag);
        }
        let creates = env
            .proxy()
            .rule(On::writes().of("ipleases").caller(caller), writes);
        creates.for_duration(lag);
        let eth0 = env
            .eth0_via(caller, &pod)?
            .ipam("timeoutSeconds", json!(50));
        eth0.add().await?.success().context(caller)?;
        ensure!(creates.acted() > 1, "{caller}: {}", creates.acted());
        env.holds_only(&eth0).await?;
        eth0.del().await?.success()?;
    }
    for denied in ["ippools", "ipleases"] {
        let pod = env.pod(denied).create().await?;
        env.proxy()
            .rule(On::any().of(denied).caller(denied), Do::answer(403));
        let eth0 = env
            .eth0_via(denied, &pod)?
            .ipam("timeoutSeconds", json!(50));
        let outcome = eth0.add().await?;
        ensure!(outcome.error_code() == DENIED, "{outcome}");
        in_time(&outcome, 20)?;
    }
    Ok(())
}

/// A load balancer, or an ingress whose backend has just gone.
#[tokio::test]
async fn a_page_that_knows_no_object_is_no_answer_about_one() -> Result<()> {
    let env = Isolation::vrf("pages").proxy().start().await?;
    env.default_pool(20).await?;
    let pages = [
        "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>nginx</body>\r\n</html>\r\n",
        "default backend - 404",
        "{\"error\":\"no such route\"}",
        "",
    ];
    for (number, page) in pages.into_iter().enumerate() {
        let caller = format!("page-{number}");
        let pod = env.pod(&caller).create().await?;
        let answer = Do::answer(404).plain(page);
        let rule = env
            .proxy()
            .rule(On::any().caller(&caller).first(3), answer.clone());
        let eth0 = env.eth0_via(&caller, &pod)?;
        eth0.add().await?.success().context(page)?;
        ensure!(rule.acted() == 3);
        // A DEL that took it for the absence of the lease would lose it.
        let rule = env
            .proxy()
            .rule(On::any().caller(&caller).first(3), answer.clone());
        let released = eth0.del().await?.success()?;
        ensure!(
            rule.acted() == 3 && released.stderr.is_empty(),
            "{page}: {released}"
        );
        env.holds_nothing().await?;
        env.proxy().rule(On::any().caller(&caller), answer);
        let eth0 = env
            .eth0_via(&caller, &pod)?
            .ipam("timeoutSeconds", json!(1));
        let outcome = eth0.add().await?;
        ensure!(outcome.error_code() == TRY_AGAIN_LATER, "{page}: {outcome}");
    }
    Ok(())
}

/// A load balancer that leads the first connections to one server, and all later ones to another.
struct Balancer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Balancer {
    async fn new(sick: &Proxy, connections_to_it: usize, well: &Proxy) -> Result<Self> {
        let address = |proxy: &Proxy| {
            let url = proxy.url();
            let authority = url.trim_start_matches("https://").to_owned();
            authority.parse::<SocketAddr>()
        };
        let (sick, well) = (address(sick)?, address(well)?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let number = counted.fetch_add(1, Ordering::Relaxed);
                let to = if number < connections_to_it {
                    sick
                } else {
                    well
                };
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(to).await?;
                    near.set_nodelay(true)?;
                    far.set_nodelay(true)?;
                    copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        Ok(Self {
            address,
            connections,
            task,
        })
    }

    /// The node's kubeconfig, by way of it.
    fn kubeconfig(&self, env: &TestEnv, well: &Proxy, caller: &str) -> Result<PathBuf> {
        let url = env.proxy().url_for(caller);
        let direct = env.proxy().url();
        let url = url.replace(&direct, &format!("https://{}", self.address));
        let authorities = [env.proxy().ca_pem(), well.ca_pem()].concat();
        let identity = env.node.identity().server(&url).ca(&authorities);
        env.node.write_kubeconfig(caller, &identity)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn another_connection_is_opened_where_a_balancer_has_pinned_this_one_to_a_sick_server()
-> Result<()> {
    let env = Isolation::vrf("balanced").proxy().start().await?;
    env.default_pool(20).await?;
    let well = Proxy::start(&env.cluster.url(0), &env.cluster.ca_pem())?;
    for (caller, on, trouble) in [
        ("500", On::any(), Do::from(Do::answer(500))),
        (
            "502-page",
            On::any(),
            Do::answer(502).plain("<html>Bad Gateway</html>").into(),
        ),
        ("503", On::any(), Do::answer(503).into()),
        ("503-writes", On::writes(), Do::answer(503).into()),
        // It answers pings, since a proxy does that itself.
        ("silent", On::any(), Do::LoseRequest(By::Silence)),
        ("silent-writes", On::writes(), Do::LoseRequest(By::Silence)),
        ("deaf", On::writes(), Do::LoseReply(By::Silence)),
    ] {
        let balancer = Balancer::new(env.proxy(), 1, &well).await?;
        let rule = env.proxy().rule(on.caller(caller), trouble);
        let kubeconfig = balancer.kubeconfig(&env, &well, caller)?;
        let pod = env.pod(caller).create().await?;
        let by = |eth0: Attachment| eth0.ipam("kubeconfig", json!(kubeconfig));
        let eth0 = by(env.eth0(&pod)?).ipam("timeoutSeconds", json!(15));
        let added = eth0.add().await?.success().context(caller)?;
        in_time(&added, 15)?;
        let connections = balancer.connections.load(Ordering::Relaxed);
        ensure!(
            rule.acted() > 0 && connections == 2,
            "{caller}: {connections} connections"
        );
        env.holds_only(&eth0).await.context(caller)?;
        eth0.del().await?.success()?;
        env.holds_nothing().await.context(caller)?;
    }
    Ok(())
}
