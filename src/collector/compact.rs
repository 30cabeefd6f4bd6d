//! What very many objects have, in little memory: uids, versions and times as numbers, texts that
//! several share once, behind a thin pointer.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU64;

use arcstr::ArcStr;
use jiff::Timestamp;

/// A uid: as a rule a UUID, and as a number less than half of its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Uid {
    /// A UUID as the API server writes it.
    Uuid([u8; 16]),
    /// Any other text.
    Other(Box<str>),
}

impl Uid {
    /// Whether a kubelet made it, for a static pod: a hash without hyphens.
    #[must_use]
    pub fn is_of_static_pod(&self) -> bool {
        match self {
            Self::Uuid(_) => false,
            Self::Other(text) => text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        }
    }
}

impl<T: AsRef<str>> From<T> for Uid {
    fn from(text: T) -> Self {
        let text = text.as_ref();
        uuid(text).map_or_else(|| Self::Other(text.into()), Self::Uuid)
    }
}

/// The number of a UUID that is written back as the same text.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let is_uuid = text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    });
    let number = u128::from_str_radix(&text.replace('-', ""), 16);
    let number = number.ok().filter(|_| is_uuid && text.len() == 36);
    number.map(u128::to_be_bytes)
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(bytes) => {
                let digits = format!("{:032x}", u128::from_be_bytes(*bytes));
                let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..16]);
                write!(f, "{a}-{b}-{c}-{}-{}", &digits[16..20], &digits[20..])
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// A `resourceVersion`: nothing but equality counts, though etcd's are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// As etcd's are.
    Number(u64),
    /// Any other text.
    Other(Box<str>),
}

impl<T: AsRef<str>> From<T> for Version {
    fn from(text: T) -> Self {
        let text = text.as_ref();
        let number = text.parse().ok();
        let number = number.filter(|number: &u64| number.to_string() == text);
        number.map_or_else(|| Self::Other(text.into()), Self::Number)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// A moment to the microsecond, as Kubernetes writes times, in a third of the memory of an
/// `Option<Timestamp>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(NonZeroU64);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        let since_first = at
            .as_microsecond()
            .abs_diff(Timestamp::MIN.as_microsecond());
        Self(NonZeroU64::MIN.saturating_add(since_first))
    }
}

impl From<Moment> for Timestamp {
    fn from(Moment(number): Moment) -> Self {
        let first = Self::MIN.as_microsecond();
        let at = first.saturating_add_unsigned(number.get() - 1);
        Self::from_microsecond(at).unwrap_or(Self::MAX)
    }
}

/// Texts that many objects have, each once: names of nodes, namespaces, networks.
#[derive(Debug, Default)]
pub struct SharedTexts(RefCell<HashSet<ArcStr>>);

impl SharedTexts {
    /// The one copy of this text.
    #[must_use]
    pub fn share(&self, text: &str) -> ArcStr {
        let mut texts = self.0.borrow_mut();
        if let Some(known) = texts.get(text) {
            return known.clone();
        }
        let new = ArcStr::from(text);
        texts.insert(new.clone());
        new
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_take_no_memory_of_their_own() {
        let uid = "0f3c1a2b-0000-4000-8000-00000000000a";
        assert!(matches!(Uid::from(uid), Uid::Uuid(_)));
        assert_eq!(Version::from("1234567"), Version::Number(1_234_567));
        assert_eq!((size_of::<Uid>(), size_of::<Version>()), (24, 16));
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }

    proptest! {
        /// A write names uid and version as they were read.
        #[test]
        fn whatever_is_read_is_written_back(
            text in r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-fA-F]{32}|[0-9a-fA-F-]{36}|[+]?0{0,2}[0-9]{1,21}|\PC{0,40}"
        ) {
            prop_assert_eq!(Uid::from(&text).to_string(), text.clone());
            prop_assert_eq!(Version::from(&text).to_string(), text);
        }

        #[test]
        fn a_moment_is_a_time_to_the_microsecond(
            micros in Timestamp::MIN.as_microsecond()..=Timestamp::MAX.as_microsecond()
        ) {
            let at = Timestamp::from_microsecond(micros).expect("a time");
            prop_assert_eq!(Timestamp::from(Moment::from(at)), at);
        }
    }
}
