//! The whole cluster over the wire: each call of the collector's [`Api`] as a request.

use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease as Heartbeat;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::core::Request as Path;
use kube::core::params::{DeleteParams, GetParams, ListParams, PostParams, Preconditions};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::KubeClient;
use super::request::{Response, api_error, built};
use crate::api::{IPLease, IPPool, ReservedIP, Subnet};
use crate::collector::{Api, ClaimSnapshot, LeaseSnapshot, NodeSnapshot, Page, PodSnapshot};
use crate::retry::{ApiError, ErrorKind};

mod lease;
mod node;
mod pod;

use lease::LeaseObject;
use node::{HeartbeatObject, NodeObject};
use pod::PodObject;

/// Objects of a page at most: no burden on the API server.
const MOST: u32 = 500;

/// Objects of the first page of a list, when it is not known yet how large they are.
const FIRST: u32 = 100;

/// Bytes that a page should have at most, since it is held whole: 500 pods as they usually are.
const BYTES: usize = 6 << 20;

/// Where kubelets renew the leases of their nodes.
const HEARTBEATS: &str = "kube-node-lease";

impl Api for KubeClient {
    async fn leases(&self, after: Option<&str>) -> Result<Page<LeaseSnapshot>, ApiError> {
        let page = self.page::<LeaseObject>(IPLease::url_path(&(), None), after);
        // One whose name is no address has none that could be given or taken back.
        Ok(page.await?.map(|object| object.seen().into_iter()))
    }

    async fn pods(&self, after: Option<&str>) -> Result<Page<PodSnapshot>, ApiError> {
        let page = self.page::<PodObject>(Pod::url_path(&(), None), after);
        Ok(page.await?.map(|object| [PodSnapshot::from(object)]))
    }

    async fn nodes(&self, after: Option<&str>) -> Result<Page<(Box<str>, NodeSnapshot)>, ApiError> {
        let page = self.page::<NodeObject>(Node::url_path(&(), None), after);
        Ok(page.await?.map(|object| [object.named()]))
    }

    async fn heartbeats(
        &self,
        after: Option<&str>,
    ) -> Result<Page<(Box<str>, Timestamp)>, ApiError> {
        let page = self.page::<HeartbeatObject>(Heartbeat::url_path(&(), Some(HEARTBEATS)), after);
        Ok(page.await?.map(|object| object.named().into_iter()))
    }

    async fn pools(&self, after: Option<&str>) -> Result<Page<IPPool>, ApiError> {
        self.page(IPPool::url_path(&(), None), after).await
    }

    async fn reserved(&self, after: Option<&str>) -> Result<Page<ReservedIP>, ApiError> {
        self.page(ReservedIP::url_path(&(), None), after).await
    }

    async fn subnets(&self, after: Option<&str>) -> Result<Page<Subnet>, ApiError> {
        self.page(Subnet::url_path(&(), None), after).await
    }

    async fn pod(&self, namespace: &str, name: &str) -> Result<Option<PodSnapshot>, ApiError> {
        let path = Pod::url_path(&(), Some(namespace));
        let object = self.one::<PodObject>(path, name).await?;
        Ok(object.map(PodSnapshot::from))
    }

    async fn node(&self, name: &str) -> Result<Option<NodeSnapshot>, ApiError> {
        let object = self
            .one::<NodeObject>(Node::url_path(&(), None), name)
            .await?;
        Ok(object.map(|object| object.named().1))
    }

    async fn heartbeat(&self, node: &str) -> Result<Option<Timestamp>, ApiError> {
        let path = Heartbeat::url_path(&(), Some(HEARTBEATS));
        let object = self.one::<HeartbeatObject>(path, node).await?;
        Ok(object.and_then(HeartbeatObject::named).map(|(_, at)| at))
    }

    /// There is no kind of claims yet: whoever has written one into a lease knows more than this version.
    async fn claim(&self, _: &LeaseSnapshot) -> Result<ClaimSnapshot, ApiError> {
        Ok(ClaimSnapshot::Unknown)
    }

    async fn pool(&self, name: &str) -> Result<Option<IPPool>, ApiError> {
        self.one(IPPool::url_path(&(), None), name).await
    }

    async fn write_status(&self, pool: &IPPool) -> Result<bool, ApiError> {
        let path = Path::new(IPPool::url_path(&(), None));
        let params = PostParams::default();
        let name = pool.name_any();
        self.write(path.replace_subresource("status", &name, &params, body(pool)?))
            .await
    }

    async fn reserve(&self, object: &ReservedIP) -> Result<bool, ApiError> {
        let path = Path::new(ReservedIP::url_path(&(), None));
        let params = PostParams::default();
        let request = match object.resource_version() {
            Some(_) => path.replace(&object.name_any(), &params, body(object)?),
            None => path.create(&params, body(object)?),
        };
        self.write(request).await
    }

    async fn unreserve(&self, object: &ReservedIP) -> Result<bool, ApiError> {
        let requested = Preconditions {
            uid: object.uid(),
            resource_version: object.resource_version(),
        };
        let params = DeleteParams {
            preconditions: Some(requested),
            ..DeleteParams::default()
        };
        let path = Path::new(ReservedIP::url_path(&(), None));
        self.write(path.delete(&object.name_any(), &params)).await
    }

    fn server_time(&self) -> Option<Timestamp> {
        self.server_time_of_last_answer()
    }
}

impl KubeClient {
    async fn page<T: DeserializeOwned>(
        &self,
        path: String,
        after: Option<&str>,
    ) -> Result<Page<T>, ApiError> {
        let limit = if after.is_some() {
            self.fitting.get()
        } else {
            FIRST
        };
        let params = ListParams {
            limit: Some(limit),
            continue_token: after.map(str::to_owned),
            ..ListParams::default()
        };
        let (what, answer) = self.send(built(Path::new(path).list(&params))?).await?;
        let size = answer.size();
        let Some(list) = answer.object::<ListObject<T>>(&what)? else {
            return Err(api_error(&what, ErrorKind::NotInstalled, "404 Not Found"));
        };
        self.fitting.set(fitting(list.items.len(), size));
        Ok(Page {
            items: list.items,
            next: list.metadata.next.filter(|next| !next.is_empty()),
        })
    }

    async fn one<T: DeserializeOwned>(
        &self,
        path: String,
        name: &str,
    ) -> Result<Option<T>, ApiError> {
        let request = built(Path::new(path).get(name, &GetParams::default()))?;
        let (what, answer) = self.send(request).await?;
        answer.object(&what)
    }

    async fn write(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<bool, ApiError> {
        let (_, answer) = self.send(built(request)?).await?;
        Ok(matches!(answer, Response::Done(_)))
    }
}

/// How many objects a page may have, if they are as large as so many that have so many bytes together.
fn fitting(objects: usize, bytes: usize) -> u32 {
    let fit = objects.saturating_mul(BYTES) / bytes.max(1);
    u32::try_from(fit).unwrap_or(MOST).clamp(1, MOST)
}

fn body(object: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(object).map_err(|error| api_error("an object", ErrorKind::Refused, error))
}

impl<T> Page<T> {
    fn map<I: IntoIterator>(self, seen: impl Fn(T) -> I) -> Page<I::Item> {
        Page {
            items: self.items.into_iter().flat_map(seen).collect(),
            next: self.next,
        }
    }
}

#[derive(Deserialize)]
struct ListObject<T> {
    #[serde(default)]
    metadata: ListMetadata,
    items: Vec<T>,
}

#[derive(Deserialize, Default)]
struct ListMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
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
