//! Denials, with what to do about them.

use std::path::Path;

use http::StatusCode;

/// What `deploy/rbac.yaml` grants. Its own pods and its own Node are the Node authorizer's to
/// grant.
const GRANTED: [&str; 7] = [
    "ippools",
    "reservedips",
    "subnets",
    "ipleases",
    "ipclaims",
    "ipclaims/status",
    "namespaces",
];

/// Of any kind.
const GRANTED_SUBRESOURCE: &str = "*/scale";

/// The resource that the manifest's rule names, where it has one for this.
fn granted(resource: &str) -> Option<&str> {
    let is_scale = resource.ends_with(&GRANTED_SUBRESOURCE[1..]);
    let named = if is_scale {
        GRANTED_SUBRESOURCE
    } else {
        resource
    };
    (is_scale || GRANTED.contains(&resource)).then_some(named)
}

/// A request that the API server denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forbidden {
    /// The caller's role lacks a rule.
    #[error("apply deploy/rbac.yaml: its rule that nodes may {verb} {resource} is not in force")]
    NoRule {
        /// What was tried: `list`.
        verb: String,
        /// On which resource: `ippools`.
        resource: String,
        /// The server's message.
        #[source]
        message: ServerMessage,
    },
    /// The credentials are not known, or not any more.
    #[error("renew the credentials in {kubeconfig}: the API server does not know them")]
    Stranger {
        /// Where they are from.
        kubeconfig: String,
        /// The server's message.
        #[source]
        message: ServerMessage,
    },
    /// Something else than a role is in the way: an admission policy has a message of its own.
    #[error(transparent)]
    Otherwise(ServerMessage),
}

/// The server's status and words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct ServerMessage(pub String);

impl Forbidden {
    /// What an answer of this status means, whose message is this.
    pub(super) fn new(status: StatusCode, message: String, kubeconfig: &Path) -> Self {
        if status == StatusCode::UNAUTHORIZED {
            let kubeconfig = kubeconfig.display().to_string();
            return Self::Stranger {
                kubeconfig,
                message: ServerMessage(message),
            };
        }
        match refused_by_role(&message) {
            Some((verb, resource))
                if is_node(&message)
                    && let Some(resource) = granted(resource) =>
            {
                Self::NoRule {
                    verb: verb.to_owned(),
                    resource: resource.to_owned(),
                    message: ServerMessage(message),
                }
            }
            _ => Self::Otherwise(ServerMessage(message)),
        }
    }
}

/// Verb and resource of `User "…" cannot list resource "ippools" in API group "…"`, as authorizers'
/// refusals are worded (Kubernetes, `apiserver/pkg/endpoints/handlers/responsewriters`). An
/// admission policy's begin otherwise.
fn refused_by_role(message: &str) -> Option<(&str, &str)> {
    let (_, rest) = message.split_once("\" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, _) = rest.split_once('"')?;
    Some((verb, resource))
}

/// Whether it is a node that was refused: others have other rules.
fn is_node(message: &str) -> bool {
    message.contains("User \"system:node:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The manifest has a rule for each, and names nothing else.
    #[test]
    fn what_is_granted_is_what_the_manifest_grants() {
        let manifest = include_str!("../../deploy/rbac.yaml");
        let role = manifest.split("---").next().unwrap_or_default();
        let role: serde_json::Value = serde_norway::from_str(role).expect("YAML");
        let rules = role["rules"].as_array().expect("rules");
        let resources: BTreeSet<&str> = rules
            .iter()
            .flat_map(|rule| rule["resources"].as_array().expect("resources"))
            .filter_map(|resource| resource.as_str())
            .collect();
        let ours: BTreeSet<&str> = GRANTED.into_iter().chain([GRANTED_SUBRESOURCE]).collect();
        assert_eq!(resources, ours);
    }

    #[test]
    fn a_denial_says_what_to_do_about_it() {
        let denial = |status, message: &str| {
            Forbidden::new(
                status,
                message.to_owned(),
                Path::new("/etc/kubernetes/kubelet.conf"),
            )
            .to_string()
        };
        insta::assert_snapshot!([
            denial(
                StatusCode::FORBIDDEN,
                r#"403 Forbidden: ippools.leasehold.io is forbidden: User "system:node:n1" cannot list resource "ippools" in API group "leasehold.io" at the cluster scope"#,
            ),
            denial(
                StatusCode::FORBIDDEN,
                r#"403 Forbidden: namespaces "shop" is forbidden: User "system:node:n1" cannot get resource "namespaces" in API group "" in the namespace "shop""#,
            ),
            denial(
                StatusCode::FORBIDDEN,
                r#"403 Forbidden: deployments.apps "web" is forbidden: User "system:node:n1" cannot get resource "deployments/scale" in API group "apps" in the namespace "shop""#,
            ),
            denial(StatusCode::UNAUTHORIZED, "401 Unauthorized: Unauthorized"),
            denial(
                StatusCode::FORBIDDEN,
                r#"403 Forbidden: ipleases.leasehold.io "10.0.0.7" is forbidden: ValidatingAdmissionPolicy 'leasehold-node' with binding 'leasehold-node' denied request: no pod a/b is bound to node n1"#,
            ),
            denial(
                StatusCode::FORBIDDEN,
                r#"403 Forbidden: pods is forbidden: User "mallory" cannot list resource "pods" in API group """#,
            ),
        ].join("\n"), @r#"
        apply deploy/rbac.yaml: its rule that nodes may list ippools is not in force
        apply deploy/rbac.yaml: its rule that nodes may get namespaces is not in force
        apply deploy/rbac.yaml: its rule that nodes may get */scale is not in force
        renew the credentials in /etc/kubernetes/kubelet.conf: the API server does not know them
        403 Forbidden: ipleases.leasehold.io "10.0.0.7" is forbidden: ValidatingAdmissionPolicy 'leasehold-node' with binding 'leasehold-node' denied request: no pod a/b is bound to node n1
        403 Forbidden: pods is forbidden: User "mallory" cannot list resource "pods" in API group ""
        "#);
    }
}
