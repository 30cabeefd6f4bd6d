//! Sets of addresses as sorted spans.

use std::fmt;
use std::net::IpAddr;

use super::{Span, address};

/// A set of addresses of both families.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Its spans in ascending order, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = &Span> {
        self.0.iter()
    }

    /// Whether it has no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many addresses it has, at most `u128::MAX`.
    #[must_use]
    pub fn len(&self) -> u128 {
        self.0
            .iter()
            .fold(0, |sum, span| u128::saturating_add(sum, span.len()))
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let after = self.0.partition_point(|span| *span <= Span::from(address));
        // The span that holds the address begins at it or before it. One that begins at it and is
        // longer sorts after it.
        self.0[after.saturating_sub(1)..]
            .iter()
            .take(2)
            .any(|span| span.contains(address))
    }

    /// The `index`-th address in ascending order, counted from 0.
    #[must_use]
    pub fn nth(&self, index: u128) -> Option<IpAddr> {
        let mut left = index;
        for span in &self.0 {
            if left < span.len() {
                return Some(address(span.family, span.first + left));
            }
            left -= span.len();
        }
        None
    }

    /// What is in `self` and not in `other`. Costs the number of spans of both, not of addresses.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Vec::with_capacity(self.0.len());
        let mut holes = other.0.iter().peekable();
        for &span in &self.0 {
            while holes
                .next_if(|hole| (hole.family, hole.last) < (span.family, span.first))
                .is_some()
            {}
            let mut left = Some(span);
            while let (Some(piece), Some(&&hole)) = (left, holes.peek()) {
                if hole.family != piece.family || hole.first > piece.last {
                    break;
                }
                if hole.first > piece.first {
                    rest.push(Span {
                        last: hole.first - 1,
                        ..piece
                    });
                }
                left = (hole.last < piece.last).then(|| Span {
                    first: hole.last + 1,
                    ..piece
                });
                // A hole that ends inside this piece is finished; one that goes on may also cut the
                // next piece.
                if left.is_some() {
                    holes.next();
                }
            }
            rest.extend(left);
        }
        Self(rest)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.without(&self.without(other))
    }
}

impl FromIterator<Span> for Spans {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut sorted: Vec<Span> = spans.into_iter().collect();
        sorted.sort_unstable();
        let mut merged: Vec<Span> = Vec::with_capacity(sorted.len());
        for span in sorted {
            match merged.last_mut() {
                Some(last)
                    if last.family == span.family && span.first <= last.last.saturating_add(1) =>
                {
                    last.last = last.last.max(span.last);
                }
                _ => merged.push(span),
            }
        }
        Self(merged)
    }
}

impl FromIterator<IpAddr> for Spans {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        addresses.into_iter().map(Span::from).collect()
    }
}

impl<'a> IntoIterator for &'a Spans {
    type Item = &'a Span;
    type IntoIter = std::slice::Iter<'a, Span>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// As a list would be written: `10.0.0.1-10.0.0.9,10.0.0.12`.
impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, span) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{span}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::Family;
    use super::*;

    /// Ends near each other, so that spans meet, touch and overlap, and near both edges of the
    /// address space.
    fn span() -> impl Strategy<Value = Span> {
        let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
        (family, any::<bool>(), 0..40u128, 0..12u128).prop_map(|(family, low, start, len)| {
            let edge = if low { 0 } else { family.greatest() - 60 };
            Span {
                family,
                first: edge + start,
                last: (edge + start + len).min(family.greatest()),
            }
        })
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec(span(), 0..8)
    }

    /// The oracle: every address, one by one.
    fn addresses<'a>(spans: impl IntoIterator<Item = &'a Span>) -> BTreeSet<IpAddr> {
        spans
            .into_iter()
            .flat_map(|s| (s.first..=s.last).map(|n| address(s.family, n)))
            .collect()
    }

    fn set(spans: &[Span]) -> Spans {
        spans.iter().copied().collect()
    }

    proptest! {
        #[test]
        fn a_set_has_the_addresses_of_its_spans(a in spans()) {
            let set = set(&a);
            prop_assert_eq!(addresses(&set), addresses(&a));
            prop_assert_eq!(set.len(), addresses(&a).len() as u128);
        }

        #[test]
        fn spans_of_a_set_are_sorted_disjoint_and_apart(a in spans()) {
            let set = set(&a);
            for pair in set.0.windows(2) {
                let apart = pair[0].family < pair[1].family || pair[0].last + 1 < pair[1].first;
                prop_assert!(apart, "{set}");
            }
        }

        #[test]
        fn without_is_the_difference_of_sets(a in spans(), b in spans()) {
            let naive: BTreeSet<_> = addresses(&a).difference(&addresses(&b)).copied().collect();
            prop_assert_eq!(addresses(&set(&a).without(&set(&b))), naive);
        }

        #[test]
        fn the_intersection_is_the_intersection_of_sets(a in spans(), b in spans()) {
            let naive: BTreeSet<_> = addresses(&a).intersection(&addresses(&b)).copied().collect();
            prop_assert_eq!(addresses(&set(&a).intersection(&set(&b))), naive);
        }

        #[test]
        fn contains_agrees_with_a_linear_scan(a in spans(), probe in span()) {
            let set = set(&a);
            let naive = addresses(&a);
            for address in addresses([&probe]) {
                prop_assert_eq!(set.contains(address), naive.contains(&address));
            }
        }

        #[test]
        fn nth_counts_through_the_set(a in spans()) {
            let set = set(&a);
            let counted: BTreeSet<_> = (0..set.len()).filter_map(|i| set.nth(i)).collect();
            prop_assert_eq!(counted, addresses(&a));
            prop_assert_eq!(set.nth(set.len()), None);
        }
    }

    #[test]
    fn the_whole_of_ipv6_is_a_set_like_any_other() {
        let all: Spans = std::iter::once("::/0".parse::<Span>().expect("a CIDR")).collect();
        let last: IpAddr = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
            .parse()
            .expect("an address");
        assert_eq!(all.len(), u128::MAX, "saturates at one less than there are");
        assert!(all.contains(last));
        assert!(all.without(&all).is_empty());
        assert_eq!(
            all.without(&std::iter::once(last).collect()).len(),
            u128::MAX
        );
    }
}
