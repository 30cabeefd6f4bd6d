//! etcd and API servers: their certificates, flags, ports and readiness.
//!
//! An API server here authorizes as a real one does (`Node,RBAC`, `NodeRestriction`) and writes an
//! audit log, in which tests count requests. What differs from production: etcd does not wait for
//! the disk, tokens come from a file, and without [workloads](crate::Builder::workloads) the
//! `ServiceAccount` admission plugin is off, because no controller makes service accounts.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::kubeconfig::Kubeconfig;
use crate::pki::Ca;
use crate::server::{Server, free_port};
use crate::tools::{Tool, Tools};

/// Readiness takes two seconds on an idle machine; this is for a busy one.
const PATIENCE: Duration = Duration::from_mins(2);

/// The address of the Service `kubernetes`, the first of its range.
pub(crate) const SERVICE: &str = "10.96.0.1";

const AUDIT_POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
rules:
- level: None
  users: ['system:apiserver']
- level: Metadata
";

#[derive(Debug)]
pub(crate) struct ControlPlane {
    pub(crate) etcd: Server,
    pub(crate) api_servers: Vec<ApiServer>,
    pub(crate) controllers: Option<Server>,
    pub(crate) scheduler: Option<Server>,
    pub(crate) ca: Ca,
    secret: String,
}

#[derive(Debug)]
pub(crate) struct ApiServer {
    pub(crate) server: Server,
    pub(crate) port: u16,
    pub(crate) audit_log: PathBuf,
}

impl ApiServer {
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

/// What a control plane is made of.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) api_servers: usize,
    pub(crate) flags: Vec<String>,
    pub(crate) controllers: Vec<String>,
    pub(crate) controller_flags: Vec<String>,
    /// With all that it takes to run pods.
    pub(crate) workloads: bool,
    pub(crate) nodes: Vec<String>,
    /// Where etcd keeps its data, in place of a folder that goes with the cluster.
    pub(crate) data: Option<PathBuf>,
}

impl ControlPlane {
    /// Starts all of it in this folder, and waits until it serves.
    pub(crate) async fn start(tools: &Tools, dir: &Path, plan: &Plan) -> Result<Self> {
        let secret = format!("{:016x}", rand::random::<u64>());
        let ca = Ca::new("leasehold test cluster")?;
        write_files(dir, &ca, &secret, &plan.nodes)?;

        let etcd_port = free_port()?;
        let etcd = Server::start(
            tools.path(Tool::Etcd),
            etcd_args(
                plan.data.as_deref().unwrap_or(&dir.join("etcd")),
                etcd_port,
                free_port()?,
            ),
            dir.join("etcd.log"),
        )?;
        let api_servers = (0..plan.api_servers)
            .map(|i| {
                let port = free_port()?;
                let audit_log = dir.join(format!("audit-{i}.log"));
                let mut args = api_server_args(dir, etcd_port, port, &audit_log);
                if !plan.workloads {
                    args.push("--disable-admission-plugins=ServiceAccount".to_owned());
                }
                args.extend(plan.flags.iter().cloned());
                let log = dir.join(format!("kube-apiserver-{i}.log"));
                let server = Server::start(tools.path(Tool::ApiServer), args, log)?;
                Ok(ApiServer {
                    server,
                    port,
                    audit_log,
                })
            })
            .collect::<Result<_>>()?;
        let mut plane = Self {
            etcd,
            api_servers,
            controllers: None,
            scheduler: None,
            ca,
            secret,
        };
        for i in 0..plane.api_servers.len() {
            plane.wait_until_ready(i).await?;
        }
        if !plan.controllers.is_empty() {
            plane.start_controllers(tools, dir, plan)?;
        }
        if plan.workloads {
            plane.start_scheduler(tools, dir)?;
        }
        Ok(plane)
    }

    fn start_controllers(&mut self, tools: &Tools, dir: &Path, plan: &Plan) -> Result<()> {
        let kubeconfig = self.admin(0).write(&dir.join("controllers.kubeconfig"))?;
        let mut args = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--controllers={}", plan.controllers.join(",")),
            format!("--secure-port={}", free_port()?),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", dir.join("controllers").display()),
            "--leader-elect=false".to_owned(),
            format!(
                "--service-account-private-key-file={}",
                dir.join("accounts.key").display()
            ),
            format!("--root-ca-file={}", dir.join("ca.pem").display()),
        ];
        args.extend(plan.controller_flags.iter().cloned());
        let program = tools.path(Tool::ControllerManager);
        self.controllers = Some(Server::start(program, args, dir.join("controllers.log"))?);
        Ok(())
    }

    fn start_scheduler(&mut self, tools: &Tools, dir: &Path) -> Result<()> {
        let kubeconfig = self.admin(0).write(&dir.join("scheduler.kubeconfig"))?;
        let args = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--secure-port={}", free_port()?),
            "--bind-address=127.0.0.1".to_owned(),
            "--leader-elect=false".to_owned(),
        ];
        let program = tools.path(Tool::Scheduler);
        self.scheduler = Some(Server::start(program, args, dir.join("scheduler.log"))?);
        Ok(())
    }

    /// Everything of the cluster, for the admin of the cluster, at one of its servers.
    pub(crate) fn admin(&self, server: usize) -> Kubeconfig {
        self.kubeconfig(server)
            .token(&format!("{}-admin", self.secret))
    }

    /// The credentials of a node that the token file knows.
    pub(crate) fn node(&self, server: usize, name: &str) -> Kubeconfig {
        self.kubeconfig(server).token(&self.node_token(name))
    }

    pub(crate) fn node_token(&self, name: &str) -> String {
        node_token(&self.secret, name)
    }

    fn kubeconfig(&self, server: usize) -> Kubeconfig {
        Kubeconfig::new(&self.api_servers[server].url()).ca(&self.ca.pem())
    }

    /// Waits until a server says that it is ready, which includes the start of RBAC's own roles.
    pub(crate) async fn wait_until_ready(&self, server: usize) -> Result<()> {
        let client = self.admin(server).client().await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.etcd.ensure_running()?;
            self.api_servers[server].server.ensure_running()?;
            // The namespace is made by the server itself, after it says that it is ready.
            if ok(&client, "/readyz").await && ok(&client, "/api/v1/namespaces/default").await {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "the API server is not ready after {PATIENCE:?}: {}",
                self.api_servers[server].server.last_words()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Whether a GET of this path is answered with success.
pub(crate) async fn ok(client: &kube::Client, path: &str) -> bool {
    let Ok(request) = http::Request::get(path).body(Vec::new()) else {
        return false;
    };
    client.request_text(request).await.is_ok()
}

fn node_token(secret: &str, name: &str) -> String {
    format!("{secret}-node-{name}")
}

fn write_files(dir: &Path, ca: &Ca, secret: &str, nodes: &[String]) -> Result<()> {
    let key = rcgen::KeyPair::generate().context("generate the key of service accounts")?;
    let serving =
        ca.server_certificate(&["127.0.0.1", "localhost", "kubernetes.default.svc", SERVICE])?;
    let mut tokens = format!("{secret}-admin,admin,admin,\"system:masters\"\n");
    for name in nodes {
        let token = node_token(secret, name);
        writeln!(tokens, "{token},system:node:{name},{name},\"system:nodes\"")?;
    }
    let files = [
        ("ca.pem", ca.pem()),
        ("serving.pem", serving.certificate),
        ("serving.key", serving.key),
        ("accounts.key", key.serialize_pem()),
        ("accounts.pub", key.public_key_pem()),
        ("audit.yaml", AUDIT_POLICY.to_owned()),
        ("tokens.csv", tokens),
    ];
    for (name, text) in files {
        std::fs::write(dir.join(name), text).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}

fn etcd_args(data: &Path, port: u16, peers: u16) -> Vec<String> {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{peers}");
    vec![
        "--name=test".to_owned(),
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=test={peer}"),
        // The benchmark of the collector fills more than the 2 GiB that etcd allows by itself.
        format!("--quota-backend-bytes={}", 8_u64 << 30),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server_args(dir: &Path, etcd: u16, port: u16, audit_log: &Path) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        // No client reaches the service `kubernetes` here, and a loopback address may not be its
        // endpoint.
        "--advertise-address=192.0.2.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        format!("--cert-dir={}", file("generated")),
        format!("--tls-cert-file={}", file("serving.pem")),
        format!("--tls-private-key-file={}", file("serving.key")),
        format!("--client-ca-file={}", file("ca.pem")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!(
            "--service-account-signing-key-file={}",
            file("accounts.key")
        ),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        format!("--audit-policy-file={}", file("audit.yaml")),
        format!("--audit-log-path={}", audit_log.display()),
    ]
}
