//! Certificates of API servers, of all the sorts that Go's TLS takes: trusted, or refused in words
//! that name the algorithm.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use testbed::Cluster;
use tokio::task::JoinSet;

use super::INVALID_CONFIG;
use crate::env::{Isolation, in_time};

/// A server's certificate, which the server shows to those who ask for this name.
struct Case {
    name: &'static str,
    /// The key, as `openssl req -newkey` has it.
    key: &'static str,
    signed: Signed,
    /// What the message says; `None`: it is trusted.
    refused: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Signed {
    /// By an authority with such a key, by this digest.
    By(&'static str, &'static str),
    /// The same, but the certificate is an authority's too.
    AsAuthorityBy(&'static str, &'static str),
    /// By itself: the kubeconfig names this very certificate as its authority.
    Itself(&'static str),
    /// By itself, as an authority.
    AuthorityItself(&'static str),
}

const RSA: &str = "rsa:2048";
const P256: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const P384: &str = "ec -pkeyopt ec_paramgen_curve:P-384";
const P521: &str = "ec -pkeyopt ec_paramgen_curve:P-521";

const fn case(
    name: &'static str,
    key: &'static str,
    signed: Signed,
    refused: Option<&'static str>,
) -> Case {
    Case {
        name,
        key,
        signed,
        refused,
    }
}

const CASES: [Case; 17] = [
    case("rsa-256", RSA, Signed::By(RSA, "sha256"), None),
    case("rsa-384", "rsa:3072", Signed::By(RSA, "sha384"), None),
    case(
        "rsa-512",
        "rsa:4096",
        Signed::By("rsa:4096", "sha512"),
        None,
    ),
    case("p256", P256, Signed::By(P256, "sha256"), None),
    case("p256-by-384", P256, Signed::By(P384, "sha256"), None),
    case("p384", P384, Signed::By(P384, "sha384"), None),
    case("p384-by-rsa", P384, Signed::By(RSA, "sha512"), None),
    case("ed25519", "ed25519", Signed::By(RSA, "sha256"), None),
    case("by-ed25519", P256, Signed::By("ed25519", "sha512"), None),
    case(
        "p256-512",
        P256,
        Signed::By(P256, "sha512"),
        Some("ECDSA with SHA-512"),
    ),
    case(
        "p384-512",
        RSA,
        Signed::By(P384, "sha512"),
        Some("ECDSA with SHA-512"),
    ),
    case(
        "p521",
        P521,
        Signed::By(RSA, "sha256"),
        Some("ECDSA on P-521"),
    ),
    case(
        "by-p521",
        P256,
        Signed::By(P521, "sha512"),
        Some("ECDSA with SHA-512"),
    ),
    case("pinned", P256, Signed::Itself("sha256"), None),
    case("pinned-512", P256, Signed::Itself("sha512"), None),
    case(
        "pinned-authority",
        RSA,
        Signed::AuthorityItself("sha512"),
        None,
    ),
    case(
        "authority",
        RSA,
        Signed::AsAuthorityBy(RSA, "sha256"),
        Some("an authority's own certificate"),
    ),
];

impl Case {
    /// Makes certificate and key, and returns the authority for a kubeconfig.
    fn make(&self, folder: &Path) -> Result<PathBuf> {
        let name = self.name;
        let names =
            format!("-addext subjectAltName=DNS:{name}.test -addext extendedKeyUsage=serverAuth");
        let leaf = "-addext basicConstraints=critical,CA:FALSE";
        match self.signed {
            Signed::By(by, digest) => {
                self.signed_by(folder, by, digest, &format!("{names} {leaf}"))
            }
            Signed::AsAuthorityBy(by, digest) => self.signed_by(folder, by, digest, &names),
            Signed::Itself(digest) => {
                openssl(folder, name, self.key, digest, &format!("{names} {leaf}"))?;
                Ok(folder.join(name).with_extension("pem"))
            }
            Signed::AuthorityItself(digest) => {
                openssl(folder, name, self.key, digest, &names)?;
                Ok(folder.join(name).with_extension("pem"))
            }
        }
    }

    fn signed_by(&self, folder: &Path, by: &str, digest: &str, more: &str) -> Result<PathBuf> {
        let authority = format!("{}-ca", self.name);
        openssl(folder, &authority, by, "sha256", "")?;
        let by = format!("{more} -CA {authority}.pem -CAkey {authority}.key");
        openssl(folder, self.name, self.key, digest, &by)?;
        Ok(folder.join(authority).with_extension("pem"))
    }

    fn flag(&self, folder: &Path) -> String {
        let file = |extension| {
            folder
                .join(self.name)
                .with_extension(extension)
                .display()
                .to_string()
        };
        let name = self.name;
        format!(
            "--tls-sni-cert-key={},{}:{name}.test",
            file("pem"),
            file("key")
        )
    }
}

/// A certificate and its key, signed by itself unless `more` says by whom.
fn openssl(folder: &Path, name: &str, key: &str, digest: &str, more: &str) -> Result<()> {
    let words = format!(
        "req -x509 -nodes -days 2 -subj /CN={name} -newkey {key} -{digest} -keyout {name}.key -out {name}.pem {more}"
    );
    let made = Command::new("openssl")
        .current_dir(folder)
        .args(words.split_whitespace())
        .output()
        .context("run openssl")?;
    ensure!(made.status.success(), "openssl {words}: {made:?}");
    Ok(())
}

#[tokio::test]
async fn a_certificate_is_trusted_as_go_does_or_refused_by_the_name_of_its_algorithm() -> Result<()>
{
    let folder = testbed::shared().await?.dir().join("certificates");
    std::fs::create_dir(&folder)?;
    let mut cluster = Cluster::builder();
    let mut authorities = Vec::new();
    for case in &CASES {
        authorities.push(case.make(&folder)?);
        cluster = cluster.flag(&case.flag(&folder));
    }
    let env = Isolation::vrf("certificates")
        .cluster(cluster.start().await?)
        .start()
        .await?;
    env.default_pool(60).await?;
    let mut adds = JoinSet::new();
    for (case, authority) in CASES.iter().zip(authorities) {
        let pod = env.pod(case.name).create().await?;
        let identity = env.node.identity().ca(&std::fs::read_to_string(authority)?);
        let server = format!("server: {}", env.cluster.url(0));
        let named = format!("{server}\n    tls-server-name: {}.test", case.name);
        let path = env.node.kubeconfig().with_file_name(case.name);
        std::fs::write(&path, identity.to_yaml()?.replace(&server, &named))?;
        let eth0 = env.eth0(&pod)?.ipam("kubeconfig", json!(path));
        adds.spawn(async move { (case, eth0.add().await) });
    }
    for (case, outcome) in adds.join_all().await {
        let outcome = outcome?;
        let Some(words) = case.refused else {
            outcome.success().context(case.name)?;
            continue;
        };
        ensure!(
            outcome.error_code() == INVALID_CONFIG && outcome.stdout.contains(words),
            "{}: {outcome}",
            case.name
        );
        // Once the doubt is over, which is that of a denial.
        in_time(&outcome, 20)?;
    }
    Ok(())
}
