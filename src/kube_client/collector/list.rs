//! A page of a list: its objects are read one by one, so that one which can't be read spoils no other.

use std::time::Duration;

use kube::core::Request as Path;
use kube::core::params::ListParams;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::collector::{LeaseSnapshot, NodeSnapshot, Page, Phase, PodSnapshot};
use crate::kube_client::KubeClient;
use crate::kube_client::answer::Response;
use crate::kube_client::request::{api_error, built};
use crate::lease::State;
use crate::retry::{ApiError, ErrorKind};

/// Objects of a page at most: no burden on the API server.
const MOST: u32 = 500;

/// Objects of the first page of a list, when it is not known yet how large they are.
const FIRST: u32 = 100;

/// Bytes that a page should have at most, since it is held whole: 500 pods as they usually are.
const BYTES: usize = 6 << 20;

impl KubeClient {
    /// A page. `read` says what an object means, `None`: nothing here; `present` what one that can't be read counts as.
    pub(super) async fn page<T: DeserializeOwned, I>(
        &self,
        path: String,
        params: ListParams,
        after: Option<&str>,
        read: impl Fn(T) -> Result<Option<I>, String>,
        present: impl Fn(Identity) -> Option<I>,
    ) -> Result<Page<I>, ApiError> {
        let limit = if after.is_some() {
            self.fitting.get()
        } else {
            FIRST
        };
        let params = ListParams {
            limit: Some(limit),
            continue_token: after.map(str::to_owned),
            ..params
        };
        let (what, answer) = self.send(built(Path::new(path).list(&params))?).await?;
        let Response::Done(body) = answer else {
            return Err(api_error(&what, ErrorKind::NotInstalled, "404 Not Found"));
        };
        let list: ListObject<'_> = serde_json::from_slice(&body)
            .map_err(|error| api_error(&what, ErrorKind::Transient(None), error))?;
        self.fitting.set(fitting(list.items.len(), body.len()));
        let mut page = Page {
            items: Vec::with_capacity(list.items.len()),
            unreadable: Vec::new(),
            next: list.metadata.next.filter(|next| !next.is_empty()),
        };
        for raw in list.items {
            let object = serde_json::from_str::<T>(raw.get()).map_err(|error| error.to_string());
            match object.and_then(&read) {
                Ok(item) => page.items.extend(item),
                Err(problem) => {
                    let Object { metadata } = serde_json::from_str(raw.get()).unwrap_or_default();
                    page.unreadable.push(metadata.problem(&what, &problem));
                    page.items.extend(present(metadata));
                }
            }
        }
        Ok(page)
    }
}

/// How many objects a page may have, if they are as large as so many that have so many bytes together.
fn fitting(objects: usize, bytes: usize) -> u32 {
    let fit = objects.saturating_mul(BYTES) / bytes.max(1);
    u32::try_from(fit).unwrap_or(MOST).clamp(1, MOST)
}

#[derive(Deserialize)]
struct ListObject<'a> {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct ListMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Object {
    metadata: Identity,
}

/// What is known of an object that can't be read.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Identity {
    namespace: Box<str>,
    name: Box<str>,
    uid: Box<str>,
    resource_version: Box<str>,
}

impl Identity {
    fn problem(&self, list: &str, problem: &str) -> String {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        format!(
            "{}{slash}{} of the list {list} could not be read and is left as it is: {problem}",
            self.namespace, self.name
        )
    }

    /// A lease that is there: its address is taken.
    pub fn lease(self) -> Option<LeaseSnapshot> {
        Some(LeaseSnapshot {
            name: self.name.parse().ok()?,
            uid: self.uid,
            version: self.resource_version,
            state: State::Unknown,
            pool: String::new().into(),
            holder: None,
            shared: false,
            claim: None,
            held_since: None,
            over: None,
            termination: Duration::ZERO,
        })
    }

    /// A pod that lives.
    pub fn pod(self) -> PodSnapshot {
        PodSnapshot {
            namespace: self.namespace,
            name: self.name,
            uid: self.uid,
            mirrors: None,
            node: Box::default(),
            phase: Phase::Other,
            deleting: false,
            containers_ended: false,
            termination: Duration::ZERO,
            addresses: Vec::new(),
            attached: None,
        }
    }

    /// A node that is not Ready.
    pub fn node(self) -> (Box<str>, NodeSnapshot) {
        (self.name, NodeSnapshot::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_as_many_objects_as_fit_and_never_none() {
        for (objects, bytes, expected) in [
            (100, 75_600, MOST),
            (100, 1_000_000, MOST),
            (100, 20_000_000, 31),
            (1, 100_000_000, 1),
            (0, 200, 1),
            (0, 0, 1),
            (usize::MAX, 1, MOST),
        ] {
            assert_eq!(fitting(objects, bytes), expected, "{objects} in {bytes}");
        }
    }
}
