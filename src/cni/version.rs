//! The versions of the specification that leasehold speaks.

use rscni_types::version::{PluginInfo, SpecVersion};

/// Every version, the oldest first. A configuration without one is of that one, as in libcni.
pub(super) const SUPPORTED: [SpecVersion; 7] = [
    SpecVersion::new(0, 1, 0),
    SpecVersion::new(0, 2, 0),
    SpecVersion::new(0, 3, 0),
    SpecVersion::new(0, 3, 1),
    SpecVersion::new(0, 4, 0),
    SpecVersion::new(1, 0, 0),
    SpecVersion::new(1, 1, 0),
];

/// All of them, for messages.
pub(super) fn listed() -> String {
    SUPPORTED.map(|version| version.to_string()).join(", ")
}

/// The answer to `VERSION`.
pub(super) fn info(version: SpecVersion) -> PluginInfo {
    PluginInfo::new(version, SUPPORTED.to_vec())
}

/// Whether a result has an object for each family, `ip4` and `ip6`, instead of lists.
pub(super) fn is_by_family(version: SpecVersion) -> bool {
    version < SpecVersion::new(0, 3, 0)
}
