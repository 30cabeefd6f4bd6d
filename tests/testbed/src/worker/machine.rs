//! The machine that a node is: namespaces, folders and cgroups of its own.
//!
//! Its network namespace is given; mounts, processes and cgroups are its own, as in a container.
//! Its `/etc`, `/opt` and `/var` are the machine's with the node's changes on top, its `/run` is
//! empty at the start. All of that hangs on one process, the node's first: when it ends, the kernel
//! ends every process of the node and takes away its mounts, as in a power cut.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::guardian;
use crate::netns::{Netns, checked};

const BOOT: &str = include_str!("boot.sh");
const NODE: &str = include_str!("node.sh");

/// The kernel ends a node's processes within milliseconds; this is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A machine that runs.
#[derive(Debug)]
pub(super) struct Machine {
    first: Child,
    pid: u32,
}

/// What a machine keeps when its power is cut.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    cgroup: String,
}

impl Disk {
    /// An empty disk in memory, below this folder.
    pub(super) fn new(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join("disk");
        fs::create_dir_all(&path).context("make the folder of a disk")?;
        mount(
            Some("disk"),
            &path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("mode=755"),
        )
        .context("mount a disk")?;
        let cgroup = format!("leasehold-{}/{name}", guardian::run()?.id());
        Ok(Self { path, cgroup })
    }

    /// Turns a machine with this disk on.
    pub(super) fn boot(&self, netns: &Netns) -> Result<Machine> {
        let mut first = Command::new("nsenter")
            .arg(format!("--net={}", netns.path().display()))
            .args(["sh", "-c", BOOT, "leasehold-boot", &self.cgroup])
            .arg(&self.path)
            .arg(NODE)
            .current_dir(guardian::run()?.processes())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start a node")?;
        let mut pid = String::new();
        let answer = first.stdout.take().context("the node's answer")?;
        BufReader::new(answer).read_line(&mut pid)?;
        let pid = pid.trim().parse().with_context(|| {
            format!("a node did not start ({pid:?}); its messages are on stderr")
        })?;
        for hierarchy in self.cgroups() {
            // The parent of the first process: cgroup v2 wants processes in leaves only.
            let _ = fs::write(
                hierarchy.join("system/cgroup.procs"),
                first.id().to_string(),
            );
        }
        Ok(Machine { first, pid })
    }

    /// The node's folder in each cgroup hierarchy.
    fn cgroups(&self) -> Vec<PathBuf> {
        let root = Path::new("/sys/fs/cgroup");
        let hierarchies = fs::read_dir(root).into_iter().flatten().flatten();
        hierarchies
            .map(|entry| entry.path())
            .chain([root.to_owned()])
            .map(|hierarchy| hierarchy.join(&self.cgroup))
            .filter(|group| group.is_dir())
            .collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if guardian::kept() {
            return;
        }
        // What can't be removed now is the guardian's.
        for group in self.cgroups() {
            remove_group(&group);
        }
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}

/// Removes a cgroup and those below it, where no process is in them.
fn remove_group(group: &Path) {
    for below in fs::read_dir(group).into_iter().flatten().flatten() {
        if below.path().is_dir() {
            remove_group(&below.path());
        }
    }
    let _ = fs::remove_dir(group);
}

impl Machine {
    /// Where a file of the node is, as seen from here.
    pub(super) fn file(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// The words that run a command on the node, before it.
    pub(super) fn enter(&self) -> Vec<String> {
        let mut words = vec![format!("--target={}", self.pid)];
        words.extend(["--mount", "--pid", "--net", "--cgroup"].map(str::to_owned));
        words
    }

    /// Runs a command on the node, and returns its output.
    pub(super) fn run(&self, command: &[&str]) -> Result<String> {
        let out = Command::new("nsenter")
            .args(self.enter())
            .args(command)
            .current_dir(guardian::run()?.processes())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run {}", command.join(" ")))?;
        checked(command, &out)
    }

    /// The ids, on the node, of its processes of this name.
    pub(super) fn processes(&self, name: &str) -> Vec<u32> {
        // The kernel keeps fifteen bytes of a name.
        let short = &name[..name.len().min(15)];
        let entries = fs::read_dir(self.file("/proc"))
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                let comm = fs::read_to_string(self.file(&format!("/proc/{pid}/comm")));
                comm.is_ok_and(|comm| comm.trim_end() == short)
            })
            .collect()
    }

    /// Cuts the power, and waits until nothing runs.
    pub(super) fn power_off(&mut self) -> Result<()> {
        // Its child, the node's first process, is bound to end with it.
        let _ = self.first.kill();
        let _ = self.first.wait();
        let begun = Instant::now();
        while Path::new(&format!("/proc/{}", self.pid)).exists() {
            if begun.elapsed() > PATIENCE {
                bail!("the node's first process did not end within {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !guardian::kept() {
            let _ = self.power_off();
        }
    }
}
