//! The whole cluster over the wire: each call of the collector's [`Api`] as a request.

use std::collections::HashSet;

use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease as Heartbeat;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod};
use kube::core::Request as Path;
use kube::core::params::{DeleteParams, GetParams, ListParams, PostParams, Preconditions};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::KubeClient;
use super::answer::Response;
use super::labeled::LabeledObject;
use super::pod::PodObject;
use super::request::{api_error, body, built};
use crate::api::{ClaimOwner, IPClaim, IPLease, IPPool, ReservedIP, Subnet};
use crate::claim::{Claim, ClaimName};
use crate::collector::{
    Api, ApplicationSnapshot, ClaimSnapshot, ConfigMapSnapshot, LeaseSnapshot, NodeSnapshot,
    Notice, Page, Part, PodSnapshot, SharedTexts, StatefulSetName, StatefulSetSnapshot, Uid,
};
use crate::lease::StoredLease;
use crate::retry::{ApiError, ErrorKind};
use crate::select::{Labels, ObjectMetadata};

mod application;
mod config_map;
mod event;
mod list;
mod node;
mod split;
mod stateful_set;

use config_map::ConfigMapObject;
use event::EventObject;
use list::Identity;
use node::{HeartbeatObject, NodeObject};
use stateful_set::StatefulSetObject;

/// Where kubelets renew the leases of their nodes.
const HEARTBEATS: &str = "kube-node-lease";

impl Api for KubeClient {
    async fn leases(
        &self,
        part: Part<'_>,
        texts: &SharedTexts,
    ) -> Result<Page<LeaseSnapshot>, ApiError> {
        let read = |object: IPLease| {
            let stored = StoredLease::try_from(object);
            let stored = stored.map_err(|error| error.to_string())?;
            Ok(Some(LeaseSnapshot::of(stored, texts)))
        };
        let params = ListParams::default();
        self.list_part(
            IPLease::url_path(&(), None),
            params,
            part,
            read,
            Identity::lease,
        )
        .await
    }

    async fn pods(
        &self,
        part: Part<'_>,
        texts: &SharedTexts,
    ) -> Result<Page<PodSnapshot>, ApiError> {
        let read = |object: PodObject| Ok(Some(object.snapshot(texts)?));
        let params = ListParams::default();
        self.list_part(Pod::url_path(&(), None), params, part, read, |it| {
            Some(it.pod())
        })
        .await
    }

    async fn nodes(&self, part: Part<'_>) -> Result<Page<(Box<str>, NodeSnapshot)>, ApiError> {
        let read = |object: NodeObject| Ok(Some(object.named()));
        let params = ListParams::default();
        self.list_part(Node::url_path(&(), None), params, part, read, |it| {
            Some(it.node())
        })
        .await
    }

    async fn heartbeats(&self, part: Part<'_>) -> Result<Page<(Box<str>, Box<str>)>, ApiError> {
        let path = Heartbeat::url_path(&(), Some(HEARTBEATS));
        let read = |object: HeartbeatObject| Ok(Some(object.named()));
        self.list_part(path, ListParams::default(), part, read, |_| None)
            .await
    }

    async fn pools(&self, part: Part<'_>) -> Result<Page<IPPool>, ApiError> {
        self.objects(IPPool::url_path(&(), None), part).await
    }

    async fn reserved(&self, part: Part<'_>) -> Result<Page<ReservedIP>, ApiError> {
        self.objects(ReservedIP::url_path(&(), None), part).await
    }

    async fn subnets(&self, part: Part<'_>) -> Result<Page<Subnet>, ApiError> {
        self.objects(Subnet::url_path(&(), None), part).await
    }

    async fn claims(&self, part: Part<'_>) -> Result<Page<(ClaimName, Option<Claim>)>, ApiError> {
        let read = |object: IPClaim| {
            let claim = Claim::try_from(object).map_err(|error| error.to_string())?;
            Ok(Some((claim.name.clone(), Some(claim))))
        };
        let path = IPClaim::url_path(&(), None);
        self.list_part(path, ListParams::default(), part, read, |it| {
            Some((it.claim(), None))
        })
        .await
    }

    async fn stateful_sets(
        &self,
        part: Part<'_>,
    ) -> Result<Page<(StatefulSetName, Option<StatefulSetSnapshot>)>, ApiError> {
        let read = |object: StatefulSetObject| {
            let (name, set) = object.named();
            Ok(Some((name, Some(set))))
        };
        let path = StatefulSet::url_path(&(), None);
        self.list_part(path, ListParams::default(), part, read, |it| {
            Some((it.stateful_set(), None))
        })
        .await
    }

    async fn failed_teardowns(&self, since: Timestamp) -> Result<HashSet<Uid>, ApiError> {
        let mut uids = HashSet::new();
        let mut after: Option<String> = None;
        loop {
            let params = ListParams::default().fields("reason=FailedKillPod");
            let read = |event: EventObject| Ok(event.of_pod_since(since));
            let path = Event::url_path(&(), None);
            // No API server has them in its watch cache: a page takes no more from etcd than the
            // whole list would.
            let part = after.as_deref().map_or(Part::First, Part::After);
            let page = self.list_part(path, params, part, read, |_| None);
            let page = page.await?;
            uids.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(uids);
            }
        }
    }

    async fn pod(&self, namespace: &str, name: &str) -> Result<Option<PodSnapshot>, ApiError> {
        let path = Pod::url_path(&(), Some(namespace));
        let object = self.one::<PodObject>(path, name).await?;
        let read = object.map(|object| object.snapshot(&SharedTexts::default()));
        let read = read.transpose();
        read.map_err(|problem| api_error(name, ErrorKind::Transient(None), problem))
    }

    async fn node(&self, name: &str) -> Result<Option<NodeSnapshot>, ApiError> {
        let path = Node::url_path(&(), None);
        let object = self.one::<NodeObject>(path, name).await?;
        Ok(object.map(|object| object.named().1))
    }

    async fn claim(&self, lease: &LeaseSnapshot) -> Result<ClaimSnapshot, ApiError> {
        let Some(claim) = &lease.claim else {
            return Ok(ClaimSnapshot::Unknown);
        };
        if let Some(owner) = claim.stateful_set() {
            let path = StatefulSet::url_path(&(), Some(&claim.namespace));
            let object = self.one::<StatefulSetObject>(path, &owner.name).await?;
            let set = object.map(|object| Some(object.named().1));
            return Ok(ClaimSnapshot::of_slot(claim, set.as_ref()));
        }
        let Some(name) = ClaimName::of(claim) else {
            return Ok(ClaimSnapshot::Unknown);
        };
        let path = IPClaim::url_path(&(), Some(&name.namespace));
        let object = self.one::<IPClaim>(path, &name.name).await?;
        let claim = object.map(|object| Claim::try_from(object).ok());
        Ok(ClaimSnapshot::of(claim.as_ref(), lease.name.address))
    }

    async fn application(
        &self,
        namespace: &str,
        application: &ClaimOwner,
    ) -> Result<ApplicationSnapshot, ApiError> {
        self.read_application(namespace, application).await
    }

    async fn pool(&self, name: &str) -> Result<Option<IPPool>, ApiError> {
        self.one(IPPool::url_path(&(), None), name).await
    }

    async fn subnet(&self, name: &str) -> Result<Option<Subnet>, ApiError> {
        self.one(Subnet::url_path(&(), None), name).await
    }

    async fn namespace(&self, name: &str) -> Result<ObjectMetadata, ApiError> {
        self.metadata_of(Namespace::url_path(&(), None), name).await
    }

    async fn node_labels(&self, name: &str) -> Result<Labels, ApiError> {
        let node = self.metadata_of(Node::url_path(&(), None), name).await?;
        Ok(node.labels)
    }

    async fn config_map(&self, namespace: &str, name: &str) -> Result<ConfigMapSnapshot, ApiError> {
        let path = ConfigMap::url_path(&(), Some(namespace));
        let object = self.one::<ConfigMapObject>(path, name).await?;
        Ok(object.map(ConfigMapSnapshot::from).unwrap_or_default())
    }

    async fn write_status(&self, pool: &IPPool) -> Result<bool, ApiError> {
        self.replace_status(pool).await
    }

    async fn write_subnet_status(&self, subnet: &Subnet) -> Result<bool, ApiError> {
        self.replace_status(subnet).await
    }

    async fn delete_claim(&self, claim: &IPClaim) -> Result<bool, ApiError> {
        let params = exactly(claim);
        let namespace = claim.namespace().unwrap_or_default();
        let path = Path::new(IPClaim::url_path(&(), Some(&namespace)));
        self.write(path.delete(&claim.name_any(), &params)).await
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
        let params = exactly(object);
        let path = Path::new(ReservedIP::url_path(&(), None));
        self.write(path.delete(&object.name_any(), &params)).await
    }

    async fn write_config_map(
        &self,
        namespace: &str,
        name: &str,
        content: &ConfigMapSnapshot,
    ) -> Result<bool, ApiError> {
        let path = Path::new(ConfigMap::url_path(&(), Some(namespace)));
        let params = PostParams::default();
        let object = body(&config_map::object(namespace, name, content))?;
        if content.version.is_some() {
            return self.write(path.replace(name, &params, object)).await;
        }
        let (what, answer) = self.send(built(path.create(&params, object))?).await?;
        match answer {
            Response::Done(_) => Ok(true),
            Response::Conflict => Ok(false),
            Response::Absent => Err(api_error(
                &what,
                ErrorKind::Refused,
                format!(
                    "there is no namespace {namespace}: create it, or name another one with --namespace"
                ),
            )),
        }
    }

    async fn record(&self, notice: &Notice) -> Result<(), ApiError> {
        let at = self
            .server_time_of_last_answer()
            .unwrap_or_else(Timestamp::now);
        self.write(event::request(notice, at)).await.map(drop)
    }

    fn server_time(&self) -> Option<Timestamp> {
        self.server_time_of_last_answer()
    }
}

impl KubeClient {
    /// Objects as they are written.
    async fn objects<T: DeserializeOwned>(
        &self,
        path: String,
        part: Part<'_>,
    ) -> Result<Page<T>, ApiError> {
        let read = |object: T| Ok(Some(object));
        self.list_part(path, ListParams::default(), part, read, |_| None)
            .await
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

    /// The labels and annotations of an object; none where it does not exist.
    async fn metadata_of(&self, path: String, name: &str) -> Result<ObjectMetadata, ApiError> {
        let request = Path::new(path).get_metadata(name, &GetParams::default());
        let (what, answer) = self.send(built(request)?).await?;
        let object = answer.object::<LabeledObject>(&what)?;
        Ok(object.unwrap_or_default().into())
    }

    async fn replace_status<K>(&self, object: &K) -> Result<bool, ApiError>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let path = Path::new(K::url_path(&(), None));
        let params = PostParams::default();
        let name = object.name_any();
        self.write(path.replace_subresource("status", &name, &params, body(object)?))
            .await
    }

    async fn write(
        &self,
        request: Result<Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<bool, ApiError> {
        let (_, answer) = self.send(built(request)?).await?;
        Ok(matches!(answer, Response::Done(_)))
    }
}

/// The deletion of this version and no other.
fn exactly(object: &impl ResourceExt) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: object.uid(),
            resource_version: object.resource_version(),
        }),
        ..DeleteParams::default()
    }
}
