//! Annotations on pods and namespaces, each read by one parser from the text as written to the value as meant.
//!
//! Ours begin with `ipam.leasehold.io/`. Where one is absent the same name under `ipam.spidernet.io/` is read, so that
//! workloads move over unedited. A value that names nothing (blank, `null`, `{}`, `[]`) reads as absent, but hides the
//! other prefix. Anything else that is not of its annotation's shape is [`Malformed`]. Which annotation decides is
//! the business of [`select`](crate::select).

use std::collections::BTreeMap;

use crate::ip::Family;

mod json;
mod networks;
mod pool_ref;
mod pools;
mod routes;

pub use json::Malformed;
pub use networks::{Network, default_network, networks};
pub use pool_ref::{InvalidPoolRef, PoolRef};
pub use pools::{ForInterface, ForPod, PerInterface, PoolLists, default_pools, ippool, ippools};
pub use routes::{default_route_nic, routes};

/// Where our annotations stand, and where those of workloads that come from Spiderpool do.
const PREFIXES: [&str; 2] = ["ipam.leasehold.io/", "ipam.spidernet.io/"];

/// The annotations of an object, by key.
pub type Annotations = BTreeMap<String, String>;

/// A value that was read, and the annotation that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The key of the annotation.
    pub key: String,
    /// What it says.
    pub value: T,
}

/// The annotation `name` under the first prefix that has it.
fn find<'a>(annotations: &'a Annotations, name: &str) -> Option<(String, &'a str)> {
    PREFIXES.iter().find_map(|prefix| {
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

/// The name of the namespace's annotation for pools of `family`.
fn default_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "default-ipv4-ippool",
        Family::V6 => "default-ipv6-ippool",
    }
}

#[cfg(test)]
mod tests;
