//! Names to addresses, without the C library.
//!
//! A static C library would load the node's own NSS modules, which were built against another one,
//! and crash. So the hosts file and `resolv.conf` are read here, as the resolver's manual has them:
//! search domains, `ndots`, timeouts, attempts. What only such a module knows (mDNS, LDAP) is not
//! found.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use hickory_resolver::Resolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts, ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, system_conf};

/// The addresses of a host, an address itself included, in the order in which to try them.
pub(super) async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let failed = |why: String| io::Error::other(format!("cannot resolve {host}: {why}"));
    let name = Name::from_str_relaxed(host).map_err(|error| failed(error.to_string()))?;
    let hosts = of_hosts_file(&name);
    if !hosts.is_empty() {
        return Ok(hosts);
    }
    let (config, options) = configuration().map_err(&failed)?;
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    let resolver = builder.build().map_err(|error| failed(error.to_string()))?;
    let found = resolver.lookup_ip(host).await;
    let addresses: Vec<IpAddr> = found
        .map_err(|error| failed(error.to_string()))?
        .iter()
        .collect();
    if addresses.is_empty() {
        return Err(failed("it has no address".to_owned()));
    }
    Ok(addresses)
}

/// `/etc/hosts`, before any server is asked.
fn of_hosts_file(name: &Name) -> Vec<IpAddr> {
    let Ok(hosts) = Hosts::from_system() else {
        return Vec::new();
    };
    [RecordType::A, RecordType::AAAA]
        .into_iter()
        .filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)))
        .flat_map(|lookup| {
            let addresses = lookup.answers().iter().filter_map(|r| r.data.ip_addr());
            addresses.collect::<Vec<_>>()
        })
        .collect()
}

/// `/etc/resolv.conf`. Without it, or without a server in it, the node's own server is asked.
fn configuration() -> Result<(ResolverConfig, ResolverOpts), String> {
    let text = match std::fs::read_to_string("/etc/resolv.conf") {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("/etc/resolv.conf: {error}")),
    };
    let (config, mut options) = system_conf::parse_resolv_conf(&text).unwrap_or_else(|_| {
        let local = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![local]);
        (config, ResolverOpts::default())
    });
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    Ok((config, options))
}
