//! Installing the plugin in a node's folder of CNI plugins, while runtimes may run it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::file::{Durability, replace};

/// The `type` of the plugin in a CNI configuration.
const NAME: &str = "leasehold";

/// Why the plugin could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// This program's own file cannot be read.
    #[error("cannot read this program's own file")]
    Source(#[source] io::Error),
    /// The copy could not be made; the file that was there before is still there.
    #[error("cannot write {}", .path.display())]
    Copy {
        /// The file that was to be written.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file there now is not the one that was written.
    #[error("{} is not the file that was written: is another installer running?", .0.display())]
    Differs(PathBuf),
}

/// Copies this program into `folder`, and returns the path of the copy.
///
/// A runtime finds the old file or the new one, whole, and a process that runs the old one goes on.
pub fn install(folder: &Path) -> Result<PathBuf, InstallError> {
    let program = fs::read("/proc/self/exe").map_err(InstallError::Source)?;
    let path = folder.join(NAME);
    let failed = |source| InstallError::Copy {
        path: path.clone(),
        source,
    };
    replace(&path, &program, 0o755, Durability::Crash).map_err(failed)?;
    if holds(&path, &program).map_err(failed)? {
        Ok(path)
    } else {
        Err(InstallError::Differs(path))
    }
}

/// Whether the file holds these bytes, without another copy of them in memory: a container that
/// installs has little.
fn holds(path: &Path, mut bytes: &[u8]) -> io::Result<bool> {
    let mut file = BufReader::new(File::open(path)?);
    loop {
        let chunk = file.fill_buf()?;
        if chunk.is_empty() {
            return Ok(bytes.is_empty());
        }
        let Some(rest) = bytes.strip_prefix(chunk) else {
            return Ok(false);
        };
        bytes = rest;
        let length = chunk.len();
        file.consume(length);
    }
}
