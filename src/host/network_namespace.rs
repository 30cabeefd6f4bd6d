//! Whether a sandbox still exists.

use std::path::Path;

use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, statfs};

/// `NSFS_MAGIC` of linux/magic.h, which libc does not name everywhere.
const NSFS: FsType = FsType(0x6e73_6673);

/// Whether the path of `CNI_NETNS` leads to a network namespace.
///
/// A runtime unmounts the namespace before it removes the file, so the file alone proves nothing.
#[must_use]
pub fn exists(netns: &Path) -> bool {
    statfs(netns).is_ok_and(|fs| [NSFS, PROC_SUPER_MAGIC].contains(&fs.filesystem_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_exists_and_a_plain_file_is_none() {
        assert!(exists(Path::new("/proc/self/ns/net")));
        assert!(!exists(Path::new("/etc/hostname")));
        assert!(!exists(Path::new("/run/netns/no-such-namespace")));
        assert!(!exists(Path::new("")));
    }
}
