//! The address space that an address is unique in.

use std::fmt;
use std::str::FromStr;

use arcstr::ArcStr;

/// A VRF: empty for the cluster's own address space, else a DNS label (RFC 1123) that begins with
/// a letter.
///
/// The letter distinguishes it from an address where both are joined to the name of a lease.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vrf(ArcStr);

/// A text that is not a vrf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a vrf: at most 63 of a-z, 0-9 and \"-\", the first a letter, the last no \"-\""
)]
pub struct InvalidVrf(String);

impl Vrf {
    /// Whether it is the cluster's own address space.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    /// As it is written, `""` for the default.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Vrf {
    type Err = InvalidVrf;

    fn from_str(text: &str) -> Result<Self, InvalidVrf> {
        let label = text.len() <= 63
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-');
        if text.is_empty() || label {
            Ok(Self(text.into()))
        } else {
            Err(InvalidVrf(text.to_owned()))
        }
    }
}

impl fmt::Display for Vrf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vrf_is_a_label_that_begins_with_a_letter_or_nothing() {
        for good in ["", "a", "blue", "b-1", &"a".repeat(63)] {
            assert_eq!(
                good.parse::<Vrf>().map(|vrf| vrf.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in ["1a", "-a", "a-", "A", "a.b", "ä", " ", &"a".repeat(64)] {
            assert!(bad.parse::<Vrf>().is_err(), "{bad:?}");
        }
    }
}
