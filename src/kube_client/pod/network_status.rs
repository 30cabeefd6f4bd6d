//! What Multus writes about the interfaces of a pod besides its first.

use std::net::IpAddr;

use serde::Deserialize;

use super::Metadata;
use crate::annotations::{Network, networks};
use crate::cni::InterfaceName;
use crate::collector::{Attached, Report, SharedTexts};
use crate::ip::{self, Family};

/// The annotation (Network Plumbing Working Group, "network-status").
pub(super) const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";
/// The beginnings of the annotations that choose networks and pools.
const CHOOSING: [&str; 4] = [
    "ipam.leasehold.io/",
    "ipam.spidernet.io/",
    "k8s.v1.cni.cncf.io/networks",
    "v1.multus-cni.io/",
];

/// An entry of `network-status`.
#[derive(Deserialize)]
struct NetworkStatus {
    #[serde(default)]
    name: String,
    #[serde(default)]
    interface: Box<str>,
    #[serde(default)]
    ips: Vec<String>,
}

/// What `network-status` reports of the networks that `networks` asks for. An annotation that can't
/// be read reports nothing.
pub(super) fn attached(metadata: &Metadata, texts: &SharedTexts) -> Option<Attached> {
    let text = metadata.annotations.get(NETWORK_STATUS)?;
    let entries: Vec<NetworkStatus> = serde_json::from_str(text).ok()?;
    let asked = networks(&metadata.annotations).ok()?;
    let mut reports: Vec<Report> = Vec::new();
    for network in &asked {
        let entry = entries.iter().find(|entry| {
            // The cluster's default networks come first, so that a place in the list does not
            // determine the interface.
            names(&entry.name, network, &metadata.namespace)
                && is_interface(&entry.interface)
                && network
                    .interface
                    .as_deref()
                    .is_none_or(|asked| *entry.interface == *asked)
                && reports.iter().all(|r| *r.interface != *entry.interface)
        });
        let Some(entry) = entry else { continue };
        let addresses = entry.ips.iter().filter_map(|text| ip::reported(text));
        let addresses: Vec<IpAddr> = addresses.collect();
        for family in Family::BOTH {
            let of_family = addresses.iter().find(|a| Family::of(**a) == family);
            reports.extend(of_family.map(|address| Report {
                interface: texts.share(&entry.interface),
                network: texts.share(&network.name),
                address: *address,
            }));
        }
    }
    // There may be as many of them as there are pods.
    reports.shrink_to_fit();
    let pair = |(key, value): (&String, &String)| (texts.share(key), texts.share(value));
    let choosing = metadata.annotations.iter();
    let choosing =
        choosing.filter(|(key, _)| CHOOSING.iter().any(|prefix| key.starts_with(prefix)));
    (!reports.is_empty()).then(|| Attached {
        reports,
        labels: metadata.labels.iter().map(pair).collect(),
        annotations: choosing.map(pair).collect(),
    })
}

/// Whether an interface may have this name: no lease could name another one.
fn is_interface(name: &str) -> bool {
    let name = name.parse::<InterfaceName>();
    name.is_ok_and(|name| !name.chars().any(char::is_control))
}

/// Whether an entry's name, `namespace/name`, is that of a network that the pod asks for.
fn names(entry: &str, network: &Network, home: &str) -> bool {
    let namespace = network.namespace.as_deref().unwrap_or(home);
    match entry.split_once('/') {
        Some((of, name)) => of == namespace && name == network.name,
        None => entry == network.name,
    }
}
