//! What a call leaves for the next one on its node: a request saved, and nothing that correctness
//! needs.
//!
//! A runtime calls DEL three times for each pod, twice without what the pod had, and each
//! such call would search all leases of the cluster. An entry may vanish at any moment. One that is
//! there is true: "released" is written only after ADD has answered, when nothing of it can come
//! late any more.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::host::{self, Durability};
use crate::lease::LeaseName;

/// On a file system that a reboot empties, as it ends every sandbox.
pub const FOLDER: &str = "/run/leasehold";

/// The last DEL of a pod comes some ten seconds after the first; an hour forgives a runtime that
/// was down.
const KEPT: Duration = Duration::from_hours(1);

/// How often entries are removed.
const PAUSE: Duration = Duration::from_mins(1);

/// The file whose age shows when that was.
const SWEPT: &str = ".swept";

const RELEASED: &str = "released";

/// The longest name of a file (Linux, `NAME_MAX`).
const NAME_MAX: usize = 255;

/// What is known of an attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CacheEntry {
    /// ADD answered with these leases.
    Holds(Vec<LeaseName>),
    /// They were all released since.
    Released,
}

/// The entries of a node.
#[derive(Debug, Clone)]
pub(super) struct ReleaseCache {
    folder: PathBuf,
}

impl Default for ReleaseCache {
    fn default() -> Self {
        Self::at(Path::new(FOLDER))
    }
}

impl ReleaseCache {
    /// The entries in a folder, which need not exist.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// What is known of an attachment. An entry that can't be read counts as none.
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

    /// Writes an entry; where that fails the next call asks the API server instead.
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

    /// Removes the entry of an attachment. An error where it is there and stays.
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
        self.folder.join(file_name(container, interface))
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        host::replace(path, text.as_bytes(), 0o644, Durability::Process)
    }

    /// Removes entries that no call will read any more, once a minute: reading the folder takes
    /// longer than a request where many pods end.
    fn sweep(&self) {
        let now = SystemTime::now();
        let mark = self.folder.join(SWEPT);
        let swept = fs::metadata(&mark).and_then(|metadata| metadata.modified());
        let age = swept.ok().and_then(|swept| now.duration_since(swept).ok());
        if age.is_some_and(|age| age < PAUSE) || self.write(&mark, "").is_err() {
            return;
        }
        let old = now.checked_sub(KEPT);
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

/// The name of an attachment's file: what it is about, and where that is too long for a name, its
/// beginning and a hash of 128 bits.
fn file_name(container: &str, interface: &str) -> String {
    let name = format!("{container}.{interface}");
    if name.len() <= NAME_MAX {
        return name;
    }
    let hash = |part: u8| {
        let mut hasher = DefaultHasher::new();
        (part, &name).hash(&mut hasher);
        hasher.finish()
    };
    let end = name.floor_char_boundary(NAME_MAX - 33);
    format!("{}-{:016x}{:016x}", &name[..end], hash(0), hash(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(test: &str) -> ReleaseCache {
        ReleaseCache::at(
            &std::env::temp_dir().join(format!("leasehold-cache-{}-{test}", std::process::id())),
        )
    }

    #[test]
    fn an_entry_is_there_until_it_is_removed() {
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
    fn a_container_id_of_any_length_has_an_entry_of_its_own() {
        let cache = cache("lengths");
        for length in [1, 64, 239, 240, 250, 251, 255, 256, 1000] {
            let [one, other] = ["a", "b"].map(|last| "c".repeat(length - 1) + last);
            let interface = "interface-of-15";
            cache.put(&one, interface, &CacheEntry::Released);
            assert_eq!(
                cache.get(&one, interface),
                Some(CacheEntry::Released),
                "{length}"
            );
            assert_eq!(cache.get(&other, interface), None, "{length}");
            assert_eq!(cache.get(&one, "interface-of-16"), None, "{length}");
            cache.remove(&one, interface).expect("removed");
            assert_eq!(cache.get(&one, interface), None, "{length}");
        }
        fs::remove_dir_all(&cache.folder).expect("the folder");
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_none() {
        let cache = cache("strange");
        fs::create_dir_all(&cache.folder).expect("a folder");
        for strange in ["", "\n", "10.0.0.7\nnot a name", "\u{0}"] {
            fs::write(cache.path("c1", "eth0"), strange).expect("a file");
            assert_eq!(cache.get("c1", "eth0"), None, "{strange:?}");
        }
        fs::remove_dir_all(&cache.folder).expect("the folder");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        let cache = ReleaseCache::at(Path::new("/proc/leasehold"));
        cache.put("c1", "eth0", &CacheEntry::Released);
        assert_eq!(cache.get("c1", "eth0"), None);
        cache.remove("c1", "eth0").expect("nothing to remove");
    }
}
