//! The one door to the API server.
//!
//! Each method of this module is one request (and one more where the API server's answer asks for
//! it). It is sure of what went over the wire and of what the answer means; whether to try again,
//! which address to choose and what a missing pod signifies is decided elsewhere, behind the traits
//! that are implemented here.

mod access;
mod credentials;
mod denied;
mod door;
mod facts;
mod kubeconfig;
mod leases;
mod line;
mod scene;

pub use access::Access;
pub use door::Cluster;
pub use kubeconfig::{KubeconfigError, check, find};
