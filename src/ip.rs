//! Addresses, spans of them and sets of spans: arithmetic and nothing else.
//!
//! A set is a sorted list of spans, so a `/64` costs what a `/28` costs: nothing here visits every
//! address. [`allocate`](crate::allocate) decides which address of a set is tried.
//!
//! # Invariants
//!
//! The spans of a [`Spans`] are sorted, disjoint and not adjacent, and no span crosses families.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

mod pool_name;
mod route;
mod set;
mod vrf;

pub use pool_name::PoolName;
pub use route::Route;
pub use set::Spans;
pub use vrf::{InvalidVrf, Vrf};

/// Reads an address as another program reports it: one that is IPv4 and IPv6 at once
/// (`::ffff:192.0.2.1`) is the IPv4 one.
#[must_use]
pub fn reported(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
}

/// The family of an address, a span or a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both families, IPv4 first: the order in which an answer lists them.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The family of `address`.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }

    /// The greatest address of the family as a number.
    #[cfg(test)]
    fn greatest(self) -> u128 {
        match self {
            Self::V4 => u128::from(u32::MAX),
            Self::V6 => u128::MAX,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// Why a text is not a span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// Neither an address, nor a range, nor a CIDR.
    #[error("{0:?} is not an address, an a-b range or a CIDR")]
    Malformed(String),
    /// An IPv4-mapped IPv6 address, which has two families.
    #[error("{0:?} is an IPv4-mapped IPv6 address: write it as IPv4")]
    Mapped(String),
    /// A range from one family into the other.
    #[error("{0:?} begins in one address family and ends in the other")]
    MixedFamilies(String),
    /// A range whose end comes before its beginning.
    #[error("{0:?} ends before it begins: write the lower address first")]
    Reversed(String),
}

/// An unbroken run of addresses of one family, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    family: Family,
    first: u128,
    last: u128,
}

impl Span {
    /// The span from `first` to `last`; `None` if they are of two families or reversed.
    #[must_use]
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let family = Family::of(first);
        let span = Self {
            family,
            first: number(first),
            last: number(last),
        };
        (family == Family::of(last) && span.first <= span.last).then_some(span)
    }

    /// The family of its addresses.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Its lowest address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        address(self.family, self.first)
    }

    /// Its highest address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        address(self.family, self.last)
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.family == Family::of(address) && (self.first..=self.last).contains(&number(address))
    }

    /// How many addresses it has. All of IPv6, which has one more than `u128` can hold, counts as
    /// `u128::MAX`.
    #[must_use]
    pub fn len(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }

    /// Always false: a span has at least one address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }
}

impl From<IpAddr> for Span {
    fn from(address: IpAddr) -> Self {
        Self {
            family: Family::of(address),
            first: number(address),
            last: number(address),
        }
    }
}

/// The addresses of a network, host bits of the text ignored.
impl From<IpNet> for Span {
    fn from(net: IpNet) -> Self {
        Self {
            family: Family::of(net.addr()),
            first: number(net.network()),
            last: number(net.broadcast()),
        }
    }
}

/// `::ffff:0:0/96`.
const MAPPED: Span = Span {
    family: Family::V6,
    first: 0xffff_0000_0000,
    last: 0xffff_ffff_ffff,
};

/// Reads an address, an `a-b` range or a CIDR, the three forms of `ips` and `excludeIPs`.
impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let malformed = || SpanError::Malformed(text.to_owned());
        let parse = |part: &str| match part.parse::<IpAddr>() {
            Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
                Err(SpanError::Mapped(text.to_owned()))
            }
            Ok(address) => Ok(address),
            Err(_) => Err(malformed()),
        };
        if let Some((addr, _)) = text.split_once('/') {
            parse(addr)?;
            return cidr(text).map(Self::from).ok_or_else(malformed);
        }
        let Some((first, last)) = text.split_once('-') else {
            return parse(text).map(Self::from);
        };
        let (first, last) = (parse(first)?, parse(last)?);
        if Family::of(first) != Family::of(last) {
            return Err(SpanError::MixedFamilies(text.to_owned()));
        }
        Self::new(first, last).ok_or_else(|| SpanError::Reversed(text.to_owned()))
    }
}

/// As it would be written in `ips`: an address, or `a-b`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first())
        } else {
            write!(f, "{}-{}", self.first(), self.last())
        }
    }
}

/// Reads a CIDR, whose host bits may be set, as the API server does (Go's `net/netip`).
///
/// [`IpNet`]'s own parser reads `010` as ten, and other programs read it as eight: refused here.
#[must_use]
pub fn cidr(text: &str) -> Option<IpNet> {
    let (addr, len) = text.split_once('/')?;
    let prefix: u8 = len.parse().ok()?;
    let net = IpNet::new(addr.parse().ok()?, prefix).ok()?;
    (prefix.to_string() == len).then_some(net)
}

/// Whether a pod with an address of `subnet` reaches `address` on its link: it is in the subnet, or
/// a link-local one of IPv6 (`fe80::1`), which is on every link.
#[must_use]
pub fn is_neighbor(subnet: IpNet, address: IpAddr) -> bool {
    subnet.contains(&address) || subnet.addr().is_ipv6() && is_link_local(address)
}

/// Whether it is a link-local address of IPv6 (RFC 4291 §2.5.6), which every link has its own of.
#[must_use]
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// The addresses of `subnet` that no pod may have.
///
/// The network and broadcast addresses of IPv4 (RFC 919 and RFC 922; a `/31` has neither, RFC
/// 3021); the subnet-router anycast address of IPv6 (RFC 4291 §2.6.1; a `/127` has none, RFC
/// 6164), and the IPv4-mapped addresses (§2.5.5.2).
#[must_use]
pub fn special(subnet: IpNet) -> Spans {
    let (network, broadcast) = (subnet.network(), subnet.broadcast());
    if subnet.prefix_len() + 1 >= subnet.max_prefix_len() {
        return Spans::default();
    }
    match subnet {
        IpNet::V4(_) => [Span::from(network), Span::from(broadcast)]
            .into_iter()
            .collect(),
        IpNet::V6(_) => [Span::from(network), MAPPED].into_iter().collect(),
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The inverse of [`number`]. An IPv4 number never has more than 32 bits: spans are built from
/// addresses.
fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(
            u32::try_from(number).unwrap_or(u32::MAX),
        )),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_in_three_forms_and_nothing_else() {
        let spans = |text: &str| {
            text.parse::<Span>()
                .map(|s| (s.first().to_string(), s.last().to_string()))
        };
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        for (text, expected) in [
            ("10.0.0.7", pair("10.0.0.7", "10.0.0.7")),
            ("10.0.0.7-10.0.0.9", pair("10.0.0.7", "10.0.0.9")),
            ("10.0.0.0/30", pair("10.0.0.0", "10.0.0.3")),
            ("10.0.0.2/30", pair("10.0.0.0", "10.0.0.3")),
            ("0.0.0.0/0", pair("0.0.0.0", "255.255.255.255")),
            ("fd00::a-fd00::1:0", pair("fd00::a", "fd00::1:0")),
            (
                "::/0",
                pair("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ),
            ("", Err(SpanError::Malformed(String::new()))),
            ("10.0.0.7-", Err(SpanError::Malformed("10.0.0.7-".into()))),
            (
                "10.0.0.1-10.0.0.2-10.0.0.3",
                Err(SpanError::Malformed("10.0.0.1-10.0.0.2-10.0.0.3".into())),
            ),
            (
                "10.0.0.0/33",
                Err(SpanError::Malformed("10.0.0.0/33".into())),
            ),
            ("10.0.0.010", Err(SpanError::Malformed("10.0.0.010".into()))),
            ("١٠.0.0.1", Err(SpanError::Malformed("١٠.0.0.1".into()))),
            (
                "10.0.0.9-10.0.0.7",
                Err(SpanError::Reversed("10.0.0.9-10.0.0.7".into())),
            ),
            (
                "10.0.0.9-fd00::1",
                Err(SpanError::MixedFamilies("10.0.0.9-fd00::1".into())),
            ),
            (
                "::ffff:10.0.0.1",
                Err(SpanError::Mapped("::ffff:10.0.0.1".into())),
            ),
        ] {
            assert_eq!(spans(text), expected, "{text}");
        }
    }

    /// Found by the fuzz target `ranges`.
    #[test]
    fn a_cidr_has_no_number_that_others_read_as_octal() {
        for text in [
            "10.0.0.010/24",
            "010.0.0.0/24",
            "10.0.00.0/24",
            "10.0.0.0/024",
            "10.0.0.0/+24",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0",
            "/24",
            "10.0.0.0/24/24",
            "fe80::1%eth0/64",
            "fd00::/064",
        ] {
            assert_eq!(cidr(text), None, "{text}");
        }
        for text in ["10.0.0.7/24", "0.0.0.0/0", "fd00::7/64", "::/0"] {
            assert_eq!(cidr(text).map(|net| net.to_string()), Some(text.to_owned()));
        }
    }

    #[test]
    fn a_neighbor_is_in_the_subnet_or_link_local() {
        for (subnet, address, is) in [
            ("10.0.0.0/24", "10.0.0.1", true),
            ("10.0.0.0/24", "10.0.1.1", false),
            ("10.0.0.0/24", "169.254.0.1", false),
            ("10.0.0.0/24", "fe80::1", false),
            ("fd00::/64", "fd00::1", true),
            ("fd00::/64", "fe80::1", true),
            ("fd00::/64", "febf:ffff::1", true),
            ("fd00::/64", "fec0::1", false),
            ("fd00::/64", "fd00:0:0:1::1", false),
            ("fd00::/64", "ff02::1", false),
            ("fd00::/64", "169.254.0.1", false),
        ] {
            let subnet: IpNet = subnet.parse().expect("a CIDR");
            let address = address.parse().expect("an address");
            assert_eq!(is_neighbor(subnet, address), is, "{address} in {subnet}");
        }
    }

    #[test]
    fn the_ends_of_a_subnet_are_special_unless_it_is_a_link_of_two() {
        for (subnet, expected) in [
            ("10.0.0.0/24", "10.0.0.0,10.0.0.255"),
            ("10.0.0.0/31", ""),
            ("10.0.0.1/32", ""),
            ("fd00::/64", "fd00::"),
            ("::/64", "::,::ffff:0.0.0.0-::ffff:255.255.255.255"),
            ("fd00::/127", ""),
            ("fd00::1/128", ""),
        ] {
            let subnet: IpNet = subnet.parse().expect("a CIDR");
            let all: Spans = std::iter::once(Span::from(subnet)).collect();
            let inside = special(subnet).intersection(&all);
            assert_eq!(inside.to_string(), expected, "{subnet}");
        }
    }
}
