//! Network namespaces: real ones, at the path where a runtime puts them.

use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use ipnet::IpNet;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;

use crate::{echo, guardian};

const FOLDER: &str = "/var/run/netns";

/// A network namespace, which goes with this value.
#[derive(Debug)]
pub struct Netns {
    path: PathBuf,
}

impl Netns {
    /// Makes one. `what` is in its name, to distinguish namespaces in a listing.
    pub fn new(what: &str) -> Result<Self> {
        let path = Path::new(FOLDER).join(guardian::run()?.namespace(what));
        std::fs::create_dir_all(FOLDER).context("make the folder of namespaces")?;
        File::create(&path).context("make the namespace's file")?;
        let netns = Self { path };
        // A namespace belongs to the thread that leaves the others' for it; bound to a file it
        // outlives the thread.
        in_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let own = Some("/proc/thread-self/ns/net");
            mount(
                own,
                &netns.path,
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            )?;
            Ok(())
        })
        .context("make a network namespace (are these the rights of a privileged container?)")?;
        Ok(netns)
    }

    /// The path that a runtime passes as `CNI_NETNS`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on a thread that is inside: what it opens, binds or spawns belongs to the
    /// namespace.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        enter(&self.path, work)
    }

    /// Runs a command inside, and returns its output; an error shows what it wrote on stderr.
    pub fn exec(&self, command: &[&str]) -> Result<String> {
        exec(&self.path, command)
    }

    /// `ip` with these words, run inside.
    pub fn ip(&self, words: &str) -> Result<String> {
        let command: Vec<&str> = std::iter::once("ip")
            .chain(words.split_whitespace())
            .collect();
        self.exec(&command)
    }

    /// The addresses of an interface that are not link-local, in the kernel's order; none where
    /// there is no such interface.
    pub fn addresses(&self, interface: &str) -> Result<Vec<IpNet>> {
        addresses(&self.path, interface)
    }

    /// Sends echo requests until an answer comes; returns how long that answer took.
    pub fn ping(&self, address: IpAddr, patience: Duration) -> Result<Duration> {
        self.enter(|| echo::ping(address, patience))
    }

    /// Removes it, as a runtime does when the sandbox ends. Removed already is fine.
    pub fn remove(&self) {
        // Errors mean that it is gone; what is not is the guardian's.
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if !guardian::kept() {
            self.remove();
        }
    }
}

/// Runs a command inside the namespace at this path, and returns its output.
fn exec(path: &Path, command: &[&str]) -> Result<String> {
    let (program, args) = command.split_first().context("an empty command")?;
    let out = enter(path, || Ok(Command::new(program).args(args).output()?))
        .with_context(|| format!("run {program}"))?;
    checked(command, &out)
}

/// What a command has printed, if it has succeeded.
pub(crate) fn checked(command: &[&str], out: &Output) -> Result<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    ensure!(
        out.status.success(),
        "{}: {}: {}",
        command.join(" "),
        out.status,
        text(&out.stderr)
    );
    Ok(text(&out.stdout))
}

/// The addresses of an interface of the namespace at this path that are not link-local.
pub(crate) fn addresses(path: &Path, interface: &str) -> Result<Vec<IpNet>> {
    let links: Value = serde_json::from_str(&exec(path, &["ip", "-j", "address"])?)
        .context("read the output of ip")?;
    let infos = links.as_array().into_iter().flatten();
    infos
        .filter(|link| link["ifname"] == interface)
        .flat_map(|link| link["addr_info"].as_array().into_iter().flatten())
        .filter(|info| info["scope"] == "global")
        .map(|info| {
            let text = format!(
                "{}/{}",
                info["local"].as_str().unwrap_or_default(),
                info["prefixlen"]
            );
            text.parse()
                .with_context(|| format!("an address that is none: {text}"))
        })
        .collect()
}

/// Runs `work` on a thread that is inside the namespace at this path.
pub(crate) fn enter<T: Send>(path: &Path, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    in_a_thread(|| {
        setns(file, CloneFlags::CLONE_NEWNET).context("enter the namespace")?;
        work()
    })
}

/// Namespaces are a thread's own: on a thread that ends, no way back is needed.
pub(crate) fn in_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        scope
            .spawn(work)
            .join()
            .map_err(|_| anyhow!("the work inside the namespace panicked"))?
    })
}
