//! A list, or a page of it: its objects are read one by one as they arrive, so that one which can't
//! be read spoils no other.

use std::time::Duration;

use kube::core::Request as Path;
use kube::core::params::ListParams;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::split::ListSplitter;
use crate::claim::ClaimName;
use crate::collector::{
    DerivedRequest, LeaseSnapshot, NodeSnapshot, Page, Part, Phase, PodSnapshot, StatefulSetName,
};
use crate::kube_client::KubeClient;
use crate::kube_client::answer::Response;
use crate::kube_client::request::{api_error, built};
use crate::lease::State;
use crate::retry::{ApiError, ErrorKind};

/// Objects of a page: no burden on the API server.
const PAGE: u32 = 500;

impl KubeClient {
    /// A part of a list. `read` converts an object, `None`: not of interest; `present` what one
    /// that can't be read counts as.
    pub(super) async fn list_part<T: DeserializeOwned, I>(
        &self,
        path: String,
        params: ListParams,
        part: Part<'_>,
        read: impl Fn(T) -> Result<Option<I>, String>,
        present: impl Fn(Identity) -> Option<I>,
    ) -> Result<Page<I>, ApiError> {
        let params = match part {
            Part::Whole => params,
            Part::First => params.limit(PAGE),
            Part::After(token) => params.limit(PAGE).continue_token(token),
        };
        let (mut items, mut unreadable, mut garbled) = (Vec::new(), Vec::new(), None);
        let mut found = |object: &[u8]| {
            let parsed = serde_json::from_slice::<T>(object).map_err(|error| error.to_string());
            match parsed.and_then(&read) {
                Ok(item) => items.extend(item),
                Err(problem) => match serde_json::from_slice(object) {
                    Ok(Object { metadata }) => {
                        unreadable.push((metadata.full_name(), problem));
                        items.extend(present(metadata));
                    }
                    Err(error) => garbled = Some(error),
                },
            }
        };
        let mut splitter = ListSplitter::default();
        let request = built(Path::new(path).list(&params))?;
        let answer = self.stream(request, |bytes| splitter.push(bytes, &mut found));
        let (what, answer) = answer.await?;
        if !matches!(answer, Response::Done(_)) {
            return Err(api_error(&what, ErrorKind::NotInstalled, "404 Not Found"));
        }
        let next = match garbled {
            None => splitter.end(),
            Some(error) => Err(error),
        };
        let problem = |(name, problem)| {
            format!("{name} of the list {what} could not be read and is left as it is: {problem}")
        };
        Ok(Page {
            items,
            unreadable: unreadable.into_iter().map(problem).collect(),
            next: next.map_err(|error| api_error(&what, ErrorKind::Transient(None), error))?,
        })
    }
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
    fn full_name(&self) -> String {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        format!("{}{slash}{}", self.namespace, self.name)
    }

    /// A lease that is there: its address is taken.
    pub fn lease(self) -> Option<LeaseSnapshot> {
        Some(LeaseSnapshot {
            name: self.name.parse().ok()?,
            uid: self.uid.into(),
            version: self.resource_version.into(),
            state: State::Unknown,
            pool: String::new().into(),
            holder: None,
            shared: false,
            deleting: false,
            claim: None,
            held_since: None,
            released_at: None,
            over: None,
            termination: Duration::ZERO,
        })
    }

    /// A claim that is there.
    pub fn claim(self) -> ClaimName {
        ClaimName {
            namespace: self.namespace.into(),
            name: self.name.into(),
        }
    }

    /// A StatefulSet that is there.
    pub fn stateful_set(self) -> StatefulSetName {
        (self.namespace, self.name)
    }

    /// A pod that lives, and that may ask for a set.
    pub fn pod(self) -> PodSnapshot {
        PodSnapshot {
            namespace: self.namespace.into(),
            name: self.name.into(),
            uid: self.uid.into(),
            mirrors: None,
            node: "".into(),
            phase: Phase::Other,
            deleting: false,
            containers_ended: false,
            termination: Duration::ZERO,
            addresses: Vec::new(),
            claim: None,
            sticky: None,
            derived: Some(Box::new(DerivedRequest {
                application: None,
                size: None,
                subnets: None,
            })),
            attached: None,
        }
    }

    /// A node that is not Ready.
    pub fn node(self) -> (Box<str>, NodeSnapshot) {
        (self.name, NodeSnapshot::default())
    }
}
