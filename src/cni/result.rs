//! What an ADD answers: the abbreviated result of a delegated IPAM plugin, without interfaces.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use rscni_types::version::SpecVersion;
use rscni_types::{legacy, types};

/// The addresses and routes of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CniResult {
    /// Its addresses, in the order in which they are told.
    pub ips: Vec<IpConfig>,
    /// Its routes.
    pub routes: Vec<Route>,
}

/// An address that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpConfig {
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

impl CniResult {
    /// Writes the result as `version` has it, as one line.
    pub fn print(&self, version: SpecVersion, out: impl io::Write) -> io::Result<()> {
        let result = types::CNIResult {
            ips: self.ips.iter().map(IpConfig::told).collect(),
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

impl IpConfig {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(answer: &CniResult, version: SpecVersion) -> String {
        let mut out = Vec::new();
        answer.print(version, &mut out).expect("memory");
        String::from_utf8(out).expect("a text")
    }

    fn dual_stack() -> CniResult {
        CniResult {
            ips: vec![
                IpConfig {
                    address: "10.0.0.7/24".parse().expect("a CIDR"),
                    gateway: Some("10.0.0.1".parse().expect("an address")),
                },
                IpConfig {
                    address: "fd00::7/64".parse().expect("a CIDR"),
                    gateway: None,
                },
            ],
            routes: vec![
                Route {
                    dst: "0.0.0.0/0".parse().expect("a CIDR"),
                    gw: Some("10.0.0.1".parse().expect("an address")),
                },
                Route {
                    dst: "fd01::/64".parse().expect("a CIDR"),
                    gw: None,
                },
            ],
        }
    }

    #[test]
    fn from_1_0_0_on_an_address_has_no_version() {
        let answer = dual_stack();
        insta::assert_snapshot!(printed(&answer, SpecVersion::new(1, 1, 0)), @r#"{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.7/24","gateway":"10.0.0.1"},{"address":"fd00::7/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"},{"dst":"fd01::/64"}]}"#);
        assert_eq!(
            printed(&answer, SpecVersion::new(1, 0, 0)),
            printed(&answer, SpecVersion::new(1, 1, 0)).replace("1.1.0", "1.0.0")
        );
    }

    #[test]
    fn before_1_0_0_an_address_has_its_version() {
        let answer = dual_stack();
        insta::assert_snapshot!(printed(&answer, SpecVersion::new(0, 4, 0)), @r#"{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.0.7/24","gateway":"10.0.0.1"},{"version":"6","address":"fd00::7/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"},{"dst":"fd01::/64"}],"dns":{}}"#);
        for older in [SpecVersion::new(0, 3, 1), SpecVersion::new(0, 3, 0)] {
            assert_eq!(
                printed(&answer, older),
                printed(&answer, SpecVersion::new(0, 4, 0)).replace("0.4.0", &older.to_string())
            );
        }
    }

    #[test]
    fn what_there_is_none_of_is_left_out() {
        insta::assert_snapshot!(printed(&CniResult::default(), SpecVersion::new(1, 1, 0)), @r#"{"cniVersion":"1.1.0"}"#);
    }
}
