//! The annotations that say something of a pod's routes.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

use super::json::{Described, List, Malformed, Object};
use super::{Annotations, Found, find, read};
use crate::ip::Route;
use crate::ip::{Family, cidr};
use crate::text::both_ends;

const ROUTES: &str = r#"[{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]"#;

/// The pod's annotation `routes`. A destination may be a default route.
pub fn routes(annotations: &Annotations) -> Result<Option<Found<Vec<Route>>>, Malformed> {
    let found = read::<List<Object<Written>>>(annotations, "routes", ROUTES)?;
    let Some(Found {
        key,
        value: List(written),
    }) = found
    else {
        return Ok(None);
    };
    let mut value = Vec::with_capacity(written.len());
    for (
        index,
        Object(Written {
            dst: Destination(dst),
            gw: NextHop(gw),
        }),
    ) in written.into_iter().enumerate()
    {
        if Family::of(dst.addr()) != Family::of(gw) {
            return Err(Malformed {
                annotation: key,
                position: format!("$[{index}]"),
                problem: format!("{dst} and {gw} are of two address families"),
                example: ROUTES,
            });
        }
        value.push(Route { dst, gw });
    }
    Ok(Some(Found { key, value }))
}

/// The interface that has the default route, as the pod's annotation `default-route-nic` says.
#[must_use]
pub fn default_route_nic(annotations: &Annotations) -> Option<Found<String>> {
    let (key, text) = find(annotations, "default-route-nic")?;
    let value = text.trim().to_owned();
    (!value.is_empty()).then_some(Found { key, value })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    dst: Destination,
    gw: NextHop,
}

impl Described for Written {
    const WHAT: &'static str = "a destination and a next hop";
}

/// A CIDR; host bits are ignored, as the tools that set routes ignore them.
struct Destination(IpNet);

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let net = cidr(&text)
            .ok_or_else(|| de::Error::custom(format!("{:?} is not a CIDR", both_ends(&text))))?;
        Ok(Self(net.trunc()))
    }
}

struct NextHop(IpAddr);

impl<'de> Deserialize<'de> for NextHop {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|_| de::Error::custom(format!("{:?} is not an address", both_ends(&text))))
    }
}
