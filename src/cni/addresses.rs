//! Addresses in a configuration: those that a pod asks for, and those of an earlier result.

use std::net::IpAddr;

use serde::Deserialize;

use super::args::Args;
use super::input_error::InputError;
use super::json::{Field, Object};
use crate::ip::{Family, cidr};
use crate::text::shown;

const EXPECTED: &str =
    "a list of at most one address of each family, with or without a prefix length";

/// The addresses asked for: `runtimeConfig.ips`, else `args.cni.ips`, else `IP=` in `CNI_ARGS` (deprecated), as
/// CNI's CONVENTIONS.md has it. What a source that has precedence overrules is not looked at.
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
    // `args` is for anybody, so that what is not ours may look as it likes.
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

/// The addresses of a result, in the layout of any version; none if it has none.
pub fn of_result(result: &Field<'_>) -> Result<Option<Vec<IpAddr>>, InputError> {
    /// 0.3.0 and later.
    #[derive(Deserialize)]
    struct Ip {
        address: String,
    }
    /// Before that, `ip4` and `ip6`.
    #[derive(Deserialize)]
    struct IpOfFamily {
        ip: String,
    }
    let object = result.object()?;
    let mut written = Vec::new();
    if let Some(ips) = object.get("ips") {
        let ips: Vec<Ip> = ips.read("a list of objects with an address")?;
        written.extend(ips.into_iter().map(|ip| ip.address));
    }
    for key in ["ip4", "ip6"] {
        if let Some(ip) = object.get(key) {
            written.push(ip.read::<IpOfFamily>("an object with an ip")?.ip);
        }
    }
    let addresses: Option<Vec<IpAddr>> = written.iter().map(|text| address(text)).collect();
    match addresses {
        None => Err(result.refused("a result with addresses in CIDR notation")),
        Some(addresses) => Ok(Some(addresses).filter(|addresses| !addresses.is_empty())),
    }
}

/// CNI's conventions forbid to ignore what stands in `runtimeConfig`, and ranges are not for a runtime to make up.
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

/// An address with or without a prefix length, which only the pool knows. One that is IPv4 and IPv6 at once is none.
fn address(text: &str) -> Option<IpAddr> {
    let address = match text.split_once('/') {
        Some(_) => cidr(text)?.addr(),
        None => text.parse().ok()?,
    };
    (address.to_canonical() == address).then_some(address)
}
