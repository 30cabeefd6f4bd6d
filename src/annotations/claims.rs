//! The annotations about sets of addresses.

use super::json::{Malformed, names_nothing};
use super::{Annotations, Found, PoolRef, find, keys};
use crate::text::both_ends;

/// The most addresses that a set may have of a family.
const MAX_SET: u32 = 1024;

/// How many addresses a set has, as `ippool-ip-number` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpNumber {
    /// So many.
    Fixed(u32),
    /// So many more than the application has replicas.
    More(u32),
}

/// The pod's annotation `claim`: the name of an IPClaim of its namespace.
pub fn claim(annotations: &Annotations) -> Result<Option<Found<String>>, Malformed> {
    read_text(annotations, keys::CLAIM, "web", |text| {
        match text.parse::<PoolRef>() {
            // Every object's name is of the same letters.
            Ok(PoolRef::Name(name)) => Ok(name.to_string()),
            Ok(PoolRef::Pattern(_)) | Err(_) => {
                Err("is not the name of an IPClaim: a-z, 0-9, \"-\" and \".\"".to_owned())
            }
        }
    })
}

/// The pod's annotation `ippool-ip-number`.
pub fn ip_number(annotations: &Annotations) -> Result<Option<Found<IpNumber>>, Malformed> {
    read_text(annotations, keys::IPPOOL_IP_NUMBER, "+1", |text| {
        let (digits, more) = match text.strip_prefix('+') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| is_number);
        match (number, more) {
            (Some(more @ 0..=MAX_SET), true) => Ok(IpNumber::More(more)),
            (Some(fixed @ 1..=MAX_SET), false) => Ok(IpNumber::Fixed(fixed)),
            _ => Err(format!(
                "is not a number of addresses: write \"N\" from 1 to {MAX_SET}, or \"+N\" for so many more than replicas"
            )),
        }
    })
}

/// The pod's annotation `ippool-reclaim`: whether the set goes some time after its application.
pub fn reclaim(annotations: &Annotations) -> Result<Option<Found<bool>>, Malformed> {
    read_text(annotations, keys::IPPOOL_RECLAIM, "false", |text| {
        match text {
            // What Go's strconv.ParseBool takes, and so Spiderpool.
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err("is neither \"true\" nor \"false\"".to_owned()),
        }
    })
}

fn read_text<T>(
    annotations: &Annotations,
    name: &str,
    example: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<Found<T>>, Malformed> {
    let Some((key, text)) = find(annotations, name) else {
        return Ok(None);
    };
    if names_nothing(text) {
        return Ok(None);
    }
    match parse(text.trim()) {
        Ok(value) => Ok(Some(Found { key, value })),
        Err(problem) => Err(Malformed {
            annotation: key,
            position: String::new(),
            problem: format!("{:?} {problem}", both_ends(text)),
            example,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(name: &str, text: &str) -> Annotations {
        Annotations::from([(format!("ipam.spidernet.io/{name}"), text.to_owned())])
    }

    #[test]
    fn a_claim_is_named_as_it_is() {
        for (text, expected) in [
            ("web", Ok(Some("web"))),
            (" web.1 ", Ok(Some("web.1"))),
            ("", Ok(None)),
            ("null", Ok(None)),
            ("shop/web", Err(())),
            ("web-*", Err(())),
            ("Web", Err(())),
            (r#"{"name":"web"}"#, Err(())),
            (r#"["web"]"#, Err(())),
            ("räcks", Err(())),
            ("[]", Ok(None)),
        ] {
            let read = claim(&annotated("claim", text)).map(|found| found.map(|f| f.value));
            let expected = expected.map(|name: Option<&str>| name.map(str::to_owned));
            assert_eq!(read.map_err(drop), expected, "{text}");
        }
    }

    #[test]
    fn a_number_of_addresses_is_fixed_or_so_many_more_than_replicas() {
        for (text, expected) in [
            ("1", Ok(Some(IpNumber::Fixed(1)))),
            ("1024", Ok(Some(IpNumber::Fixed(1024)))),
            ("05", Ok(Some(IpNumber::Fixed(5)))),
            ("+0", Ok(Some(IpNumber::More(0)))),
            ("+5", Ok(Some(IpNumber::More(5)))),
            ("", Ok(None)),
            ("0", Err(())),
            ("1025", Err(())),
            ("-1", Err(())),
            ("++1", Err(())),
            ("+ 1", Err(())),
            ("+", Err(())),
            ("+1025", Err(())),
            ("+1000000", Err(())),
            ("٣", Err(())),
            ("[5]", Err(())),
            (" 5 ", Ok(Some(IpNumber::Fixed(5)))),
            ("  ", Ok(None)),
            ("[]", Ok(None)),
            ("null", Ok(None)),
            ("1.5", Err(())),
            ("99999999999999999999", Err(())),
        ] {
            let read = ip_number(&annotated("ippool-ip-number", text));
            let read = read.map(|found| found.map(|f| f.value)).map_err(drop);
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn whether_a_set_goes_is_yes_or_no() {
        for (text, expected) in [
            ("true", Ok(Some(true))),
            ("false", Ok(Some(false))),
            ("F", Ok(Some(false))),
            ("1", Ok(Some(true))),
            ("", Ok(None)),
            ("no", Err(())),
            ("tRUE", Err(())),
        ] {
            let read = reclaim(&annotated("ippool-reclaim", text));
            let read = read.map(|found| found.map(|f| f.value)).map_err(drop);
            assert_eq!(read, expected, "{text}");
        }
        let message = reclaim(&annotated("ippool-reclaim", "no")).map_err(|m| m.to_string());
        assert_eq!(
            message.err().as_deref(),
            Some(
                r#"annotation ipam.spidernet.io/ippool-reclaim: "no" is neither "true" nor "false"; for example false"#
            )
        );
    }
}
