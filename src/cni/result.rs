//! What an ADD answers: the abbreviated result of a delegated IPAM plugin, without interfaces.

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;
use rscni_types::version::SpecVersion;
use rscni_types::{legacy, types};
use serde::Serialize;

use super::version::is_by_family;
use crate::ip::{Family, Route};

/// The addresses and routes of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CniResult {
    /// At most one address of each family, in the order in which they are listed.
    pub ips: Vec<IpConfig>,
    /// Routes of the families that have an address.
    pub routes: Vec<Route>,
}

/// An address that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpConfig {
    /// With the prefix length of its subnet.
    pub address: IpNet,
    /// The subnet's gateway, which bridge takes for its own address and sbr for a default route of
    /// its table. Whether the interface has a default route is decided by the routes alone.
    pub gateway: Option<IpAddr>,
}

/// The result before 0.3.0: an object for each family.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ByFamily {
    cni_version: SpecVersion,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip4: Option<OfFamily>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip6: Option<OfFamily>,
    dns: types::Dns,
}

#[derive(Serialize)]
struct OfFamily {
    ip: IpNet,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<types::Route>,
}

impl CniResult {
    /// Writes the result as `version` has it, as one line.
    pub fn print(&self, version: SpecVersion, out: impl io::Write) -> io::Result<()> {
        if is_by_family(version) {
            let result = ByFamily {
                cni_version: version,
                ip4: self.of(Family::V4),
                ip6: self.of(Family::V6),
                dns: types::Dns::default(),
            };
            return super::print(&result, out);
        }
        let result = types::CNIResult {
            ips: self.ips.iter().map(ip).collect(),
            routes: self.routes.iter().map(route).collect(),
            ..types::CNIResult::default()
        };
        if version.is_legacy() {
            super::print(&legacy::CNIResult::new(version, result), out)
        } else {
            super::print(&types::CNIResultWithVersion::new(version, result), out)
        }
    }

    fn of(&self, family: Family) -> Option<OfFamily> {
        let is_of = |address: &IpNet| Family::of(address.addr()) == family;
        let IpConfig { address, gateway } = self.ips.iter().find(|ip| is_of(&ip.address))?;
        let routes = self.routes.iter().filter(|route| is_of(&route.dst));
        Some(OfFamily {
            ip: *address,
            gateway: *gateway,
            routes: routes.map(route).collect(),
        })
    }
}

fn ip(&IpConfig { address, gateway }: &IpConfig) -> types::IpConfig {
    types::IpConfig {
        interface: None,
        address,
        gateway,
    }
}

fn route(&Route { dst, gw }: &Route) -> types::Route {
    types::Route {
        dst,
        gw: Some(gw),
        mtu: None,
        advmss: None,
        priority: None,
        table: None,
        scope: None,
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
                    gw: "10.0.0.1".parse().expect("an address"),
                },
                Route {
                    dst: "fd01::/64".parse().expect("a CIDR"),
                    gw: "fd00::1".parse().expect("an address"),
                },
            ],
        }
    }

    #[test]
    fn from_1_0_0_on_an_address_has_no_version() {
        let answer = dual_stack();
        insta::assert_snapshot!(printed(&answer, SpecVersion::new(1, 1, 0)), @r#"{"cniVersion":"1.1.0","ips":[{"address":"10.0.0.7/24","gateway":"10.0.0.1"},{"address":"fd00::7/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"},{"dst":"fd01::/64","gw":"fd00::1"}]}"#);
        assert_eq!(
            printed(&answer, SpecVersion::new(1, 0, 0)),
            printed(&answer, SpecVersion::new(1, 1, 0)).replace("1.1.0", "1.0.0")
        );
    }

    #[test]
    fn before_1_0_0_an_address_has_its_version() {
        let answer = dual_stack();
        insta::assert_snapshot!(printed(&answer, SpecVersion::new(0, 4, 0)), @r#"{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.0.7/24","gateway":"10.0.0.1"},{"version":"6","address":"fd00::7/64"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"},{"dst":"fd01::/64","gw":"fd00::1"}],"dns":{}}"#);
        for older in [SpecVersion::new(0, 3, 1), SpecVersion::new(0, 3, 0)] {
            assert_eq!(
                printed(&answer, older),
                printed(&answer, SpecVersion::new(0, 4, 0)).replace("0.4.0", &older.to_string())
            );
        }
    }

    #[test]
    fn before_0_3_0_each_family_has_an_object_of_its_own() {
        let answer = dual_stack();
        insta::assert_snapshot!(printed(&answer, SpecVersion::new(0, 2, 0)), @r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.7/24","gateway":"10.0.0.1","routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1"}]},"ip6":{"ip":"fd00::7/64","routes":[{"dst":"fd01::/64","gw":"fd00::1"}]},"dns":{}}"#);
        assert_eq!(
            printed(&answer, SpecVersion::new(0, 1, 0)),
            printed(&answer, SpecVersion::new(0, 2, 0)).replace("0.2.0", "0.1.0")
        );
        let v6 = CniResult {
            ips: answer.ips[1..].to_vec(),
            routes: answer.routes[1..].to_vec(),
        };
        insta::assert_snapshot!(printed(&v6, SpecVersion::new(0, 2, 0)), @r#"{"cniVersion":"0.2.0","ip6":{"ip":"fd00::7/64","routes":[{"dst":"fd01::/64","gw":"fd00::1"}]},"dns":{}}"#);
    }

    #[test]
    fn what_there_is_none_of_is_left_out() {
        insta::assert_snapshot!(printed(&CniResult::default(), SpecVersion::new(1, 1, 0)), @r#"{"cniVersion":"1.1.0"}"#);
    }
}
