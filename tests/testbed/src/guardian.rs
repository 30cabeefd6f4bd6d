//! Leaves nothing behind, however the program ends.
//!
//! A program that uses the test cluster starts processes, makes network namespaces and writes
//! files. All of them are marked as its own: processes have their working directory in the run's
//! folder, namespaces have the run's id in their name, files are in the run's folder. A small shell
//! script, the guardian, waits on a pipe that only this program holds open. When the pipe closes,
//! at the end of `main`, on a panic, on Ctrl-C or on SIGKILL, it takes away whatever bears the
//! marks.
//!
//! # Invariants
//! - The guardian runs before the first thing is made, and makes the run's folder itself.
//! - Nothing is found by a recorded process id, which might be another process's by now.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};

const GUARDIAN: &str = include_str!("guardian.sh");
const STOP: &str = include_str!("stop.sh");

/// All that this program makes on the machine, under one id.
#[derive(Debug)]
pub(crate) struct Run {
    id: String,
    dir: PathBuf,
    guardian: Mutex<Option<Child>>,
    count: AtomicU32,
    kept: AtomicBool,
}

static RUN: LazyLock<Result<Run, String>> =
    LazyLock::new(|| Run::start().map_err(|e| format!("{e:#}")));

/// The run of this program, begun by the first caller.
pub(crate) fn run() -> Result<&'static Run> {
    RUN.as_ref().map_err(|e| anyhow!(e.clone()))
}

/// Takes away everything that this program made, now, and waits for the end of that.
///
/// Needed only where something is to be said or looked at afterwards: it happens in any case when
/// the program ends.
pub fn clean_up() {
    if let Ok(run) = run() {
        run.finish();
    }
}

/// Leaves everything in place when the program ends, and returns the script that takes it away.
pub fn keep() -> Result<PathBuf> {
    let run = run()?;
    let script = run.dir.join("stop");
    let dir = run.dir.display();
    let text = format!("#!/bin/sh\nset -- '{dir}' '{}'\n{STOP}", run.id);
    std::fs::write(&script, text).context("write the script that stops the cluster")?;
    let mut guardian = run.guardian.lock().unwrap_or_else(PoisonError::into_inner);
    let pipe = guardian.as_mut().and_then(|child| child.stdin.as_mut());
    pipe.context("the run is over")?
        .write_all(b"keep\n")
        .context("dismiss the guardian")?;
    run.kept.store(true, Ordering::Relaxed);
    Ok(script)
}

/// Whether [`keep`] was called: then values that take away what they stand for, when they are
/// dropped, don't.
pub(crate) fn kept() -> bool {
    run().is_ok_and(|run| run.kept.load(Ordering::Relaxed))
}

impl Run {
    fn start() -> Result<Self> {
        ensure_root()?;
        let id = format!("{:012x}", rand::random::<u64>() >> 16);
        let dir = std::env::temp_dir().join(format!("leasehold-{id}"));
        let mut guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "leasehold-guardian"])
            .arg(&dir)
            .args([id.as_str(), STOP])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the guardian: sh")?;
        let mut word = String::new();
        let answer = guardian.stdout.take().context("the guardian's answer")?;
        BufReader::new(answer).read_line(&mut word)?;
        ensure!(
            word == "ready\n",
            "cannot make the folder {}",
            dir.display()
        );
        Ok(Self {
            id,
            dir,
            guardian: Mutex::new(Some(guardian)),
            count: AtomicU32::new(0),
            kept: AtomicBool::new(false),
        })
    }

    /// The run's id: twelve hexadecimal digits. Container ids begin with it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The run's folder, which goes when the run ends.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The working directory of every process of the run: it is by this that the guardian finds
    /// them.
    pub(crate) fn processes(&self) -> PathBuf {
        self.dir.join("run")
    }

    /// A number that nothing else of this run has.
    pub(crate) fn number(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// A name for a network namespace that nothing else on this machine has.
    pub(crate) fn namespace(&self, what: &str) -> String {
        format!("lh-{}-{what}{}", self.id, self.number())
    }

    /// Says that a container of this id is the run's too, though its id does not show it.
    pub(crate) fn adopt(&self, container: &str) -> Result<()> {
        std::fs::write(self.dir.join("containers").join(container), "").context("note a container")
    }

    fn finish(&self) {
        let guardian = self
            .guardian
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut guardian) = guardian {
            drop(guardian.stdin.take());
            // Its end is what is waited for; there is nothing to be done about how it ends.
            let _ = guardian.wait();
        }
    }
}

fn ensure_root() -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata("/proc/self")
        .context("look at /proc/self")?
        .uid();
    ensure!(
        owner == 0,
        "the test cluster needs root, since pods are real network namespaces: run it with sudo -E, or in a privileged container"
    );
    Ok(())
}
