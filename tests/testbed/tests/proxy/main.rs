//! Each fault of the proxy as a client sees it.
#![expect(clippy::unwrap_used, reason = "in a test a panic is how it fails")]

mod answers;
mod client;
mod held;
mod lost;
mod outages;
mod real;
mod server;
mod transparent;

use server::Server;
use testbed::proxy::Proxy;

/// Where leases are.
const LEASES: &str = "/apis/leasehold.io/v1alpha1/ipleases";

async fn proxy_and_server() -> (Proxy, Server) {
    let server = Server::start().await;
    let proxy = Proxy::start(&server.url(), &server.ca_pem).unwrap();
    (proxy, server)
}

fn lease(name: &str) -> String {
    format!("{LEASES}/{name}")
}
