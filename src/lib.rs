//! IP address management for Kubernetes pods on underlay networks, as a CNI plugin without daemon,
//! webhook or controller.
//!
//! An address in use is one object in the API server, an [`IPLease`](api::IPLease) named by the
//! address: the server admits one object of a name, so two pods can't hold one address. Each call
//! of the plugin reads the pools that fit the pod, picks an address and creates its lease, or
//! replaces it at the version that was read.
//!
//! | to know | read |
//! |---|---|
//! | what one call does | [`plugin`]: a verb of the CNI specification each |
//! | why no address is given twice | [`lease`]: the protocol |
//! | how requests are repeated | [`retry`] |
//! | what pools are chosen from | [`gather`] |
//! | which pools a pod may use, and why not the others | [`select`] |
//! | which address of a pool is tried next | [`allocate`] |
//! | which routes an interface gets | [`routes`] |
//! | the objects as stored | [`api`] |
//! | the runtime's request and the answer | [`cni`] |
//! | how dead pods' addresses come back | [`collector`] |
//! | what goes over the wire | [`kube_client`] |
//!
//! Decisions are functions of their arguments; what reads and writes decides nothing.
//! `tests/layers` holds the layers apart.

pub mod allocate;
pub mod annotations;
pub mod api;
pub mod claim;
pub mod cni;
pub mod collector;
pub mod gather;
pub mod host;
pub mod ip;
pub mod json;
pub mod kube_client;
pub mod lease;
pub mod metrics;
pub mod plugin;
pub mod pool;
pub mod retry;
pub mod routes;
pub mod select;
pub mod text;
