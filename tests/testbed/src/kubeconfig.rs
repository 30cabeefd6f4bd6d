//! Kubeconfig files of all the sorts that nodes have.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use serde_json::{Value, json};

use crate::pki::Pair;

/// A kubeconfig with one cluster, one user and one context.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    server: String,
    ca: Option<String>,
    user: Value,
}

impl Kubeconfig {
    /// A server at this URL, known by nothing but the system's authorities, and no credentials.
    #[must_use]
    pub fn new(server: &str) -> Self {
        Self {
            server: server.to_owned(),
            ca: None,
            user: json!({}),
        }
    }

    /// Another server: a second one, or a proxy.
    #[must_use]
    pub fn server(mut self, url: &str) -> Self {
        url.clone_into(&mut self.server);
        self
    }

    /// The server's certificate is signed by this authority (PEM).
    #[must_use]
    pub fn ca(mut self, pem: &str) -> Self {
        self.ca = Some(pem.to_owned());
        self
    }

    /// No `certificate-authority`: the system's.
    #[must_use]
    pub fn without_ca(mut self) -> Self {
        self.ca = None;
        self
    }

    /// Authenticates with this token, and with nothing else.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.user(json!({"token": token}))
    }

    /// Authenticates with the token in this file.
    #[must_use]
    pub fn token_file(self, path: &Path) -> Self {
        self.user(json!({"tokenFile": path}))
    }

    /// Authenticates with this certificate, embedded.
    #[must_use]
    pub fn client_certificate(self, pair: &Pair) -> Self {
        self.user(json!({
            "client-certificate-data": base64(&pair.certificate),
            "client-key-data": base64(&pair.key),
        }))
    }

    /// Authenticates with a certificate and key in one file, as kubelet keeps what it rotates.
    #[must_use]
    pub fn client_certificate_file(self, path: &Path) -> Self {
        self.user(json!({"client-certificate": path, "client-key": path}))
    }

    /// Authenticates with what this program prints, as on EKS and GKE.
    #[must_use]
    pub fn exec(self, program: &Path, args: &[&str]) -> Self {
        self.user(json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": program,
            "args": args,
            "interactiveMode": "Never",
        }}))
    }

    fn user(mut self, user: Value) -> Self {
        self.user = user;
        self
    }

    /// The file's text.
    pub fn to_yaml(&self) -> Result<String> {
        let mut cluster = json!({"server": self.server});
        if let Some(ca) = &self.ca {
            cluster["certificate-authority-data"] = base64(ca);
        }
        let file = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": self.user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        });
        serde_norway::to_string(&file).context("write a kubeconfig as YAML")
    }

    /// Writes the file, for its owner only.
    pub fn write(&self, path: &Path) -> Result<PathBuf> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).context("make a kubeconfig's folder")?;
        }
        let mut options = std::fs::File::options();
        let mut file = options
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(self.to_yaml()?.as_bytes())
            .with_context(|| format!("write {}", path.display()))?;
        Ok(path.to_owned())
    }

    /// A client that is configured by it.
    pub async fn client(&self) -> Result<kube::Client> {
        crate::client::connect(&self.to_yaml()?).await
    }
}

fn base64(text: &str) -> Value {
    json!(ByteString(text.as_bytes().to_vec()))
}
