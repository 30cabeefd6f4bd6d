//! Addresses in a configuration: those that a pod asks for, and those of an earlier result.

use std::net::IpAddr;

use super::args::Args;
use super::input_error::InputError;
use super::json::{Field, Object};
use crate::ip::{Family, cidr};
use crate::text::shown;

const EXPECTED: &str =
    "a list of at most one address of each family, with or without a prefix length";

/// The addresses asked for: `runtimeConfig.ips`, else `args.cni.ips`, else `IP=` in `CNI_ARGS`
/// (deprecated), as CNI's CONVENTIONS.md has it. A source is not read where another has precedence.
pub fn requested(document: &Object<'_>, args: &Args) -> Result<Vec<IpAddr>, InputError> {
    let by_runtime = match document.get("runtimeConfig") {
        None => None,
        Some(field) => {
            let config = field.object()?;
            refuse_ranges(&config)?;
            config.get("ips")
        }
    };
    if let Some(addresses) = listed(by_runtime.as_ref())? {
        return Ok(addresses);
    }
    // `args` is shared by all plugins, so what is not ours may have any form.
    let by_args = document
        .get("args")
        .and_then(|args| args.object().ok()?.get("cni")?.object().ok()?.get("ips"));
    if let Some(addresses) = listed(by_args.as_ref())? {
        return Ok(addresses);
    }
    let Some(text) = args.ip() else {
        return Ok(Vec::new());
    };
    one_of_each(text.split(',')).ok_or_else(|| InputError::Argument {
        key: "IP",
        found: shown(&format!("{text:?}")),
        expected: "at most one address of each family, separated by \",\", with or without a prefix length",
    })
}

/// The addresses that a result gives to `interface`, in the layout of any version.
///
/// An address that the result gives to another interface of the sandbox is another plugin's.
pub fn of_result(result: &Field<'_>, interface: &str) -> Result<Vec<IpAddr>, InputError> {
    const EXPECTED: &str = "a result with addresses in CIDR notation";
    let object = result.object()?;
    let interfaces = match object.get("interfaces") {
        Some(field) => field.objects("a list of interfaces")?,
        None => Vec::new(),
    };
    let is_elsewhere = |ip: &Object<'_>| {
        let index = ip
            .get("interface")
            .and_then(|field| field.read::<usize>("an index").ok());
        let other = index.and_then(|index| interfaces.get(index));
        let text = |key| other?.get(key)?.read::<String>("a text").ok();
        let is_other = text("name").is_some_and(|name| name != interface);
        is_other && text("sandbox").is_some_and(|sandbox| !sandbox.is_empty())
    };
    let mut written = Vec::new();
    if let Some(ips) = object.get("ips") {
        for ip in ips.objects("a list of objects with an address")? {
            if !is_elsewhere(&ip) {
                written.push(ip.get("address"));
            }
        }
    }
    // Before 0.3.0.
    for key in ["ip4", "ip6"] {
        if let Some(ip) = object.get(key) {
            written.push(ip.object()?.get("ip"));
        }
    }
    let read = |field: Option<Field<'_>>| address(&field?.read::<String>(EXPECTED).ok()?);
    let addresses: Option<Vec<IpAddr>> = written.into_iter().map(read).collect();
    addresses.ok_or_else(|| result.refused(EXPECTED))
}

/// CNI's conventions forbid to ignore a key of `runtimeConfig`, and a runtime may not make up
/// ranges.
fn refuse_ranges(runtime_config: &Object<'_>) -> Result<(), InputError> {
    match runtime_config.get("ipRanges") {
        Some(field) if !field.is_empty_list() => Err(InputError::Unsupported {
            key: field.path.clone(),
            value: field.found(),
        }),
        _ => Ok(()),
    }
}

fn listed(field: Option<&Field<'_>>) -> Result<Option<Vec<IpAddr>>, InputError> {
    let Some(field) = field else {
        return Ok(None);
    };
    let texts: Vec<String> = field.read(EXPECTED)?;
    let addresses =
        one_of_each(texts.iter().map(String::as_str)).ok_or_else(|| field.refused(EXPECTED))?;
    Ok(Some(addresses).filter(|addresses| !addresses.is_empty()))
}

fn one_of_each<'a>(texts: impl Iterator<Item = &'a str>) -> Option<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in texts {
        let address = address(text)?;
        if addresses
            .iter()
            .any(|other| Family::of(*other) == Family::of(address))
        {
            return None;
        }
        addresses.push(address);
    }
    Some(addresses)
}

/// An address with or without a prefix length, which only the pool knows. One that is IPv4 and IPv6
/// at once is refused.
fn address(text: &str) -> Option<IpAddr> {
    let address = match text.split_once('/') {
        Some(_) => cidr(text)?.addr(),
        None => text.parse().ok()?,
    };
    (address.to_canonical() == address).then_some(address)
}
