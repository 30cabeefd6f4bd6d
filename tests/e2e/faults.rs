//! What clusters do to a plugin, done for real: each fault by a proxy between it and a real API server, or to the server.

mod kubeconfigs;
mod late;
mod lengths;
mod lost;
mod outages;
mod scene;
mod servers;
