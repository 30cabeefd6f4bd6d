//! A real control plane, real network namespaces and real CNI plugins for leasehold's tests, demo
//! and benchmarks.
//!
//! Nothing here mocks what a user would have for real, with two exceptions that are named where
//! they stand: a [`Node`] has no kubelet (the test says when a sandbox is made, and calls the
//! plugins; a [`Worker`] has one), and etcd does not wait for the disk. This crate knows nothing of
//! leasehold itself but the file that a test hands to an [`Attachment`].
//!
//! ```no_run
//! # async fn example(plugin: &std::path::Path) -> anyhow::Result<()> {
//! let cluster = testbed::shared().await?;
//! let node = cluster.fresh_node().create().await?;
//! let pod = cluster.pod("shop", "web-0").on(&node).create().await?;
//! let sandbox = std::sync::Arc::new(testbed::Sandbox::new()?);
//! let eth0 = testbed::Attachment::new(plugin, &node, &pod, &sandbox)?;
//! let addresses = eth0.add().await?.success()?.ips()?;
//! eth0.del().await?.success()?;
//! # Ok(()) }
//! ```
//!
//! | to | see |
//! |---|---|
//! | have the programs | [`Tools`] |
//! | have a control plane | [`Cluster`], [`shared`] |
//! | have everything gone in the end | [`clean_up`]; it happens in any case |
//! | have a node and its identity | [`Node`], [`Kubeconfig`] |
//! | have a node with kubelet and containerd | [`Worker`] |
//! | have a network between nodes | [`Segment`], [`Arp`] |
//! | have a pod | [`Pod`], [`Sandbox`] |
//! | call plugins as a runtime does | [`Attachment`], [`Call`], [`Outcome`] |
//! | have a full pool | [`Cluster::hold`] |
//! | count requests | [`Cluster::requests_since`] |
//! | have requests held up, lost, doubled or refused | [`proxy`] |

mod application;
mod arp;
mod attachment;
mod audit;
mod builder;
mod call;
mod client;
mod cluster;
mod control_plane;
mod echo;
mod guardian;
mod in_force;
mod kubeconfig;
mod leases;
mod manifests;
mod mounts;
mod netns;
mod node;
mod outcome;
mod pki;
mod pod;
pub mod proxy;
mod relay;
mod sandbox;
mod segment;
mod server;
mod tools;
mod worker;

pub use arp::{Arp, Mac};
pub use attachment::Attachment;
pub use audit::{Mark, Request};
pub use builder::Builder;
pub use call::{Call, Running};
pub use cluster::{Cluster, longest_node_name, repository, shared};
pub use guardian::{clean_up, keep};
pub use kubeconfig::Kubeconfig;
pub use leases::Leased;
pub use manifests::Refused;
pub use netns::Netns;
pub use node::{Node, NodeBuilder};
pub use outcome::Outcome;
pub use pki::{Ca, Pair, Subject};
pub use pod::{Pod, PodBuilder};
pub use sandbox::{Sandbox, container_id};
pub use segment::Segment;
pub use tools::{Tool, Tools};
pub use worker::{RunningSandbox, Worker, WorkerBuilder};
