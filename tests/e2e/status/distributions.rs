//! Where distributions keep the kubelet's credentials, and in which form: each is found, and used,
//! by itself.
//!
//! The plugin runs in a root that has nothing but the files of one distribution.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testbed::Pair;

use crate::env::{Isolation, TestEnv};
use crate::name_service::Root;

/// A distribution's files: name and text.
type Files = Vec<(&'static str, String)>;

/// Where kubelet keeps the certificate that it rotates, with its key.
const ROTATED: &str = "/var/lib/kubelet/pki/kubelet-client-current.pem";

/// What a node's credentials are made of.
struct Credentials {
    server: String,
    ca: String,
    token: String,
    valid: Pair,
    expired: Pair,
}

/// Prints the file that its first argument names, as an exec plugin, and notes that it has run.
const PROGRAM: &str = r#"
#include <stdio.h>
int main(int argc, char **argv) {
    FILE *file = fopen(argv[1], "r"), *runs = fopen("/runs", "a");
    for (int byte; file && (byte = getc(file)) != EOF;) putchar(byte);
    fputs("x", runs);
    return 0;
}
"#;

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// As `openssl base64` and `base64` write it, for a YAML block.
fn in_lines(text: &str, indent: &str) -> String {
    let encoded = base64(text);
    let lines = encoded.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    format!("\n{indent}{}", lines.join(&format!("\n{indent}")))
}

/// A kubeconfig of this cluster and this user, in YAML's flow style.
fn kubeconfig(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: local\n  cluster: {cluster}\nusers:\n- name: user\n  user: {user}\n\
         contexts:\n- name: Default\n  context: {{cluster: local, namespace: default, user: user}}\ncurrent-context: Default\n\
         preferences: {{}}\n"
    )
}

impl Credentials {
    fn of(env: &TestEnv) -> Result<Self> {
        let (now, hour) = (SystemTime::now(), Duration::from_hours(1));
        let certificate = |from, until| env.cluster.node_certificate(env.node.name(), from, until);
        Ok(Self {
            server: env.cluster.url(0),
            ca: env.cluster.ca_pem(),
            token: env.node.token(),
            valid: certificate(now - hour, now + hour)?,
            expired: certificate(now - 2 * hour, now - hour)?,
        })
    }

    /// A kubeconfig of this user.
    fn by(&self, user: &str) -> String {
        let cluster = format!(
            "{{server: '{}', certificate-authority-data: {}}}",
            self.server,
            base64(&self.ca)
        );
        kubeconfig(&cluster, user)
    }

    fn by_files(&self, certificate: &str, key: &str) -> String {
        self.by(&format!(
            "{{client-certificate: {certificate}, client-key: {key}}}"
        ))
    }

    fn by_token(&self) -> String {
        self.by(&format!("{{token: {}}}", self.token))
    }

    fn inline(&self, pair: &Pair) -> String {
        self.by(&format!(
            "{{client-certificate-data: {}, client-key-data: {}}}",
            base64(&pair.certificate),
            base64(&pair.key)
        ))
    }

    fn by_exec(&self, version: &str, more: &str) -> String {
        self.by(&format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/{version}, command: /bin/credential, args: [/credential.json]{more}}}}}"
        ))
    }

    /// As kubelet keeps what it rotates.
    fn both(&self) -> String {
        format!("{}{}", self.valid.certificate, self.valid.key)
    }

    fn distributions(&self) -> Vec<(&'static str, Files)> {
        let mut all = self.with_one_file();
        all.extend(self.with_two_files());
        all.extend(self.with_programs());
        all.extend(self.behind_others());
        all
    }

    /// Those whose kubeconfig says all.
    fn with_one_file(&self) -> Vec<(&'static str, Files)> {
        let cases = [
            (
                "ROKS",
                "/etc/kubernetes/kubelet-kubeconfig",
                self.inline(&self.valid),
            ),
            (
                "kOps",
                "/var/lib/kubelet/kubeconfig",
                self.inline(&self.valid),
            ),
            (
                "a binary install",
                "/etc/kubernetes/kubelet.kubeconfig",
                self.inline(&self.valid),
            ),
            (
                "MicroK8s",
                "/var/snap/microk8s/current/credentials/kubelet.config",
                self.by_token(),
            ),
            (
                "Charmed Kubernetes",
                "/root/cdk/kubeconfig",
                self.by_token(),
            ),
            (
                "several contexts",
                "/var/lib/kubelet/kubeconfig",
                self.several_contexts(),
            ),
        ];
        cases
            .map(|(name, place, text)| (name, vec![(place, text)]))
            .into()
    }

    /// No current context, of two, and base64 in lines.
    fn several_contexts(&self) -> String {
        let (server, ca, token) = (&self.server, in_lines(&self.ca, "      "), &self.token);
        format!(
            "---\napiVersion: v1\nkind: Config\ncurrent-context: ''\nclusters:\n- name: c\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: |{ca}\nusers:\n- name: u\n  user: {{token: {token}}}\ncontexts:\n- name: broken\n  \
             context: {{cluster: gone, user: u}}\n- name: ours\n  context: {{cluster: c, user: u}}\n"
        )
    }

    /// Those whose kubeconfig names a file that has certificate and key, or one of each.
    fn with_two_files(&self) -> Vec<(&'static str, Files)> {
        let k0s = "/var/lib/k0s/kubelet/pki/current.pem";
        let together = [
            ("kubeadm", "/etc/kubernetes/kubelet.conf", ROTATED),
            ("AKS", "/var/lib/kubelet/kubeconfig", ROTATED),
            ("Talos", "/etc/kubernetes/kubeconfig-kubelet", ROTATED),
            ("Gardener", "/var/lib/kubelet/kubeconfig-real", ROTATED),
            (
                "Exoscale SKS",
                "/etc/kubernetes/kubelet/kubeconfig",
                ROTATED,
            ),
            ("k0s", "/var/lib/k0s/kubelet.conf", k0s),
        ];
        let together = together.map(|(name, place, pem)| {
            let files = vec![(place, self.by_files(pem, pem)), (pem, self.both())];
            (name, files)
        });
        let apart = [
            (
                "k3s",
                [
                    "/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
                    "/var/lib/rancher/k3s/agent/client-kubelet.crt",
                    "/var/lib/rancher/k3s/agent/client-kubelet.key",
                ],
            ),
            (
                "RKE2",
                [
                    "/var/lib/rancher/rke2/agent/kubelet.kubeconfig",
                    "/var/lib/rancher/rke2/agent/client-kubelet.crt",
                    "/var/lib/rancher/rke2/agent/client-kubelet.key",
                ],
            ),
            (
                "RKE1",
                [
                    "/etc/kubernetes/ssl/kubecfg-kube-node.yaml",
                    "/etc/kubernetes/ssl/kube-node.pem",
                    "/etc/kubernetes/ssl/kube-node-key.pem",
                ],
            ),
        ];
        let apart = apart.map(|(name, [place, certificate, key])| {
            let files = vec![
                (place, self.by_files(certificate, key)),
                (certificate, self.valid.certificate.clone()),
                (key, self.valid.key.clone()),
            ];
            (name, files)
        });
        together.into_iter().chain(apart).collect()
    }

    /// Those whose credentials a program says.
    fn with_programs(&self) -> Vec<(&'static str, Files)> {
        let token = json!({"token": self.token, "expirationTimestamp": "2100-01-01T00:00:00Z"});
        let certificate = json!({
            "clientCertificateData": self.valid.certificate,
            "clientKeyData": self.valid.key,
        });
        let eks = self.by_exec("v1beta1", ", env: [{name: AWS_REGION, value: eu}]");
        let bottlerocket = format!("---\n{}", self.by_exec("v1alpha1", ", env: null"));
        let gke = self.by_exec("v1beta1", ", provideClusterInfo: false");
        let kubelet = "/var/lib/kubelet/kubeconfig";
        vec![
            ("EKS", vec![(kubelet, eks), credential("v1beta1", &token)]),
            (
                "Bottlerocket",
                vec![
                    ("/etc/kubernetes/kubelet/kubeconfig", bottlerocket),
                    credential("v1alpha1", &token),
                ],
            ),
            (
                "GKE",
                vec![(kubelet, gke), credential("v1beta1", &certificate)],
            ),
        ]
    }

    /// Those that have something else in one of the usual places.
    fn behind_others(&self) -> Vec<(&'static str, Files)> {
        let kubeadm = "/etc/kubernetes/kubelet.conf";
        let kubelet = "/var/lib/kubelet/kubeconfig";
        let configuration =
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";
        let rotated = || (ROTATED, self.both());
        vec![
            (
                "OpenShift",
                vec![
                    (kubeadm, configuration.to_owned()),
                    ("/etc/kubernetes/kubeconfig", self.by("{token: bootstrap}")),
                    (kubelet, self.by_files(ROTATED, ROTATED)),
                    rotated(),
                ],
            ),
            (
                "OpenShift, in JSON",
                vec![
                    (kubeadm, json!({"kind": "KubeletConfiguration"}).to_string()),
                    (kubelet, self.by_token()),
                ],
            ),
            (
                "kubeadm, an old first node",
                vec![(kubeadm, self.inline(&self.expired)), rotated()],
            ),
            (
                "a token file that ends in a newline",
                vec![
                    (kubelet, self.by("{tokenFile: /var/lib/kubelet/token}")),
                    ("/var/lib/kubelet/token", format!("{}\n", self.token)),
                ],
            ),
            (
                "an empty file",
                vec![(kubeadm, String::new()), (kubelet, self.by_token())],
            ),
            (
                "one without credentials",
                vec![(kubeadm, self.by("{}")), (kubelet, self.by_token())],
            ),
            (
                "one whose certificate is not there",
                vec![
                    (kubeadm, self.by_files(ROTATED, ROTATED)),
                    ("/var/lib/k0s/kubelet.conf", self.by_token()),
                ],
            ),
        ]
    }
}

fn credential(version: &str, status: &Value) -> (&'static str, String) {
    let version = format!("client.authentication.k8s.io/{version}");
    let credential = json!({"kind": "ExecCredential", "apiVersion": version, "status": status});
    ("/credential.json", credential.to_string())
}

/// What the plugin says: of STATUS its stdout, of DEL its stderr.
fn says(root: &Root, command: &str) -> Result<String> {
    let config = json!({"cniVersion": "1.1.0", "name": "net", "type": "macvlan", "ipam": {"type": "leasehold"}});
    let variables = [
        ("CNI_COMMAND", command),
        ("CNI_CONTAINERID", "distributions"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_PATH", "/"),
    ];
    let out = root.run(&["/leasehold"], &variables, &config.to_string())?;
    let said = [out.stdout, out.stderr].concat();
    Ok(String::from_utf8(said)?)
}

fn remove(root: &Root, files: &Files) -> Result<()> {
    for (name, _) in files {
        fs::remove_file(root.0.join(name.trim_start_matches('/')))?;
    }
    Ok(())
}

#[tokio::test]
async fn the_kubelets_credentials_are_found_and_used_on_each_distribution() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let root = Root::new(env.cluster.dir().join("distributions"))?;
    root.write("program.c", PROGRAM)?;
    fs::create_dir_all(root.0.join("bin"))?;
    let compiled = Command::new("cc")
        .arg("-static")
        .arg("-o")
        .arg(root.0.join("bin/credential"))
        .arg(root.0.join("program.c"))
        .output()
        .context("run cc, which Rust's own linker needs too")?;
    ensure!(compiled.status.success(), "{compiled:?}");
    let credentials = Credentials::of(&env)?;
    for (distribution, files) in credentials.distributions() {
        for (name, text) in &files {
            root.write(name, text)?;
        }
        for command in ["STATUS", "DEL"] {
            let said = says(&root, command)?;
            ensure!(said.is_empty(), "{distribution}, {command}: {said}");
        }
        remove(&root, &files)?;
    }
    // EKS, Bottlerocket and GKE: once for each call that asks a server.
    let runs = fs::read_to_string(root.0.join("runs"))?;
    assert_eq!(runs.len(), 3);
    Ok(())
}

#[tokio::test]
async fn where_no_kubeconfig_can_be_used_each_is_named_with_the_reason() -> Result<()> {
    let env = Isolation::subnets().start().await?;
    let root = Root::new(env.cluster.dir().join("no-distribution"))?;
    let said = says(&root, "STATUS")?;
    ensure!(
        said.contains("\"code\":50") && said.contains("/etc/kubernetes/kubelet.conf"),
        "{said}"
    );
    let credentials = Credentials::of(&env)?;
    let proxied = format!(
        "{{server: '{}', proxy-url: 'http://me:secret@proxy:3128'}}",
        credentials.server
    );
    let token = format!("token: {}", credentials.token);
    let files: Files = vec![
        (
            "/etc/kubernetes/kubelet.conf",
            "kind: KubeletConfiguration\n".to_owned(),
        ),
        (
            "/var/lib/kubelet/kubeconfig",
            credentials.by(&format!("{{{token}, as: admin}}")),
        ),
        (
            "/etc/kubernetes/kubelet/kubeconfig",
            kubeconfig(&proxied, &format!("{{{token}}}")),
        ),
        (
            "/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
            credentials.by("{}"),
        ),
        (
            "/var/lib/k0s/kubelet.conf",
            credentials.by("{tokenFile: /nowhere}"),
        ),
    ];
    for (name, text) in &files {
        root.write(name, text)?;
    }
    let said = says(&root, "STATUS")?;
    let reasons = [
        "it is a KubeletConfiguration, not a kubeconfig",
        "its user has as: impersonation is not supported",
        "it has a proxy-url, which is not supported",
        "its user has neither token nor certificate nor exec plugin",
        "its token file /nowhere cannot be read",
    ];
    for ((name, _), reason) in files.iter().zip(reasons) {
        ensure!(
            said.contains(&format!("{name}: {reason}")),
            "{name}: {said}"
        );
    }
    ensure!(
        said.contains("\"code\":50") && !said.contains("secret"),
        "{said}"
    );
    ensure!(!said.contains(&credentials.token), "{said}");
    Ok(())
}
