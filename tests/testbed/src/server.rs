//! One long-running program of the control plane: started, stopped, killed, started again.
//!
//! It knows processes and their logs; when a server is ready to serve is for those to say who know
//! its protocol.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::time::ClockId;
use nix::unistd::Pid;

use crate::guardian;

/// How long a server may take to end by itself. Its own grace for open watches is some seconds.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct Server {
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    // std's child, not tokio's: a server is shared by tests, each of which has a runtime of its
    // own.
    child: Mutex<Option<Child>>,
}

impl Server {
    pub(crate) fn start(program: PathBuf, args: Vec<String>, log: PathBuf) -> Result<Self> {
        let server = Self {
            program,
            args,
            log,
            child: Mutex::new(None),
        };
        server.start_again()?;
        Ok(server)
    }

    /// Starts it with the same arguments. Running already is fine.
    pub(crate) fn start_again(&self) -> Result<()> {
        let mut child = self.child();
        if child.is_some() {
            return Ok(());
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .context("open a log")?;
        let started = Command::new(&self.program)
            .args(&self.args)
            .current_dir(guardian::run()?.processes())
            // Proxies and Go's debug settings in the environment of the tests must not affect the
            // server.
            .env_clear()
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        *child = Some(started);
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn stop(&self) {
        let Some(mut child) = self.child().take() else {
            return;
        };
        let _ = killpg(pid(&child), Signal::SIGTERM);
        let deadline = Instant::now() + PATIENCE;
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        end(&mut child);
    }

    /// Ends it by SIGKILL: no goodbye to clients.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            end(&mut child);
        }
    }

    /// Stops it from running on, or lets it: its connections stay open, and get no answers.
    pub(crate) fn freeze(&self, frozen: bool) -> Result<()> {
        let child = self.child();
        let child = child.as_ref().context("the server does not run")?;
        killpg(
            pid(child),
            if frozen {
                Signal::SIGSTOP
            } else {
                Signal::SIGCONT
            },
        )
        .context("signal the server")
    }

    /// An error with the end of its log, if it ended by itself.
    pub(crate) fn ensure_running(&self) -> Result<()> {
        let Some(child) = &mut *self.child() else {
            bail!("{} does not run", self.program.display())
        };
        match child.try_wait().context("look at a server")? {
            None => Ok(()),
            Some(status) => bail!(
                "{} ended with {status}: {}",
                self.program.display(),
                self.last_words()
            ),
        }
    }

    /// The processor time that it has used since its start.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let child = self.child();
        let child = child.as_ref().context("the server does not run")?;
        let used = ClockId::pid_cpu_clock_id(pid(child)).and_then(ClockId::now);
        Ok(used.context("read a server's processor time")?.into())
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !guardian::kept() {
            self.kill();
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

fn end(child: &mut Child) {
    // The whole group: a server that was started through `nsenter` is its child. Errors mean that
    // it has ended.
    let _ = killpg(pid(child), Signal::SIGKILL);
    let _ = child.wait();
}

/// A port that nothing listens on.
///
/// Below those that the kernel gives to outgoing connections (32768 and up): while a server is down
/// for a restart, no other process is given its port, nor does a client's repeated `connect` to it
/// end up connected to itself.
pub(crate) fn free_port() -> Result<u16> {
    (0..1000)
        .map(|_| rand::random_range(10_000..30_000))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no free port between 10000 and 30000")
}
