//! A layer-2 segment that simulated nodes are on, and pods beside them.
//!
//! It is a bridge in a namespace of its own; each node is a namespace with an `eth0` on that
//! bridge. The links of the machine that runs the tests are neither used nor changed: a node
//! reaches the API server's loopback address through a relay.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::control_plane::SERVICE;
use crate::guardian;
use crate::netns::Netns;
use crate::relay::Relay;

/// The bridge of a segment, in its namespace.
pub(crate) const BRIDGE: &str = "br0";

/// A segment. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Segment(Arc<Hub>);

/// The namespace in the middle.
#[derive(Debug)]
struct Hub {
    netns: Netns,
    service: Mutex<Option<Relay>>,
}

/// A node's place on a segment.
#[derive(Debug)]
pub(crate) struct Uplink {
    netns: Netns,
    _relays: Vec<Relay>,
}

impl Segment {
    /// Creates an empty segment.
    pub fn new() -> Result<Self> {
        let netns = Netns::new("hub")?;
        netns.ip("link set lo up")?;
        netns.ip(&format!("link add {BRIDGE} type bridge"))?;
        netns.ip(&format!("link set {BRIDGE} up"))?;
        Ok(Self(Arc::new(Hub {
            netns,
            service: Mutex::default(),
        })))
    }

    /// A machine on the segment that is not in the cluster answers for this address, given with its
    /// prefix length: a gateway, a printer.
    pub fn add_neighbor(&self, address: &str) -> Result<()> {
        // No other machine has it: without the check for duplicates an IPv6 address answers at
        // once.
        let nodad = if address.contains(':') { "nodad" } else { "" };
        self.hub()
            .ip(&format!("address add {address} dev {BRIDGE} {nodad}"))
            .map(drop)
    }

    /// The namespace in the middle: who pings from here is a neighbor.
    #[must_use]
    pub fn hub(&self) -> &Netns {
        &self.0.netns
    }

    /// Every machine on the segment reaches the API server by the address of its Service, if its
    /// default route leads to a [neighbor](Self::add_neighbor).
    pub(crate) fn serve_api(&self, cluster: &Cluster) -> Result<()> {
        let mut service = self
            .0
            .service
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if service.is_none() {
            *service = Some(relay_service(self.hub(), cluster)?);
        }
        Ok(())
    }

    pub(crate) fn join(&self, cluster: &Cluster) -> Result<Uplink> {
        let netns = Netns::new("node")?;
        let port = format!("port{}", guardian::run()?.number());
        let node = netns.path().display();
        self.hub().ip(&format!(
            "link add {port} type veth peer name eth0 netns {node}"
        ))?;
        self.hub()
            .ip(&format!("link set {port} master {BRIDGE} up"))?;
        netns.ip("link set lo up")?;
        netns.ip("link set eth0 up")?;
        let relays = cluster.plane().api_servers.iter().map(|api| {
            let address = (Ipv4Addr::LOCALHOST, api.port);
            let listener = netns
                .enter(|| Ok(TcpListener::bind(address)?))
                .context("listen on the node's side")?;
            Relay::start(listener, address.into())
        });
        Ok(Uplink {
            _relays: relays.collect::<Result<_>>()?,
            netns,
        })
    }
}

/// In place of kube-proxy: the address of the API server's Service, in this namespace.
pub(crate) fn relay_service(netns: &Netns, cluster: &Cluster) -> Result<Relay> {
    netns.ip(&format!("address add {SERVICE}/32 dev lo"))?;
    let listener = netns
        .enter(|| Ok(TcpListener::bind((SERVICE, 443))?))
        .context("listen at the address of the Service")?;
    let api_server = &cluster.plane().api_servers[0];
    Relay::start(listener, (Ipv4Addr::LOCALHOST, api_server.port).into())
}

impl Uplink {
    pub(crate) fn netns(&self) -> &Netns {
        &self.netns
    }
}
