//! A layer-2 segment that simulated nodes are on, and pods beside them.
//!
//! It is a bridge in a namespace of its own; each node is a namespace with an `eth0` on that bridge. The links of the machine
//! that runs the tests are neither used nor changed: a node reaches the API server's loopback address through a relay.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::cluster::Cluster;
use crate::guardian;
use crate::netns::Netns;
use crate::relay::Relay;

/// A segment. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Segment(Arc<Netns>);

/// A node's place on a segment.
#[derive(Debug)]
pub(crate) struct Uplink {
    netns: Netns,
    _relays: Vec<Relay>,
}

impl Segment {
    /// Makes a segment with nobody on it.
    pub fn new() -> Result<Self> {
        let hub = Netns::new("hub")?;
        hub.ip("link set lo up")?;
        hub.ip("link add br0 type bridge")?;
        hub.ip("link set br0 up")?;
        Ok(Self(Arc::new(hub)))
    }

    /// Somebody on the segment who is not in the cluster answers for this address, given with its prefix length: a gateway,
    /// a printer.
    pub fn add_neighbour(&self, address: &str) -> Result<()> {
        // Nobody else has it: without the check for duplicates an IPv6 address answers at once.
        let nodad = if address.contains(':') { "nodad" } else { "" };
        self.0
            .ip(&format!("address add {address} dev br0 {nodad}"))
            .map(drop)
    }

    /// The namespace in the middle: who pings from here is a neighbour.
    #[must_use]
    pub fn hub(&self) -> &Netns {
        &self.0
    }

    pub(crate) fn join(&self, cluster: &Cluster) -> Result<Uplink> {
        let netns = Netns::new("node")?;
        let port = format!("port{}", guardian::run()?.number());
        let node = netns.path().display();
        self.0.ip(&format!(
            "link add {port} type veth peer name eth0 netns {node}"
        ))?;
        self.0.ip(&format!("link set {port} master br0 up"))?;
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

impl Uplink {
    pub(crate) fn netns(&self) -> &Netns {
        &self.netns
    }
}
