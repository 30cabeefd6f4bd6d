//! Ranges as people write them, and the pools that are made of them.

use std::net::IpAddr;

use ipnet::IpNet;
use leasehold::api::{IPPool, IPPoolSpec};
use leasehold::ip::{Span, Spans, Vrf, special};
use leasehold::pool::Pools;

/// Any lines: the first is a subnet, those that start with `!` are exclusions, the others `ips`.
/// Each range is refused, or means the same when it is written again; sets of them add up; and a
/// pool gives no address outside its subnet or ranges, and none that is excluded or special.
pub fn ranges(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.lines();
    let subnet = lines.next().unwrap_or_default();
    let (excluded, given): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with('!'));
    let excluded: Vec<&str> = excluded.iter().map(|line| &line[1..]).collect();
    let (excluded_spans, given_spans) = (spans(&excluded), spans(&given));
    add_up(&given_spans, &excluded_spans);
    let spec = IPPoolSpec {
        subnet: subnet.to_owned(),
        ips: given.iter().map(ToString::to_string).collect(),
        exclude_ips: excluded.iter().map(ToString::to_string).collect(),
        ..IPPoolSpec::default()
    };
    let pools = Pools::read(vec![IPPool::new("fuzzed", spec)], &[], &[], &Vrf::default());
    let pools = pools.expect("nothing is reserved");
    let Some(Ok(pool)) = pools.get("fuzzed") else {
        return;
    };
    assert_eq!(pool.subnet.to_string(), subnet, "not in canonical form");
    for span in &pool.usable {
        for end in [span.first(), span.last()] {
            may_be_given(end, pool.subnet, &given_spans, &excluded_spans);
        }
    }
}

fn may_be_given(address: IpAddr, subnet: IpNet, given: &Spans, excluded: &Spans) {
    assert!(subnet.contains(&address), "{address} is outside {subnet}");
    assert!(
        given.is_empty() || given.contains(address),
        "{address} was not named"
    );
    assert!(!excluded.contains(address), "{address} is excluded");
    assert!(!special(subnet).contains(address), "{address} is special");
}

fn spans(lines: &[&str]) -> Spans {
    lines.iter().filter_map(|line| span(line)).collect()
}

fn span(line: &str) -> Option<Span> {
    let span: Span = line.parse().ok()?;
    assert!(span.first() <= span.last());
    assert!(span.contains(span.first()) && span.contains(span.last()));
    // A CIDR may end at an address that is refused by itself: an IPv4-mapped IPv6 address.
    let writable = |end: IpAddr| end.to_canonical() == end;
    if writable(span.first()) && writable(span.last()) {
        assert_eq!(
            span.to_string().parse(),
            Ok(span),
            "{line:?} is read as {span}"
        );
    }
    Some(span)
}

/// The addresses of one set that are in another one, and those that are not.
fn add_up(a: &Spans, b: &Spans) {
    let (both, only_a) = (a.intersection(b), a.without(b));
    let again: Spans = both.iter().chain(&only_a).copied().collect();
    assert_eq!(again, *a);
    assert!(both.intersection(&only_a).is_empty());
    assert_eq!(both.len().saturating_add(only_a.len()), a.len());
    assert_eq!(both, b.intersection(a));
}
