//! What a node has for itself although it shares the machine: `/run/leasehold`, in which its calls
//! leave notes for each other.

use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::netns::in_a_thread;

const CACHE: &str = "/run/leasehold";

/// Runs `work` on a thread for which this folder is `/run/leasehold`, and for what it spawns.
pub(crate) fn enter<T: Send>(folder: &Path, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::fs::create_dir_all(CACHE).context("make the folder of notes")?;
    in_a_thread(|| {
        unshare(CloneFlags::CLONE_NEWNS).context("make a mount namespace")?;
        let to = |source: Option<&Path>, target: &str, flags| {
            mount(source, target, None::<&str>, flags, None::<&str>)
        };
        // Sandboxes that come and go outside do so inside, and nothing of here is seen outside.
        to(None, "/", MsFlags::MS_REC | MsFlags::MS_SLAVE).context("leave the others' mounts")?;
        to(Some(folder), CACHE, MsFlags::MS_BIND).context("mount the node's folder of notes")?;
        work()
    })
}
