//! Replacing a file in one step.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process;

/// Whether a file must survive a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Yes: the file and its name are written through to the disk.
    Crash,
    /// No: saves the time that the disk takes.
    Process,
}

/// Replaces the file at `path`, which may be missing: a reader finds either the old bytes or the
/// new ones, whole.
///
/// The temporary file beside it is a new one, so a link that another user has put there has no
/// effect. The file has `mode` whatever the umask is.
pub fn replace(path: &Path, bytes: &[u8], mode: u32, durability: Durability) -> io::Result<()> {
    // Hidden, with a suffix that node-exporter does not read, and short enough for any name.
    let draft = path.with_file_name(format!(".leasehold-{}.tmp", process::id()));
    // A process of this id may have left one when it was killed.
    let _ = fs::remove_file(&draft);
    let replaced = write(&draft, bytes, mode, durability).and_then(|()| fs::rename(&draft, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&draft);
    }
    replaced?;
    match (durability, path.parent()) {
        (Durability::Crash, Some(folder)) => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn write(path: &Path, bytes: &[u8], mode: u32, durability: Durability) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    match durability {
        Durability::Crash => file.sync_all(),
        Durability::Process => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_name_is_replaced_and_nothing_is_left_beside_it() {
        let folder = std::env::temp_dir().join(format!("leasehold-file-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("n".repeat(255));
        for (bytes, durability) in [("one", Durability::Crash), ("two", Durability::Process)] {
            replace(&path, bytes.as_bytes(), 0o640, durability).expect("replaced");
            assert_eq!(fs::read_to_string(&path).expect("a text"), bytes);
        }
        let mode = fs::metadata(&path).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read_dir(&folder).expect("the folder").count(), 1);
        fs::remove_dir_all(&folder).expect("removed");
    }
}
