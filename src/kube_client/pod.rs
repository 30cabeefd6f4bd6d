//! The one reader of pods, for the plugin and for the collector: of a pod, which may be large, what
//! either needs.
//!
//! It is tolerant of what only one of them reads, so that what it ignores does not make a pod
//! unreadable for the other.

use std::net::IpAddr;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::annotations::{self, Annotations};
use crate::api::{MAX_TERMINATION_GRACE_PERIOD_SECONDS, TERMINATION_GRACE_PERIOD_SECONDS};
use crate::claim::PodIdentity;
use crate::collector::{DerivedRequest, Phase, PodEnd, SharedTexts, StickyPod, Uid};
use crate::ip;
use crate::lease::ClaimOwner;
use crate::select::{self, Labels, ObjectMetadata};
use crate::{collector, plugin};

mod network_status;

use network_status::{NETWORK_STATUS, attached};

/// The uid of the static pod that a mirror pod stands for (kubelet, `pkg/kubelet/types`).
const MIRROR: &str = "kubernetes.io/config.mirror";

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct PodObject {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    namespace: Box<str>,
    name: Box<str>,
    uid: Box<str>,
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(deserialize_with = "lenient")]
    deletion_grace_period_seconds: Option<i64>,
    labels: Labels,
    annotations: Annotations,
    #[serde(deserialize_with = "lenient")]
    generate_name: String,
    #[serde(deserialize_with = "lenient")]
    owner_references: Vec<OwnerReference>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct OwnerReference {
    api_version: String,
    kind: String,
    name: String,
    controller: bool,
}

impl Metadata {
    /// The object that controls the pod: of several owners at most one does.
    fn controller(&self) -> Option<ClaimOwner> {
        let owner = self
            .owner_references
            .iter()
            .find(|owner| owner.controller)?;
        let group = owner
            .api_version
            .split_once('/')
            .map_or("", |(group, _)| group);
        Some(ClaimOwner {
            group: group.to_owned(),
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            ..ClaimOwner::default()
        })
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: Option<Box<str>>,
    host_network: bool,
    termination_grace_period_seconds: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: String,
    #[serde(rename = "podIPs")]
    pod_ips: Vec<PodIp>,
    container_statuses: Vec<Container>,
    init_container_statuses: Vec<Container>,
    ephemeral_container_statuses: Vec<Container>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PodIp {
    #[serde(deserialize_with = "lenient")]
    ip: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    #[serde(rename = "containerID", deserialize_with = "lenient")]
    id: Box<str>,
    #[serde(deserialize_with = "lenient")]
    restart_count: i64,
    #[serde(deserialize_with = "lenient")]
    last_state: State,
    #[serde(rename = "state", deserialize_with = "is_running")]
    is_running: bool,
}

impl Container {
    fn has_run(&self) -> bool {
        !self.id.is_empty() || self.restart_count > 0 || self.last_state.is_any()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    waiting: Option<IgnoredAny>,
    running: Option<IgnoredAny>,
    terminated: Option<IgnoredAny>,
}

impl State {
    fn is_any(&self) -> bool {
        let Self {
            waiting,
            running,
            terminated,
        } = self;
        [waiting, running, terminated]
            .iter()
            .any(|state| state.is_some())
    }
}

/// A value as it should be, or any other.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written<T> {
    Sound(T),
    Other(IgnoredAny),
}

/// A value of another type counts as missing.
fn lenient<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(match Written::deserialize(deserializer)? {
        Written::Sound(value) => value,
        Written::Other(_) => T::default(),
    })
}

/// A container whose state is not understood may be running.
fn is_running<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Written::<State>::deserialize(deserializer)? {
        Written::Sound(state) => state.running.is_some(),
        Written::Other(_) => true,
    })
}

/// How long a pod may take to end, by its `terminationGracePeriodSeconds`: 1 where it is negative
/// (Kubernetes, `PodSpec`), and no more than fits into a lease.
fn termination(seconds: Option<i64>) -> Duration {
    let seconds = seconds.unwrap_or(TERMINATION_GRACE_PERIOD_SECONDS);
    let seconds = seconds.min(MAX_TERMINATION_GRACE_PERIOD_SECONDS);
    Duration::from_secs(seconds.try_into().unwrap_or(1))
}

impl From<PodObject> for plugin::PodSnapshot {
    fn from(object: PodObject) -> Self {
        let PodObject {
            metadata,
            spec,
            status,
        } = object;
        // An ephemeral container never runs without the others.
        let mut containers =
            (status.container_statuses.iter()).chain(&status.init_container_statuses);
        Self {
            owner: metadata.controller(),
            uid: metadata.uid.into(),
            mirrors: metadata.annotations.get(MIRROR).cloned(),
            node: spec.node_name.map(String::from),
            termination: termination(spec.termination_grace_period_seconds),
            deleting: metadata.deletion_timestamp.is_some(),
            had_sandbox: !status.pod_ips.is_empty()
                || containers.any(Container::has_run)
                || metadata.annotations.contains_key(NETWORK_STATUS),
            phase: status.phase,
            generate_name: metadata.generate_name,
            metadata: ObjectMetadata {
                labels: metadata.labels,
                annotations: metadata.annotations,
            },
        }
    }
}

/// Whether its name has its address for ever. One that has a set has no slot.
fn sticky(metadata: &Metadata) -> Option<StickyPod> {
    let annotations = &metadata.annotations;
    if annotations::names_subnet(annotations)
        || !matches!(annotations::claim(annotations), Ok(None))
    {
        return None;
    }
    let owner = metadata.controller();
    let identity = PodIdentity {
        name: &metadata.name,
        generate_name: &metadata.generate_name,
        owner: owner.as_ref(),
    };
    let annotated = annotations::sticky(annotations).ok()?;
    let is_sticky = identity.is_sticky(annotated).ok()?;
    is_sticky.then_some(StickyPod { owner })
}

/// What it asks of the sets that the plugin makes for its application.
fn derived(metadata: &Metadata) -> Option<DerivedRequest> {
    annotations::names_subnet(&metadata.annotations).then(|| DerivedRequest {
        application: ClaimOwner::application(metadata.controller().as_ref(), &metadata.labels).ok(),
        size: select::set_size(&metadata.annotations).ok(),
        subnets: annotations::asked_subnets(&metadata.annotations)
            .ok()
            .map(Into::into),
    })
}

impl PodObject {
    /// What the collector keeps of it.
    pub fn snapshot(self, texts: &SharedTexts) -> Result<collector::PodSnapshot, &'static str> {
        let PodObject {
            metadata,
            spec,
            status,
        } = self;
        let (namespace, name, uid) = (&metadata.namespace, &metadata.name, &metadata.uid);
        if [namespace, name, uid].iter().any(|text| text.is_empty()) {
            return Err("it has no namespace, no name or no uid");
        }
        let phase = match status.phase.as_str() {
            "Succeeded" => Phase::Finished(PodEnd::Succeeded),
            "Failed" => Phase::Finished(PodEnd::Failed),
            "Running" => Phase::Running,
            _ => Phase::Other,
        };
        let mut containers = (status.container_statuses.iter())
            .chain(&status.init_container_statuses)
            .chain(&status.ephemeral_container_statuses);
        let node = spec.node_name.unwrap_or_default();
        // In its node's network a pod reports the node's addresses, and before it is bound no
        // kubelet does.
        let is_attached = !spec.host_network && !node.is_empty();
        let addresses = status.pod_ips.iter().filter(|_| is_attached);
        let attached = (is_attached && phase == Phase::Running)
            .then(|| attached(&metadata, texts))
            .flatten();
        let own = termination(spec.termination_grace_period_seconds);
        let addresses = addresses.filter_map(|pod_ip| ip::reported(&pod_ip.ip));
        let mut addresses: Vec<IpAddr> = addresses.collect();
        addresses.shrink_to_fit();
        Ok(collector::PodSnapshot {
            mirrors: metadata.annotations.get(MIRROR).map(Uid::from),
            node: texts.share(&node),
            phase,
            deleting: metadata.deletion_timestamp.is_some(),
            containers_ended: containers.all(|container| !container.is_running),
            termination: match metadata.deletion_grace_period_seconds {
                // Its deletion may have given it more or less time; less may be too late.
                Some(given) => own.max(termination(Some(given))),
                None => own,
            },
            addresses,
            claim: annotations::claim(&metadata.annotations)
                .ok()
                .flatten()
                .map(|found| found.value.into()),
            sticky: sticky(&metadata).map(Box::new),
            derived: derived(&metadata).map(Box::new),
            attached: attached.map(Box::new),
            namespace: texts.share(&metadata.namespace),
            name: texts.share(&metadata.name),
            uid: metadata.uid.into(),
        })
    }
}

#[cfg(test)]
mod tests;
