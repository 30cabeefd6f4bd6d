//! Which routes an interface gets.

use std::net::IpAddr;

use ipnet::IpNet;

/// Where to, and by way of whom; both are of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The destination, in canonical form.
    pub dst: IpNet,
    /// The next hop.
    pub gw: IpAddr,
}
