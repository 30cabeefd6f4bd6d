//! One call of a CNI plugin, as a runtime makes it: environment, stdin, and what comes back.
//!
//! The environment is what is set here and `PATH`, nothing of the test's own. Each call is a
//! process group of its own, so that it can be killed with all that it started.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::netns::Netns;
use crate::outcome::Outcome;
use crate::{guardian, mounts};

/// No plugin's own deadline is longer: what runs on after this hangs.
const PATIENCE: Duration = Duration::from_mins(3);

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Call {
    program: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    stdin: Vec<u8>,
    inside: Option<PathBuf>,
    cache: Option<PathBuf>,
}

/// A call that is being made. Dropped, it is killed with all that it started.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    group: Pid,
    begun: Instant,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

impl Call {
    /// A call of this program, with nothing in its environment but `PATH` and nothing on stdin.
    #[must_use]
    pub fn new(program: &Path) -> Self {
        let call = Self {
            program: program.to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            stdin: Vec::new(),
            inside: None,
            cache: None,
        };
        call.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
    }

    /// With this argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Made by this program, which is given these arguments, the path of the program to call, and
    /// that one's arguments.
    #[must_use]
    pub fn through(mut self, program: &Path, args: &[&str]) -> Self {
        let called = std::mem::replace(&mut self.program, program.to_owned());
        let args = args.iter().map(OsString::from);
        self.args.splice(0..0, args.chain([called.into()]));
        self
    }

    /// With this environment variable, of whatever bytes.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Without this environment variable.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.remove(std::ffi::OsStr::new(name));
        self
    }

    /// With these bytes on stdin.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Run inside this network namespace: a node's.
    #[must_use]
    pub fn inside(mut self, netns: Option<&Netns>) -> Self {
        self.inside = netns.map(|netns| netns.path().to_owned());
        self
    }

    /// Run with this folder as `/run/leasehold`: a node's.
    #[must_use]
    pub fn cache(mut self, folder: Option<&Path>) -> Self {
        self.cache = folder.map(Path::to_owned);
        self
    }

    /// Makes the call, and waits for what comes of it.
    pub async fn run(&self) -> Result<Outcome> {
        self.spawn()?.wait().await
    }

    /// Begins the call.
    pub fn spawn(&self) -> Result<Running> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(&self.env)
            .current_dir(guardian::run()?.processes())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = self.start(&mut command)?;
        let group = Pid::from_raw(
            child
                .id()
                .context("a process that just started")?
                .cast_signed(),
        );
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut stdin, bytes) = (stdin.context("stdin")?, self.stdin.clone());
        tokio::spawn(async move {
            // A plugin may end, or refuse, before it has read everything: that is its right.
            let _ = stdin.write_all(&bytes).await;
        });
        Ok(Running {
            child: Some(child),
            group,
            begun,
            stdout: collect(stdout.context("stdout")?),
            stderr: collect(stderr.context("stderr")?),
        })
    }

    /// From a thread that is inside, since a child is where its parent's thread is.
    fn start(&self, command: &mut Command) -> Result<Child> {
        let runtime = Handle::current();
        let mut spawn = || {
            let _guard = runtime.enter();
            command.spawn().context("start the plugin")
        };
        let spawn = || match &self.cache {
            None => spawn(),
            Some(folder) => mounts::enter(folder, spawn),
        };
        match &self.inside {
            None => spawn(),
            Some(netns) => crate::netns::enter(netns, spawn).context("inside the node's namespace"),
        }
    }
}

fn collect(mut pipe: impl AsyncReadExt + Unpin + Send + 'static) -> JoinHandle<Vec<u8>> {
    tokio::spawn(async move {
        let mut bytes = Vec::new();
        // What came before an error is kept.
        let _ = pipe.read_to_end(&mut bytes).await;
        bytes
    })
}

impl Running {
    /// The process id, which is the group's too.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.group.as_raw().unsigned_abs()
    }

    /// Kills it and all that it started, by SIGKILL. [`wait`](Self::wait) says whether it had ended
    /// before.
    pub fn kill(&self) {
        if self.child.is_some() {
            // Until it has been waited for, no other process gets this id.
            let _ = killpg(self.group, Signal::SIGKILL);
        }
    }

    /// Kills only the process itself, as libcni does: a plugin that it had started runs on.
    pub fn kill_leader(&self) {
        if self.child.is_some() {
            let _ = nix::sys::signal::kill(self.group, Signal::SIGKILL);
        }
    }

    /// Stops it, and all that it started, from running on; or lets them.
    pub fn freeze(&self, frozen: bool) {
        if self.child.is_some() {
            let _ = killpg(
                self.group,
                if frozen {
                    Signal::SIGSTOP
                } else {
                    Signal::SIGCONT
                },
            );
        }
    }

    /// Waits until it, and whatever it started that writes to its stderr, has ended: as libcni
    /// does.
    pub async fn wait(mut self) -> Result<Outcome> {
        match tokio::time::timeout(PATIENCE, self.finish()).await {
            Ok(outcome) => outcome,
            Err(_) => bail!("the plugin did not end within {PATIENCE:?}"),
        }
    }

    async fn finish(&mut self) -> Result<Outcome> {
        let child = self.child.as_mut().context("a call is waited for once")?;
        let status = child.wait().await.context("wait for the plugin")?;
        let elapsed = self.begun.elapsed();
        let stdout = (&mut self.stdout)
            .await
            .context("read the plugin's stdout")?;
        let stderr = (&mut self.stderr)
            .await
            .context("read the plugin's stderr")?;
        self.child = None;
        Ok(Outcome::new(status, &stdout, &stderr, elapsed))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a `kill` it is the runtime that takes note of the end.
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_through_a_program_is_its_last_arguments() -> Result<()> {
        let call = Call::new(Path::new("/bin/true")).arg("c");
        let call = call.through(Path::new("/bin/echo"), &["a", "b"]);
        assert_eq!(call.run().await?.stdout, "a b /bin/true c\n");
        Ok(())
    }
}
