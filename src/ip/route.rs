//! A route as the kernel sets it: destination and next hop.

use std::net::IpAddr;

use ipnet::IpNet;

/// A destination and the next hop to it, both of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The destination, in canonical form.
    pub dst: IpNet,
    /// The next hop.
    pub gw: IpAddr,
}
