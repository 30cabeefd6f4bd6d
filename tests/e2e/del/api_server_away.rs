//! A pod must be able to terminate while no API server can be reached: DEL tries for ten seconds,
//! says so and succeeds.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::json;
use testbed::{Attachment, Cluster, Sandbox, repository};

use super::{Attached, CacheEntry};
use crate::PLUGIN;
use crate::env::in_time;

/// DEL with this kubeconfig; it must succeed, and what it says on stderr is returned.
async fn del_by(eth0: &Attachment, kubeconfig: &Path) -> Result<String> {
    let mut config = eth0.config().clone();
    config["ipam"]["kubeconfig"] = json!(kubeconfig);
    config["prevResult"] = eth0.result().unwrap_or_default();
    let call = eth0.call("DEL")?.stdin(config.to_string());
    let outcome = call.run().await?.success()?;
    in_time(&outcome, 10)?;
    ensure!(outcome.stdout.is_empty(), "{outcome}");
    Ok(outcome.stderr)
}

impl Attached {
    /// The message of a DEL that is given this kubeconfig, without the address.
    async fn says(&self, kubeconfig: &Path) -> Result<String> {
        let message = del_by(&self.eth0, kubeconfig).await?;
        let address = self.eth0.ips()?[0].to_string();
        Ok(self
            .env
            .redact(&message)
            .replace(&self.env.redact(&address), "<address>")
            .replace(self.eth0.container_id(), "<container>"))
    }

    /// A kubeconfig of this node for a server at this URL.
    fn leading_to(&self, url: &str) -> Result<PathBuf> {
        let name = format!("kubeconfig-{:016x}", rand::random::<u64>());
        let identity = self.env.node.identity().server(url);
        self.env.node.write_kubeconfig(&name, &identity)
    }
}

#[tokio::test]
async fn where_no_server_listens_del_succeeds_within_ten_seconds() -> Result<()> {
    let pod = Attached::new(CacheEntry::Lost).await?;
    let kubeconfig = pod.leading_to("https://127.0.0.1:1")?;
    insta::assert_snapshot!(pod.says(&kubeconfig).await?, @"leasehold: DEL: the addresses of container <container> (eth0) were not released, the collector will do it: no definite answer within 10 s: GET https://127.0.0.1:1/apis/leasehold.io/v1alpha1/ipleases/<address> was not sent: cannot connect to 127.0.0.1:1: Connection refused (os error 111)");
    pod.is(&["Held"], "a DEL that reached no server").await
}

#[tokio::test]
async fn where_no_server_answers_del_succeeds_within_ten_seconds() -> Result<()> {
    let pod = Attached::new(CacheEntry::Lost).await?;
    // The kernel accepts connections for it; the program that listens never looks.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let port = silent.local_addr()?.port().to_string();
    let kubeconfig = pod.leading_to(&format!("https://127.0.0.1:{port}"))?;
    let message = pod.says(&kubeconfig).await?.replace(&port, "<port>");
    insta::assert_snapshot!(message, @"leasehold: DEL: the addresses of container <container> (eth0) were not released, the collector will do it: no definite answer within 10 s: GET https://127.0.0.1:<port>/apis/leasehold.io/v1alpha1/ipleases/<address> was not sent: cannot connect to 127.0.0.1:<port>: no answer within 10 s");
    pod.is(&["Held"], "a DEL that was not answered").await
}

#[tokio::test]
async fn with_unknown_credentials_del_succeeds() -> Result<()> {
    let pod = Attached::new(CacheEntry::Lost).await?;
    let unknown = pod.env.node.identity().token("unknown");
    let kubeconfig = pod.env.node.write_kubeconfig("unknown", &unknown)?;
    insta::assert_snapshot!(pod.says(&kubeconfig).await?, @"leasehold: DEL: the addresses of container <container> (eth0) were not released, the collector will do it: GET https://server/apis/leasehold.io/v1alpha1/ipleases/<address> was denied: renew the credentials in /cluster/nodes/node/unknown: the API server does not know them: 401 Unauthorized: Unauthorized");
    pod.is(&["Held"], "a DEL with unknown credentials").await
}

#[tokio::test]
async fn without_a_kubeconfig_del_succeeds() -> Result<()> {
    let pod = Attached::new(CacheEntry::Lost).await?;
    insta::assert_snapshot!(pod.says(Path::new("/nowhere/kubeconfig")).await?, @"leasehold: DEL: the addresses of container <container> (eth0) were not released, the collector will do it: no usable API server credentials: the kubeconfig /nowhere/kubeconfig cannot be used: No such file or directory (os error 2)");
    Ok(())
}

#[tokio::test]
async fn where_leasehold_is_not_installed_any_more_del_succeeds() -> Result<()> {
    let bare = Cluster::builder().bare().start().await?;
    let node = bare.node("n1").create().await?;
    let pod = bare.pod("shop", "web").on(&node).create().await?;
    let sandbox = Arc::new(Sandbox::new()?);
    let eth0 = Attachment::new(Path::new(PLUGIN), &node, &pod, &sandbox)?;
    let says = async || {
        let message = del_by(&eth0, node.kubeconfig()).await?;
        let message = message.replace(sandbox.container(), "<container>");
        anyhow::Ok(message.replace(&bare.url(0), "https://server"))
    };
    insta::assert_snapshot!(says().await?, @r#"leasehold: DEL: the addresses of container <container> (eth0) were not released, the collector will do it: GET https://server/apis/leasehold.io/v1alpha1/ipleases?fieldSelector=spec.holder.container%3D<container> was denied: apply deploy/rbac.yaml: its rule that nodes may list ipleases is not in force: 403 Forbidden: ipleases.leasehold.io is forbidden: User "system:node:n1" cannot list resource "ipleases" in API group "leasehold.io" at the cluster scope"#);
    bare.apply(&repository().join("deploy/rbac.yaml")).await?;
    insta::assert_snapshot!(says().await?, @"leasehold: DEL: the addresses of container <container> (eth0) were not released, the collector will do it: GET https://server/apis/leasehold.io/v1alpha1/ipleases?fieldSelector=spec.holder.container%3D<container> names a kind that the API server does not know: apply leasehold's crds/: 404 Not Found: 404 page not found");
    Ok(())
}
