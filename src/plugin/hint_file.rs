//! The node's hints: a file for each crowded pool, shared by the calls of the node.
//!
//! Saves lists, and nothing that correctness needs: a file may be missing, of another pool, broken,
//! or not writable, and a call that waits for it too long goes on without it.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use nix::fcntl::OFlag;

use super::release_cache::FOLDER;
use crate::allocate::PoolHint;
use crate::lease::{CallHints, Hints};
use crate::pool::Pool;

/// How long a call waits for the others, who hold a file for less than a millisecond each.
const LOCK_TRIES: usize = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(2);

/// A hint is of no use for longer than a minute.
const KEPT: Duration = Duration::from_mins(10);

/// No hint is longer. A file that is was not written by us.
const MOST_BYTES: u64 = 256 << 10;

/// The hints of a node.
#[derive(Debug)]
pub(super) struct HintFiles {
    folder: PathBuf,
    /// For what comes after a file could not be used: a call that has lost its own writes would
    /// begin anew.
    own: CallHints,
    failed: Cell<bool>,
}

impl Default for HintFiles {
    fn default() -> Self {
        Self::at(&Path::new(FOLDER).join("pools"))
    }
}

impl HintFiles {
    /// The hints in a folder, which need not exist.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            own: CallHints::default(),
            failed: Cell::default(),
        }
    }

    fn lock(&self, path: &Path) -> io::Result<File> {
        let open = || {
            let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            options.mode(0o600).custom_flags(flags.bits()).open(path)
        };
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&self.folder)?;
                open()?
            }
            opened => opened?,
        };
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
                Ok(()) => return Ok(file),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Removes files that were not written for long.
    fn sweep(&self) {
        let old = SystemTime::now().checked_sub(KEPT);
        for file in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let modified = file.metadata().and_then(|it| it.modified()).ok();
            if modified < old {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

impl Hints for HintFiles {
    fn edit<T>(&self, pool: &Pool, edit: impl FnOnce(&mut PoolHint) -> T) -> T {
        let path = self.folder.join(file_name(pool));
        let locked = (!self.failed.get()).then(|| self.lock(&path));
        let Some(Ok(mut file)) = locked else {
            self.failed.set(true);
            return self.own.edit(pool, edit);
        };
        let text = read(&mut file).unwrap_or_default();
        if text.is_empty() {
            self.sweep();
        }
        let before: PoolHint = serde_json::from_str(&text).unwrap_or_default();
        let mut hint = before.clone();
        let result = edit(&mut hint);
        if hint != before && write(&mut file, &hint).is_err() {
            self.failed.set(true);
            self.own.edit(pool, |own| *own = hint);
        }
        result
    }
}

/// Of another object of that name, or with other addresses, nothing is known.
fn file_name(pool: &Pool) -> String {
    let mut hasher = DefaultHasher::new();
    (&*pool.name.to_string(), &pool.uid, pool.usable.to_string()).hash(&mut hasher);
    format!("{:016x}.json", hasher.finish())
}

fn read(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn write(file: &mut File, hint: &PoolHint) -> io::Result<()> {
    let text = serde_json::to_vec(hint)?;
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}
