//! What a request asks of the API server, read from its method, address and headers.
//!
//! Everything here is a function of its arguments and follows the server's own reading of a path
//! (`RequestInfo` in k8s.io/apiserver). It does not know whether the server will agree: a path that
//! names no resource has an empty one.

use std::fmt;

use http::{HeaderMap, Method, Uri, header};
use serde::Deserialize;

use super::verb::Verb;

/// One request as the rules and the log see it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who asks: the name in the address (see [`Proxy::url_for`](super::Proxy::url_for)), else the
    /// name given to the bearer token, else the token itself; empty without any.
    pub caller: String,
    /// The method as sent.
    pub method: Method,
    /// What is asked for.
    pub verb: Verb,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource in plural, with its subresource as RBAC writes it (`ippools/status`); empty
    /// where the path names none.
    pub resource: String,
    /// The namespace, where the path has one.
    pub namespace: Option<String>,
    /// The object's name; of a create, the one in its JSON body.
    pub name: Option<String>,
    /// Path and query, without the caller's name.
    pub path: String,
    /// All headers as sent.
    pub headers: HeaderMap,
}

/// What stands before the caller's name in an address; the API server does not see it.
pub(super) const CALLER_PREFIX: &str = "/as/";

impl Call {
    /// Reads a request whose body is there in full.
    pub(super) fn read(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Self {
        let (label, path) = split_caller(uri);
        let (plain, query) = path.split_once('?').unwrap_or((&path, ""));
        let target = Target::of(plain);
        let name = match target.name {
            Some(name) => Some(name.to_owned()),
            None if *method == Method::POST => name_inside(body),
            None => None,
        };
        Self {
            caller: label.or_else(|| bearer(headers)).unwrap_or_default(),
            method: method.clone(),
            verb: verb(method, &target, query),
            group: target.group.to_owned(),
            resource: match target.subresource {
                Some(sub) => format!("{}/{sub}", target.resource),
                None => target.resource.to_owned(),
            },
            namespace: target.namespace.map(str::to_owned),
            name,
            headers: headers.clone(),
            path,
        }
    }

    /// The query's pairs as sent, nothing decoded.
    pub fn query(&self) -> impl Iterator<Item = &str> {
        self.path
            .split_once('?')
            .map_or("", |(_, query)| query)
            .split('&')
            .filter(|pair| !pair.is_empty())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        match &self.name {
            Some(name) if self.method == Method::POST => write!(f, " ({name})"),
            Some(_) | None => Ok(()),
        }
    }
}

/// The parts of a path that name something.
#[derive(Debug, Default, PartialEq, Eq)]
struct Target<'a> {
    group: &'a str,
    resource: &'a str,
    subresource: Option<&'a str>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => return Self::default(),
        };
        let (namespace, rest) = match rest {
            // These two are parts of the Namespace itself; whatever else stands there is a kind
            // inside it.
            ["namespaces", namespace] | ["namespaces", namespace, "status" | "finalize"] => {
                (Some(*namespace), rest)
            }
            ["namespaces", namespace, inside @ ..] => (Some(*namespace), inside),
            _ => (None, rest),
        };
        Self {
            group,
            resource: rest.first().copied().unwrap_or_default(),
            subresource: rest.get(2).copied(),
            namespace,
            name: rest.get(1).copied(),
        }
    }
}

fn verb(method: &Method, target: &Target<'_>, query: &str) -> Verb {
    let collection = !target.resource.is_empty() && target.name.is_none();
    let watches = || {
        query
            .split('&')
            .any(|pair| matches!(pair, "watch=true" | "watch=1"))
    };
    match *method {
        Method::POST => Verb::Create,
        Method::PUT => Verb::Replace,
        Method::PATCH => Verb::Patch,
        Method::DELETE if collection => Verb::DeleteCollection,
        Method::DELETE => Verb::Delete,
        _ if collection && watches() => Verb::Watch,
        _ if collection => Verb::List,
        _ => Verb::Get,
    }
}

fn split_caller(uri: &Uri) -> (Option<String>, String) {
    let whole = uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let Some(labeled) = whole.strip_prefix(CALLER_PREFIX) else {
        return (None, whole.to_owned());
    };
    let (label, rest) = labeled.split_at(labeled.find(['/', '?']).unwrap_or(labeled.len()));
    let path = if rest.starts_with('/') {
        rest.to_owned()
    } else {
        format!("/{rest}")
    };
    (Some(label.to_owned()), path)
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    Some(value.strip_prefix("Bearer ")?.trim().to_owned())
}

/// The name in an object that is to be created; a body that is not JSON has none that we can read.
fn name_inside(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        name: Option<String>,
    }
    serde_json::from_slice::<Object>(body).ok()?.metadata.name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(method: &Method, uri: &str) -> Call {
        Call::read(
            method,
            &uri.parse().expect("a path"),
            &HeaderMap::new(),
            b"{\"metadata\":{\"name\":\"inside\"}}",
        )
    }

    #[test]
    fn a_path_is_read_as_the_api_server_reads_it() {
        let rows = [
            ("GET", "/api/v1/namespaces/web/pods/a", "get pods web a"),
            (
                "GET",
                "/api/v1/namespaces/web/pods?limit=500",
                "list pods web -",
            ),
            (
                "GET",
                "/api/v1/pods?fieldSelector=x&watch=true",
                "watch pods - -",
            ),
            ("GET", "/api/v1/namespaces/web", "get namespaces web web"),
            (
                "PUT",
                "/api/v1/namespaces/web/finalize",
                "replace namespaces/finalize web web",
            ),
            (
                "GET",
                "/apis/leasehold.io/v1alpha1/ipleases",
                "list ipleases - -",
            ),
            (
                "POST",
                "/apis/leasehold.io/v1alpha1/ipleases",
                "create ipleases - inside",
            ),
            (
                "PUT",
                "/apis/leasehold.io/v1alpha1/ippools/a/status",
                "replace ippools/status - a",
            ),
            (
                "DELETE",
                "/apis/leasehold.io/v1alpha1/ipleases/10.0.0.1",
                "delete ipleases - 10.0.0.1",
            ),
            (
                "DELETE",
                "/apis/leasehold.io/v1alpha1/ipleases",
                "deletecollection ipleases - -",
            ),
            ("GET", "/readyz", "get  - -"),
            ("GET", "/apis/leasehold.io/v1alpha1", "get  - -"),
        ];
        for (method, uri, expected) in rows {
            let call = call(&method.parse().expect("a method"), uri);
            let or_dash = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
            let read = format!(
                "{} {} {} {}",
                call.verb,
                call.resource,
                or_dash(&call.namespace),
                or_dash(&call.name)
            );
            assert_eq!(read, expected, "{method} {uri}");
        }
    }

    #[test]
    fn a_caller_named_in_the_address_is_taken_out_of_it() {
        let call = call(&Method::GET, "/as/add-1/api/v1/nodes/n1?x=y");
        assert_eq!(
            (call.caller.as_str(), call.path.as_str()),
            ("add-1", "/api/v1/nodes/n1?x=y")
        );
        assert_eq!(call.resource, "nodes");
    }

    #[test]
    fn a_caller_not_named_is_its_token() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            "Bearer of-n1".parse().expect("a header"),
        );
        let call = Call::read(&Method::GET, &Uri::from_static("/api"), &headers, b"");
        assert_eq!(call.caller, "of-n1");
    }
}
