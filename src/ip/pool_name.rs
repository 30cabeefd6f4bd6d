//! The name of a pool, shared and not copied.

use std::borrow::Borrow;
use std::fmt;

use arcstr::ArcStr;

/// What precedes the name of a Subnet: no IPPool can have a name with a slash.
const OF_SUBNET: &str = "subnet/";

/// The name of an IPPool, or `subnet/NAME` for the pool that a Subnet is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolName(ArcStr);

impl PoolName {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the pool that the Subnet of this name is.
    #[must_use]
    pub fn of_subnet(name: &str) -> Self {
        Self(format!("{OF_SUBNET}{name}").into())
    }

    /// The name of the Subnet, if it is one.
    #[must_use]
    pub fn subnet(&self) -> Option<&str> {
        self.0.strip_prefix(OF_SUBNET)
    }
}

impl<T: Into<ArcStr>> From<T> for PoolName {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl Borrow<str> for PoolName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
