//! Annotations on pods and namespaces, each read by one parser from the text as written to the
//! value as meant.
//!
//! Ours begin with `ipam.leasehold.io/`. Where one is absent the same name under
//! `ipam.spidernet.io/` is read, so workloads move over unedited, and JSON is read as Spiderpool
//! reads it: keys in any case, the last of two counts. A value that names nothing (blank, `null`,
//! `{}`, `[]`) reads as absent, but hides the other prefix. Anything else that is not of its
//! annotation's shape is [`Malformed`]; an annotation that leasehold does not serve is
//! [`Unserved`]. [`select`](crate::select) finds out which annotation decides.

use std::collections::BTreeMap;

mod claims;
mod json;
mod keys;
mod networks;
mod pool_ref;
mod pools;
mod routes;
mod sticky;

pub use claims::{IpNumber, claim, ip_number, reclaim};
pub use json::Malformed;
pub use keys::{Unserved, names_subnet, of_namespace, of_pod};
pub use networks::{Network, default_network, networks};
pub use pool_ref::{InvalidPoolRef, PoolRef};
pub use pools::{
    ForInterface, ForPod, PerInterface, PoolLists, asked_subnets, default_pools, ippool, ippools,
    subnet, subnets,
};
pub use routes::{default_route_nic, routes};
pub use sticky::{retains_when_scaled, sticky};

/// The annotations of an object, by key.
pub type Annotations = BTreeMap<String, String>;

/// A value that was read, and the annotation that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The key of the annotation.
    pub key: String,
    /// Its meaning.
    pub value: T,
}

/// The annotation `name` under the first prefix that has it.
fn find<'a>(annotations: &'a Annotations, name: &str) -> Option<(String, &'a str)> {
    keys::PREFIXES.iter().find_map(|prefix| {
        let key = format!("{prefix}{name}");
        let value = annotations.get(&key)?;
        Some((key, value.as_str()))
    })
}

/// Reads the annotation `name` as JSON of the shape that `example` shows.
fn read<T: serde::de::DeserializeOwned>(
    annotations: &Annotations,
    name: &str,
    example: &'static str,
) -> Result<Option<Found<T>>, Malformed> {
    let Some((key, text)) = find(annotations, name) else {
        return Ok(None);
    };
    let value = json::parse(&key, text, example)?;
    Ok(value.map(|value| Found { key, value }))
}

#[cfg(test)]
mod tests;
