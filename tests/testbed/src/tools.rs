//! The real programs: found, or built once per user.
//!
//! `$KUBEBUILDER_ASSETS` is looked at first. What is missing there is built from this crate's Go module into the user's cache,
//! in a folder keyed by the module's checksums: a new version of anything is a new folder. Programs that are there are taken
//! as they are.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::guardian;

/// One of the real programs that tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The key-value store below the API server.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controllers of Kubernetes: garbage collector, namespaces, workloads.
    ControllerManager,
    /// What users type.
    Kubectl,
    /// The CNI plugin of that name.
    Macvlan,
    /// The CNI plugin of that name.
    Bridge,
    /// The runtime's side of CNI (libcni), as a command.
    Cnitool,
}

use Tool::{ApiServer, Bridge, Cnitool, ControllerManager, Etcd, Kubectl, Macvlan};

/// What every cluster and its tests need. The controllers take minutes to build, and most tests are better off without them.
const EVERYDAY: [Tool; 6] = [Etcd, ApiServer, Kubectl, Macvlan, Bridge, Cnitool];

/// `-X`: without it the API server calls itself v0.0.0 and kubectl warns of the skew.
const LDFLAGS: &str = "-s -w -X k8s.io/component-base/version.gitVersion=v1.37.2";

/// How often the build says that it goes on.
const TICK: Duration = Duration::from_secs(15);

impl Tool {
    /// The name of its file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Etcd => "etcd",
            ApiServer => "kube-apiserver",
            ControllerManager => "kube-controller-manager",
            Kubectl => "kubectl",
            Macvlan => "macvlan",
            Bridge => "bridge",
            Cnitool => "cnitool",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Etcd => "go.etcd.io/etcd/server/v3",
            ApiServer => "k8s.io/kubernetes/cmd/kube-apiserver",
            ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Macvlan => "github.com/containernetworking/plugins/plugins/main/macvlan",
            Bridge => "github.com/containernetworking/plugins/plugins/main/bridge",
            Cnitool => "github.com/containernetworking/cni/cnitool",
        }
    }

    /// What `go build -o DIR/` calls it: the last element of the package that is not a version.
    fn built_name(self) -> &'static str {
        if self == Etcd { "server" } else { self.name() }
    }

    fn takes_minutes(self) -> bool {
        matches!(self, Etcd | ApiServer | ControllerManager | Kubectl)
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    assets: Option<PathBuf>,
    built: PathBuf,
}

impl Tools {
    /// Finds what every cluster needs and these besides, and builds what is missing. The first time on a machine this takes
    /// minutes.
    pub fn ready(besides: &[Tool]) -> Result<Self> {
        let tools = Self {
            assets: std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from),
            built: cache()?.join(key()),
        };
        let wanted = [&EVERYDAY, besides].concat();
        if !tools.missing(&wanted).is_empty() {
            tools.build_in_turn(&wanted)?;
        }
        Ok(tools)
    }

    /// The program's path.
    #[must_use]
    pub fn path(&self, tool: Tool) -> PathBuf {
        self.in_assets(tool)
            .unwrap_or_else(|| self.built.join(tool.name()))
    }

    fn in_assets(&self, tool: Tool) -> Option<PathBuf> {
        let path = self.assets.as_ref()?.join(tool.name());
        path.is_file().then_some(path)
    }

    fn missing(&self, wanted: &[Tool]) -> Vec<Tool> {
        wanted
            .iter()
            .copied()
            .filter(|tool| !self.path(*tool).is_file())
            .collect()
    }

    /// One process builds; the others wait for it and find the work done.
    fn build_in_turn(&self, wanted: &[Tool]) -> Result<()> {
        std::fs::create_dir_all(&self.built)
            .with_context(|| format!("make the cache folder {}", self.built.display()))?;
        let lock = File::create(self.built.join(".lock")).context("open the lock of the cache")?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            say("waiting for another process that builds the test control plane");
        }
        lock.lock().context("lock the cache")?;
        match self.missing(wanted).as_slice() {
            [] => Ok(()),
            missing => self.build(missing),
        }
    }

    fn build(&self, tools: &[Tool]) -> Result<()> {
        let go = go()?;
        if tools.iter().any(|tool| tool.takes_minutes()) {
            say("building the test control plane from source, once: some 7 minutes on 2 cores");
        }
        // Built aside and renamed: a build that was cut short leaves no half a program under a program's name.
        let aside = self.built.join("partial");
        std::fs::create_dir_all(&aside).context("make the build folder")?;
        let mut build = Command::new(go);
        build
            .current_dir(guardian::run()?.processes())
            .env("CGO_ENABLED", "0")
            .args(["build", "-C", env!("CARGO_MANIFEST_DIR")])
            .args(["-trimpath", "-ldflags", LDFLAGS, "-o"])
            .arg(format!("{}/", aside.display()))
            .args(tools.iter().map(|tool| tool.package()));
        run_with_ticks(&mut build)?;
        for tool in tools {
            std::fs::rename(aside.join(tool.built_name()), self.built.join(tool.name()))
                .with_context(|| format!("put {} in its place", tool.name()))?;
        }
        std::fs::remove_dir_all(&aside).context("remove the build folder")
    }
}

fn cache() -> Result<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    Ok(base
        .context("neither XDG_CACHE_HOME nor HOME is set: no place for the built programs")?
        .join("leasehold"))
}

/// Names what is built: the module's versions, the flags, the machine's architecture. FNV-1a, since nobody attacks it.
fn key() -> String {
    let parts = [
        include_str!("../go.mod"),
        include_str!("../go.sum"),
        LDFLAGS,
        std::env::consts::ARCH,
    ];
    let hash = parts
        .iter()
        .flat_map(|part| part.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}

/// Also looks where Go's own instructions put it, which `sudo` drops from `PATH`.
fn go() -> Result<&'static Path> {
    ["go", "/usr/local/go/bin/go"]
        .map(Path::new)
        .into_iter()
        .find(|go| Command::new(go).arg("version").output().is_ok_and(|out| out.status.success()))
        .context(
            "Go is missing: the real etcd, kube-apiserver and CNI plugins are built from source, once. \
             Install Go 1.26 or newer (https://go.dev/dl) and have `go` in PATH",
        )
}

fn run_with_ticks(build: &mut Command) -> Result<()> {
    let begun = Instant::now();
    let mut child = build.spawn().context("start go build")?;
    let mut next = TICK;
    let status = loop {
        if let Some(status) = child.try_wait().context("wait for go build")? {
            break status;
        }
        if begun.elapsed() >= next {
            say(&format!("… still building, {} s", next.as_secs()));
            next += TICK;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if !status.success() {
        bail!("go build ended with {status}: see its messages above");
    }
    Ok(())
}

/// To the real stderr: libtest captures what the print macros write, and minutes of silence look like a hang.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
