//! The annotations about a pod's routes.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::MapAccess;
use serde::{Deserialize, Deserializer, de};

use super::json::{Described, Fields, List, Malformed, Object, put};
use super::{Annotations, Found, find, keys, read};
use crate::ip::{Family, Route, cidr};
use crate::text::both_ends;

const ROUTES: &str = r#"[{"dst":"10.0.0.0/8","gw":"10.6.0.1"}]"#;

/// The pod's annotation `routes`. A destination may be a default route.
pub fn routes(annotations: &Annotations) -> Result<Option<Found<Vec<Route>>>, Malformed> {
    let found = read::<List<Object<Written>>>(annotations, keys::ROUTES, ROUTES)?;
    let Some(Found {
        key,
        value: List(written),
    }) = found
    else {
        return Ok(None);
    };
    let mut value = Vec::with_capacity(written.len());
    for (index, Object(written)) in written.into_iter().enumerate() {
        let (Some(Destination(dst)), Some(NextHop(gw))) = (written.dst, written.gw) else {
            continue;
        };
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

/// The interface that has the default route, from the pod's annotation `default-route-nic`.
#[must_use]
pub fn default_route_nic(annotations: &Annotations) -> Option<Found<String>> {
    let (key, text) = find(annotations, keys::DEFAULT_ROUTE_NIC)?;
    let value = text.trim().to_owned();
    (!value.is_empty()).then_some(Found { key, value })
}

#[derive(Default)]
struct Written {
    dst: Option<Destination>,
    gw: Option<NextHop>,
}

impl Fields for Written {
    const KEYS: &'static [&'static str] = &["dst", "gw"];

    fn set<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match key {
            "dst" => put(map, &mut self.dst),
            _ => put(map, &mut self.gw),
        }
    }

    fn missing(&self) -> Option<&'static str> {
        let dst = self.dst.is_none().then_some("dst");
        dst.or(self.gw.is_none().then_some("gw"))
    }
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
