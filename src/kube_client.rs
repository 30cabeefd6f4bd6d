//! The one client of the API server.
//!
//! Each method of this module is one request (and one more where the API server's answer asks for
//! it). It is sure of what went over the wire and of what the answer means; whether to try again,
//! which address to choose and what a missing pod means is decided elsewhere, behind the traits
//! that are implemented here.

mod access;
mod answer;
mod certificate;
mod claims;
mod client;
mod collector;
mod connection;
mod credentials;
mod dial;
mod exec_plugin;
mod forbidden;
mod kinds;
mod kubeconfig;
mod labeled;
mod leases;
mod node_credentials;
mod plugin;
mod pod;
mod request;
mod resolve;
mod tls;

pub use client::KubeClient;
pub use credentials::Credentials;
pub use kubeconfig::KubeconfigError;
pub use node_credentials::NodeCredentials;
