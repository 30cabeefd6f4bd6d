//! What a kubeconfig leads to: a server, whom to trust there, and as whom to come.
//!
//! Reads what client-go reads, in its order of precedence, and refuses by name what would make a
//! different caller of us or lead elsewhere (`as`, `proxy-url`). Files are read here; no program is
//! run.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::uri::{Authority, Scheme};
use kube::config::{AuthInfo, Cluster, ExecConfig, Kubeconfig};
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use tower::BoxError;

use super::certificate::{self, KeyPair};

/// A server and how to talk to it.
pub(super) struct Access {
    pub server: Server,
    /// In the place of the system's certificate authorities.
    pub ca: Option<Vec<u8>>,
    /// Whether any certificate will do.
    pub insecure: bool,
    pub identity: Identity,
}

/// Where the API server is.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub scheme: Scheme,
    pub authority: Authority,
    /// In front of each path: `/k8s/clusters/c-1` behind some gateways.
    pub prefix: String,
    /// The name that its certificate is for.
    pub name: ServerName<'static>,
}

/// As whom to come.
#[derive(Default)]
pub(super) struct Identity {
    /// The value of the header `Authorization`.
    pub authorization: Option<String>,
    pub certificate: Option<KeyPair>,
    /// A program that returns the rest.
    pub exec: Option<ExecConfig>,
}

impl Access {
    pub fn of(kubeconfig: &Kubeconfig) -> Result<Self, BoxError> {
        let (cluster, user) = context(kubeconfig)?;
        // Its value may hold a password.
        if cluster
            .proxy_url
            .as_deref()
            .is_some_and(|url| !url.is_empty())
        {
            return Err("it has a proxy-url, which is not supported".into());
        }
        Ok(Self {
            server: Server::of(cluster)?,
            ca: authority(cluster)?,
            insecure: cluster.insecure_skip_tls_verify == Some(true),
            identity: Identity::of(user, cluster)?,
        })
    }
}

/// The cluster and the user of the current context. Without one, of the first context that has
/// both: some installers leave `current-context` empty.
fn context(kubeconfig: &Kubeconfig) -> Result<(&Cluster, Option<&AuthInfo>), BoxError> {
    let named = kubeconfig.current_context.as_deref().unwrap_or_default();
    let cluster = |name: &str| {
        let named = kubeconfig.clusters.iter().find(|c| c.name == name)?;
        named.cluster.as_ref()
    };
    let user = |name: Option<&String>| {
        let named = kubeconfig
            .auth_infos
            .iter()
            .find(|u| Some(&u.name) == name)?;
        named.auth_info.as_ref()
    };
    let contexts = kubeconfig.contexts.iter().filter_map(|named| {
        let context = named.context.as_ref()?;
        Some((named.name.as_str(), context))
    });
    if !named.is_empty() {
        let (_, context) = contexts
            .into_iter()
            .find(|(name, _)| *name == named)
            .ok_or_else(|| format!("it has no context {:?}", crate::text::shown(named)))?;
        let cluster = cluster(&context.cluster).ok_or_else(|| {
            let name = crate::text::shown(&context.cluster);
            format!("its context {named:?} names cluster {name:?}, which it does not have")
        })?;
        return Ok((cluster, user(context.user.as_ref())));
    }
    let mut usable = contexts.filter_map(|(_, context)| {
        Some((cluster(&context.cluster)?, user(context.user.as_ref())?))
    });
    match usable.next() {
        Some((cluster, user)) => Ok((cluster, Some(user))),
        None => Err("it has no current-context, and no context with a cluster and a user".into()),
    }
}

impl Server {
    /// Without a scheme it is HTTPS where anything of TLS is configured, as in client-go.
    fn of(cluster: &Cluster) -> Result<Self, BoxError> {
        let url = cluster.server.as_deref().unwrap_or_default().trim();
        if url.is_empty() {
            return Err("its cluster has no server".into());
        }
        let with_scheme = if url.contains("://") {
            url.to_owned()
        } else {
            let tls = cluster.certificate_authority.is_some()
                || cluster.certificate_authority_data.is_some()
                || cluster.insecure_skip_tls_verify == Some(true);
            format!("{}://{url}", if tls { "https" } else { "http" })
        };
        // What is before it may be a password.
        let without_user = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
        let wrong = |why: &str| format!("its server {:?} {why}", crate::text::shown(without_user));
        let uri: Uri = with_scheme
            .parse()
            .map_err(|error| wrong(&format!("is not a URL: {error}")))?;
        let scheme = uri.scheme().cloned().unwrap_or(Scheme::HTTPS);
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(wrong("is neither HTTPS nor HTTP").into());
        }
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("has a user before its host, which is not supported").into());
        }
        let name = cluster
            .tls_server_name
            .as_deref()
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| host(authority));
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| wrong("has a host that is neither a name nor an address"))?;
        Ok(Self {
            scheme,
            authority: authority.clone(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            name,
        })
    }

    /// Its host: a name or an address without brackets.
    pub fn host(&self) -> &str {
        host(&self.authority)
    }

    pub fn port(&self) -> u16 {
        let default = if self.is_tls() { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(default)
    }

    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// As messages show it.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

fn host(authority: &Authority) -> &str {
    let host = authority.host();
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

impl Identity {
    /// Whether the server can't know who comes.
    pub fn is_anonymous(&self) -> bool {
        self.authorization.is_none() && self.certificate.is_none() && self.exec.is_none()
    }

    fn of(user: Option<&AuthInfo>, cluster: &Cluster) -> Result<Self, BoxError> {
        let Some(user) = user else {
            return Ok(Self::default());
        };
        refuse_impersonation(user)?;
        if let Some(provider) = &user.auth_provider {
            let name = crate::text::shown(&provider.name);
            return Err(format!(
                "its user has auth-provider {name}, which Kubernetes has removed: use exec"
            )
            .into());
        }
        Ok(Self {
            authorization: authorization(user)?,
            certificate: key_pair(user)?,
            exec: user.exec.clone().map(|mut exec| {
                if exec.provide_cluster_info {
                    exec.cluster = cluster.try_into().ok();
                }
                exec
            }),
        })
    }
}

/// The user that would be impersonated is not the node whose leases a policy lets it write.
fn refuse_impersonation(user: &AuthInfo) -> Result<(), BoxError> {
    let fields = [
        (
            "as",
            user.impersonate
                .as_ref()
                .is_some_and(|name| !name.is_empty()),
        ),
        (
            "as-uid",
            user.impersonate_uid
                .as_ref()
                .is_some_and(|uid| !uid.is_empty()),
        ),
        (
            "as-groups",
            user.impersonate_groups
                .as_ref()
                .is_some_and(|groups| !groups.is_empty()),
        ),
        (
            "as-user-extra",
            user.impersonate_user_extra
                .as_ref()
                .is_some_and(|extra| !extra.is_empty()),
        ),
    ];
    match fields.into_iter().find(|(_, set)| *set) {
        Some((field, _)) => {
            Err(format!("its user has {field}: impersonation is not supported").into())
        }
        None => Ok(()),
    }
}

/// The token in a file comes before the one beside it, as in client-go, since only the file is
/// renewed.
fn authorization(user: &AuthInfo) -> Result<Option<String>, BoxError> {
    let inline = user
        .token
        .as_ref()
        .map(|token| token.expose_secret().trim());
    let file = user.token_file.as_deref().filter(|path| !path.is_empty());
    if let Some(path) = file {
        match fs::read_to_string(path) {
            Ok(token) if !token.trim().is_empty() => {
                return Ok(Some(format!("Bearer {}", token.trim())));
            }
            Ok(_) if inline.is_none_or(str::is_empty) => {
                return Err(format!("its token file {path} is empty").into());
            }
            Err(error) if inline.is_none_or(str::is_empty) => {
                return Err(format!("its token file {path} cannot be read: {error}").into());
            }
            Ok(_) | Err(_) => {}
        }
    }
    if let Some(token) = inline.filter(|token| !token.is_empty()) {
        return Ok(Some(format!("Bearer {token}")));
    }
    match (user.username.as_deref(), &user.password) {
        (Some(name), Some(password)) if !name.is_empty() => {
            let pair = format!("{name}:{}", password.expose_secret());
            Ok(Some(format!("Basic {}", STANDARD.encode(pair))))
        }
        _ => Ok(None),
    }
}

fn authority(cluster: &Cluster) -> Result<Option<Vec<u8>>, BoxError> {
    data_or_file(
        "certificate-authority",
        cluster.certificate_authority_data.as_deref(),
        cluster.certificate_authority.as_deref(),
    )
}

/// The client's certificate. Where it has expired and kubelet has a newer one, that: the kubeconfig
/// of a cluster's first node may bear the one of the day of its installation for ever, while
/// kubelet uses what it rotates.
fn key_pair(user: &AuthInfo) -> Result<Option<KeyPair>, BoxError> {
    let chain = data_or_file(
        "client-certificate",
        user.client_certificate_data.as_deref(),
        user.client_certificate.as_deref(),
    )?;
    let Some(chain) = chain else {
        return Ok(None);
    };
    let key_data = user
        .client_key_data
        .as_ref()
        .map(ExposeSecret::expose_secret);
    let key = data_or_file("client-key", key_data, user.client_key.as_deref())?
        .ok_or("its user has a client-certificate and no client-key")?;
    let pair = KeyPair::of(&chain, &key)?;
    if pair.has_expired() {
        return Ok(Some(certificate::rotated().unwrap_or(pair)));
    }
    Ok(Some(pair))
}

/// Base64 may come in several lines, as Go's decoder takes it.
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, BoxError> {
    let text: String = text.split(['\n', '\r', ' ', '\t']).collect();
    STANDARD.decode(text).map_err(|_| "it is not base64".into())
}

fn data_or_file(
    field: &str,
    data: Option<&str>,
    file: Option<&str>,
) -> Result<Option<Vec<u8>>, BoxError> {
    if let Some(data) = data.filter(|data| !data.trim().is_empty()) {
        let bytes =
            decoded(data).map_err(|why| format!("its {field}-data cannot be read: {why}"))?;
        return Ok(Some(bytes));
    }
    match file.filter(|file| !file.is_empty()) {
        Some(file) => match fs::read(file) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(format!("its {field} {file} cannot be read: {error}").into()),
        },
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
