//! How a pool is named: by its name, or by a pattern that several names may match.

use std::fmt;
use std::str::FromStr;

use glob::Pattern;
use serde::{Deserialize, Deserializer, de};

use super::json::Described;
use crate::ip::PoolName;
use crate::text::both_ends;

/// One item of a list of pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PoolRef {
    /// The pool of this name.
    Name(PoolName),
    /// All pools whose names match: `*`, `?` and `[…]` as in a shell, `[^…]` and `[!…]` for all but
    /// these.
    Pattern(Wildcard),
}

/// A pattern with the text that it was written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wildcard {
    written: String,
    pattern: Pattern,
}

impl Wildcard {
    /// Whether it matches a pool of this name.
    #[must_use]
    pub fn matches(&self, name: &PoolName) -> bool {
        self.pattern.matches(name.as_str())
    }
}

/// A text that names no pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPoolRef {
    /// No object can have this name.
    #[error(
        "{0:?} is not the name of a pool: a-z, 0-9, \"-\" and \".\", or a pattern with *, ? and […]"
    )]
    Name(String),
    /// The pattern is not closed, or nests.
    #[error("{0:?} is not a pattern: {1}")]
    Pattern(String, &'static str),
}

impl FromStr for PoolRef {
    type Err = InvalidPoolRef;

    fn from_str(text: &str) -> Result<Self, InvalidPoolRef> {
        let wild = text.contains(['*', '?', '[', ']']);
        let allowed = |c: char| {
            c.is_ascii_lowercase()
                || c.is_ascii_digit()
                || matches!(c, '-' | '.')
                || wild && matches!(c, '*' | '?' | '[' | ']' | '!' | '^')
        };
        // 253: the longest name of an object (RFC 1123 subdomain); patterns get the same room.
        if text.is_empty() || text.len() > 253 || !text.chars().all(allowed) {
            return Err(InvalidPoolRef::Name(both_ends(text)));
        }
        if !wild {
            return Ok(Self::Name(text.into()));
        }
        let unclosed = |reason| InvalidPoolRef::Pattern(both_ends(text), reason);
        if text.contains(']') && !text.contains('[') {
            return Err(unclosed("\"]\" without \"[\""));
        }
        match Pattern::new(&text.replace("[^", "[!")) {
            Ok(pattern) => Ok(Self::Pattern(Wildcard {
                written: text.to_owned(),
                pattern,
            })),
            Err(error) => Err(unclosed(error.msg)),
        }
    }
}

impl fmt::Display for PoolRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Pattern(wildcard) => f.write_str(&wildcard.written),
        }
    }
}

impl<'de> Deserialize<'de> for PoolRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl Described for PoolRef {
    const WHAT: &'static str = "names of pools";
}

/// The name of a Subnet: no pattern, since each Subnet of a list is a set of its own.
pub(super) struct SubnetName(String);

impl<'de> Deserialize<'de> for SubnetName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Every object's name is of the same letters.
        match text.parse() {
            Ok(PoolRef::Name(_)) => Ok(Self(text)),
            Ok(PoolRef::Pattern(_)) | Err(_) => Err(de::Error::custom(format!(
                "{:?} is not the name of a Subnet: a-z, 0-9, \"-\" and \".\"",
                both_ends(&text)
            ))),
        }
    }
}

impl Described for SubnetName {
    const WHAT: &'static str = "names of Subnets";
}

impl From<SubnetName> for PoolRef {
    fn from(SubnetName(name): SubnetName) -> Self {
        Self::Name(PoolName::of_subnet(&name))
    }
}
