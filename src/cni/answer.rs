//! What an ADD answers: the abbreviated result of a delegated IPAM plugin, without interfaces.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use rscni_types::version::SpecVersion;
use rscni_types::{legacy, types};

/// The addresses and routes of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its addresses, in the order in which they are told.
    pub ips: Vec<Given>,
    /// Its routes.
    pub routes: Vec<Route>,
}

/// An address that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// With the prefix length of its subnet.
    pub address: IpNet,
    /// The subnet's gateway; the interface plugin takes it for routes without one of their own.
    pub gateway: Option<IpAddr>,
}

/// A route of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub dst: IpNet,
    /// By way of whom; none: by the gateway of the address of that family.
    pub gw: Option<IpAddr>,
}

impl Answer {
    /// Writes the result as `version` has it, as one line.
    pub fn print(&self, version: SpecVersion, out: impl io::Write) -> io::Result<()> {
        let result = types::CNIResult {
            ips: self.ips.iter().map(Given::told).collect(),
            routes: self.routes.iter().map(Route::told).collect(),
            ..types::CNIResult::default()
        };
        if version.is_legacy() {
            super::print(&legacy::CNIResult::new(version, result), out)
        } else {
            super::print(&types::CNIResultWithVersion::new(version, result), out)
        }
    }
}

impl Given {
    fn told(&self) -> types::IpConfig {
        types::IpConfig {
            interface: None,
            address: self.address,
            gateway: self.gateway,
        }
    }
}

impl Route {
    fn told(&self) -> types::Route {
        types::Route {
            dst: self.dst,
            gw: self.gw,
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        }
    }
}
