//! Answers that the proxy gives in the API server's place, in the server's own words.
//!
//! Shapes and messages are those of k8s.io/apimachinery `pkg/api/errors` and k8s.io/apiserver
//! `pkg/server/filters`.

use http::{HeaderValue, Response, StatusCode, header};
use hyper::body::Bytes;
use serde_json::json;

use super::call::Call;
use super::verb::Verb;

/// An answer with a status, and a body as the API server gives with it.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    retry_after: Option<u32>,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    /// A `Status` object.
    Status {
        reason: Option<String>,
        message: Option<String>,
    },
    Plain(String),
}

impl Answer {
    /// This status with the `Status` object that goes with it: its usual reason, and a message for
    /// this very request where the server's message is about the request.
    ///
    /// # Panics
    /// If `status` is not between 100 and 999.
    #[must_use]
    pub fn of(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a status is a number from 100 to 999"),
            retry_after: None,
            body: Body::Status {
                reason: None,
                message: None,
            },
        }
    }

    /// What priority and fairness says when its queues are full: a line of text, no `Status`.
    #[must_use]
    pub fn overloaded() -> Self {
        Self::of(429)
            .retry_after(1)
            .plain("Too many requests, please try again later.\n")
    }

    /// The answer to the first list of a kind while the watch cache of a server just started is
    /// filled.
    #[must_use]
    pub fn initializing() -> Self {
        Self::of(429)
            .retry_after(1)
            .message("storage is (re)initializing")
    }

    /// What a server says that is about to stop.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self::of(429)
            .retry_after(5)
            .plain("The apiserver is shutting down, please try again later.\n")
    }

    /// With a `Retry-After` of so many seconds, and the same in the `Status`.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// With this reason in the `Status` (`AlreadyExists` rather than `Conflict`).
    #[must_use]
    pub fn reason(mut self, reason: &str) -> Self {
        let message = match self.body {
            Body::Status { message, .. } => message,
            Body::Plain(_) => None,
        };
        let reason = Some(reason.to_owned());
        self.body = Body::Status { reason, message };
        self
    }

    /// With this message in the `Status`.
    #[must_use]
    pub fn message(mut self, message: &str) -> Self {
        let reason = match self.body {
            Body::Status { reason, .. } => reason,
            Body::Plain(_) => None,
        };
        let message = Some(message.to_owned());
        self.body = Body::Status { reason, message };
        self
    }

    /// With this text in the place of a `Status`, as load balancers and the server's outer filters
    /// answer.
    #[must_use]
    pub fn plain(mut self, text: &str) -> Self {
        self.body = Body::Plain(text.to_owned());
        self
    }

    /// The answer to `call`.
    pub(super) fn to(&self, call: &Call) -> Response<Bytes> {
        let (kind, body) = match &self.body {
            Body::Plain(text) => ("text/plain; charset=utf-8", text.clone()),
            Body::Status { reason, message } => {
                let (usual_reason, usual_message) = self.usual(call);
                let mut status = json!({
                    "kind": "Status",
                    "apiVersion": "v1",
                    "metadata": {},
                    "status": "Failure",
                    "message": message.as_deref().unwrap_or(&usual_message),
                    "reason": reason.as_deref().unwrap_or(usual_reason),
                    "code": self.status.as_u16(),
                });
                if let Some(seconds) = self.retry_after {
                    status["details"] = json!({ "retryAfterSeconds": seconds });
                }
                ("application/json", status.to_string())
            }
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    fn usual(&self, call: &Call) -> (&'static str, String) {
        let qualified = if call.group.is_empty() {
            call.resource.clone()
        } else {
            format!("{}.{}", call.resource, call.group)
        };
        let named = call
            .name
            .as_ref()
            .map_or(qualified.clone(), |name| format!("{qualified} {name:?}"));
        match self.status.as_u16() {
            401 => ("Unauthorized", "Unauthorized".to_owned()),
            403 => (
                "Forbidden",
                format!("{named} is forbidden: {}", denial(call)),
            ),
            404 => ("NotFound", format!("{named} not found")),
            409 if call.method == http::Method::POST => {
                ("AlreadyExists", format!("{named} already exists"))
            }
            409 => (
                "Conflict",
                format!("Operation cannot be fulfilled on {named}: {OUTDATED}"),
            ),
            410 => ("Expired", EXPIRED.to_owned()),
            429 => ("TooManyRequests", "storage is (re)initializing".to_owned()),
            500 => (
                "InternalError",
                "Internal error occurred: etcdserver: leader changed".to_owned(),
            ),
            503 => (
                "ServiceUnavailable",
                "the server is currently unable to handle the request".to_owned(),
            ),
            504 => (
                "Timeout",
                "Timeout: request did not complete within the allotted timeout".to_owned(),
            ),
            _ => (
                "",
                self.status
                    .canonical_reason()
                    .unwrap_or("unknown")
                    .to_owned(),
            ),
        }
    }
}

const OUTDATED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

const EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list \
    without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
    Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between \
    the time the first chunk was returned and now may show up in the list.";

fn denial(call: &Call) -> String {
    let verb = match call.verb {
        Verb::Replace => "update".to_owned(),
        Verb::Get
        | Verb::List
        | Verb::Watch
        | Verb::Create
        | Verb::Patch
        | Verb::Delete
        | Verb::DeleteCollection => call.verb.to_string(),
    };
    let place = call
        .namespace
        .as_ref()
        .map_or("at the cluster scope".to_owned(), |namespace| {
            format!("in the namespace {namespace:?}")
        });
    let Call {
        caller,
        resource,
        group,
        ..
    } = call;
    format!("User {caller:?} cannot {verb} resource {resource:?} in API group {group:?} {place}")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};

    use super::*;

    fn body(answer: &Answer, uri: &'static str) -> serde_json::Value {
        let call = Call::read(&Method::GET, &Uri::from_static(uri), &HeaderMap::new(), b"");
        serde_json::from_slice(answer.to(&call).body()).expect("JSON")
    }

    #[test]
    fn a_denial_names_who_may_not_do_what() {
        let status = body(&Answer::of(403), "/as/n1/api/v1/namespaces/web/pods/a");
        let expected = r#"pods "a" is forbidden: User "n1" cannot get resource "pods" in API group "" in the namespace "web""#;
        assert_eq!(status["message"], expected);
        assert_eq!(status["reason"], "Forbidden");
    }

    #[test]
    fn a_wait_is_told_in_the_header_and_in_the_status() {
        let answer = Answer::of(429).retry_after(7);
        assert_eq!(
            body(&answer, "/api/v1/pods")["details"]["retryAfterSeconds"],
            7
        );
        let call = Call::read(
            &Method::GET,
            &Uri::from_static("/api/v1/pods"),
            &HeaderMap::new(),
            b"",
        );
        assert_eq!(answer.to(&call).headers()[header::RETRY_AFTER], "7");
        assert_eq!(
            Answer::overloaded().to(&call).body(),
            "Too many requests, please try again later.\n"
        );
    }
}
