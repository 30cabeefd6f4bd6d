//! Placing the plugin into a node's folder of CNI plugins, while runtimes may run it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The name by which a CNI configuration calls the plugin.
const NAME: &str = "leasehold";

/// Why the plugin could not be placed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// This program's own file cannot be read.
    #[error("cannot read this program's own file")]
    Source(#[source] io::Error),
    /// The copy could not be made; what stood there before stands there still.
    #[error("cannot write {}", .path.display())]
    Copy {
        /// The file that was to be written.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What stands there now is not what was written.
    #[error("{} is not what was written there: is another installer at work?", .0.display())]
    Differs(PathBuf),
}

/// Copies this program into `folder`, and says where it stands now.
///
/// Written beside, synced and renamed: a runtime finds the old file or the new one, whole, and a process that runs the
/// old one goes on.
pub fn install(folder: &Path) -> Result<PathBuf, InstallError> {
    let program = fs::read("/proc/self/exe").map_err(InstallError::Source)?;
    let path = folder.join(NAME);
    let failed = |source| InstallError::Copy {
        path: path.clone(),
        source,
    };
    let draft = folder.join(format!(".{NAME}.{}", std::process::id()));
    let outcome = write(&draft, &program).and_then(|()| fs::rename(&draft, &path));
    if outcome.is_err() {
        let _ = fs::remove_file(&draft);
    }
    outcome
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(failed)?;
    if fs::read(&path).map_err(failed)? == program {
        Ok(path)
    } else {
        Err(InstallError::Differs(path))
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o755)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
