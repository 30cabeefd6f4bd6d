//! Whether a sandbox still exists.

use std::os::unix::fs::MetadataExt;
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

/// Whether the path of `CNI_NETNS` leads to the network namespace of this process.
#[must_use]
pub fn is_own(netns: &Path) -> bool {
    let identity = |path: &Path| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.dev(), file.ino()))
    };
    let own = identity(Path::new("/proc/self/ns/net"));
    own.is_some() && own == identity(netns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_namespace_is_known_by_its_inode() {
        assert!(is_own(Path::new("/proc/self/ns/net")));
        assert!(is_own(Path::new("/proc/thread-self/ns/net")));
        assert!(!is_own(Path::new("/proc/self/ns/mnt")));
        assert!(!is_own(Path::new("/etc/hostname")));
        assert!(!is_own(Path::new("/run/netns/no-such-namespace")));
    }

    #[test]
    fn a_namespace_exists_and_a_plain_file_is_none() {
        assert!(exists(Path::new("/proc/self/ns/net")));
        assert!(!exists(Path::new("/etc/hostname")));
        assert!(!exists(Path::new("/run/netns/no-such-namespace")));
        assert!(!exists(Path::new("")));
    }
}
