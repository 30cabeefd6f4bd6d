//! What a call leaves for the next one on its node: a request saved, and nothing that anything rests on.
//!
//! A runtime calls DEL three times for each pod, twice without saying what the pod had, and each such
//! call would search all leases of the cluster. A note may be missing at any moment. One that is there
//! is true: "released" is written only after ADD has answered, when nothing of it can come late any more.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::lease::LeaseName;

/// On a file system that a reboot empties, as it ends every sandbox.
pub const FOLDER: &str = "/run/leasehold";

/// The last DEL of a pod comes some ten seconds after the first; an hour forgives a runtime that was down.
const KEPT: Duration = Duration::from_hours(1);

const RELEASED: &str = "released";

/// What is known of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheEntry {
    /// ADD answered with these leases.
    Holds(Vec<LeaseName>),
    /// They were all released since.
    Released,
}

/// The notes of a node.
#[derive(Debug, Clone)]
pub struct ReleaseCache {
    folder: PathBuf,
}

impl Default for ReleaseCache {
    fn default() -> Self {
        Self::at(Path::new(FOLDER))
    }
}

impl ReleaseCache {
    /// The notes in a folder, which need not exist.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// What is known of an attachment. A note that can't be read says nothing.
    #[must_use]
    pub fn get(&self, container: &str, interface: &str) -> Option<CacheEntry> {
        let text = fs::read_to_string(self.path(container, interface)).ok()?;
        if text.trim() == RELEASED {
            return Some(CacheEntry::Released);
        }
        let names: Result<Vec<LeaseName>, _> = text.lines().map(str::parse).collect();
        names
            .ok()
            .filter(|names| !names.is_empty())
            .map(CacheEntry::Holds)
    }

    /// Leaves a note; where that fails the next call asks the API server instead.
    pub fn put(&self, container: &str, interface: &str, entry: &CacheEntry) {
        let text = match entry {
            CacheEntry::Holds(names) => names
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
            CacheEntry::Released => RELEASED.to_owned(),
        };
        if self.write(&self.path(container, interface), &text).is_ok()
            && *entry == CacheEntry::Released
        {
            self.sweep();
        }
    }

    /// Removes the note of an attachment. An error where it is there and stays.
    pub fn remove(&self, container: &str, interface: &str) -> io::Result<()> {
        match fs::remove_file(self.path(container, interface)) {
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn path(&self, container: &str, interface: &str) -> PathBuf {
        self.folder.join(format!("{container}.{interface}"))
    }

    /// By rename, so that nobody reads half a note.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let draft = path.with_added_extension(format!("{}.tmp", std::process::id()));
        let written = fs::File::create(&draft).and_then(|mut file| file.write_all(text.as_bytes()));
        written
            .and_then(|()| fs::rename(&draft, path))
            .inspect_err(|_| {
                let _ = fs::remove_file(&draft);
            })
    }

    /// Removes what nobody will ask for any more.
    fn sweep(&self) {
        let old = SystemTime::now().checked_sub(KEPT);
        for file in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let modified = file
                .metadata()
                .and_then(|metadata| metadata.modified())
                .ok();
            let released =
                || fs::read_to_string(file.path()).is_ok_and(|text| text.trim() == RELEASED);
            if modified < old && released() {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(test: &str) -> ReleaseCache {
        ReleaseCache::at(
            &std::env::temp_dir().join(format!("leasehold-notes-{}-{test}", std::process::id())),
        )
    }

    #[test]
    fn a_note_is_recalled_until_it_is_forgotten() {
        let cache = cache("recall");
        let holds = CacheEntry::Holds(vec![
            "10.0.0.7".parse().expect("a name"),
            "b.fd00-0-0-0-0-0-0-7".parse().expect("a name"),
        ]);
        assert_eq!(cache.get("c1", "eth0"), None);
        for entry in [holds, CacheEntry::Released] {
            cache.put("c1", "eth0", &entry);
            assert_eq!(cache.get("c1", "eth0"), Some(entry));
        }
        assert_eq!(cache.get("c1", "eth1"), None);
        cache.remove("c1", "eth0").expect("removed");
        cache.remove("c1", "eth0").expect("removed already");
        assert_eq!(cache.get("c1", "eth0"), None);
        fs::remove_dir_all(&cache.folder).expect("the folder");
    }

    #[test]
    fn a_note_that_is_not_understood_says_nothing() {
        let cache = cache("strange");
        fs::create_dir_all(&cache.folder).expect("a folder");
        for strange in ["", "\n", "10.0.0.7\nnot a name", "\u{0}"] {
            fs::write(cache.path("c1", "eth0"), strange).expect("a file");
            assert_eq!(cache.get("c1", "eth0"), None, "{strange:?}");
        }
        fs::remove_dir_all(&cache.folder).expect("the folder");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_trouble() {
        let cache = ReleaseCache::at(Path::new("/proc/leasehold"));
        cache.put("c1", "eth0", &CacheEntry::Released);
        assert_eq!(cache.get("c1", "eth0"), None);
        cache.remove("c1", "eth0").expect("nothing to remove");
    }
}
