//! Replies kept to be given again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Response, header};
use hyper::body::Bytes;

use super::call::Call;
use super::lock;

/// The first reply to each read. Reads are the same if their path, their query and the forms they
/// accept are.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    kept: Arc<Mutex<HashMap<String, Response<Bytes>>>>,
}

impl Memory {
    /// What was kept for this read.
    pub(super) fn recall(&self, call: &Call) -> Option<Response<Bytes>> {
        lock(&self.kept).get(&key(call)).cloned()
    }

    /// Keeps a reply, unless one is there already: of two at once the first stays.
    pub(super) fn keep(&self, call: &Call, reply: Response<Bytes>) {
        lock(&self.kept).entry(key(call)).or_insert(reply);
    }
}

fn key(call: &Call) -> String {
    let accepted = |headers: &HeaderMap, name| {
        headers
            .get(name)
            .map(|value| format!("{value:?}"))
            .unwrap_or_default()
    };
    [
        call.method.to_string(),
        call.path.clone(),
        accepted(&call.headers, header::ACCEPT),
        accepted(&call.headers, header::ACCEPT_ENCODING),
    ]
    .join(" ")
}
