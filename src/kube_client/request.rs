//! Requests, as kube builds them.

use std::error::Error as StdError;
use std::time::Duration;

use http::{Request, Uri};
use kube::core::params::{ListParams, VersionMatch};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lease::Freshness;
use crate::retry::{ApiError, ErrorKind};

/// An address without what kube leaves in it where a query could be.
pub(super) fn readable(uri: &Uri) -> String {
    uri.to_string()
        .replace("?&", "?")
        .trim_end_matches('?')
        .to_owned()
}

/// How old a list may be, in the API server's terms ("resourceVersion=0": from its cache, of any
/// age).
pub(super) fn list_params(freshness: Freshness) -> ListParams {
    match freshness {
        Freshness::Cached => ListParams::default()
            .at("0")
            .matching(VersionMatch::NotOlderThan),
        Freshness::Consistent => ListParams::default(),
    }
}

/// A request that could be built; one that could not is at fault itself.
pub(super) fn built(
    request: Result<Request<Vec<u8>>, kube::core::request::Error>,
) -> Result<Request<Vec<u8>>, ApiError> {
    request.map_err(|error| api_error("a request", ErrorKind::Refused, error))
}

/// An object as it is sent.
pub(super) fn body(object: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(object).map_err(|error| api_error("an object", ErrorKind::Refused, error))
}

/// For messages: to a tenth of a second.
pub(super) fn seconds(time: Duration) -> f32 {
    (time.as_secs_f32() * 10.0).round() / 10.0
}

pub(super) fn parse<T: DeserializeOwned>(request: &str, body: &[u8]) -> Result<T, ApiError> {
    // An answer that breaks off has been noticed before; one that is whole and not understood may
    // be a proxy's page.
    serde_json::from_slice(body)
        .map_err(|error| api_error(request, ErrorKind::Transient(None), error))
}

pub(super) fn api_error(
    request: &str,
    kind: ErrorKind,
    source: impl Into<Box<dyn StdError + Send + Sync>>,
) -> ApiError {
    ApiError {
        request: request.to_owned(),
        kind,
        source: source.into(),
    }
}
