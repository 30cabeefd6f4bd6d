//! Building programs with Go: one after another, what Go writes kept in a log.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::progress::Progress;
use super::{Tool, Tools};
use crate::guardian;

/// One process builds; the others wait for it and find the work done.
pub(super) fn in_turn(tools: &Tools, wanted: &[Tool]) -> Result<()> {
    let cache = &tools.cache;
    std::fs::create_dir_all(cache)
        .with_context(|| format!("make the cache folder {}", cache.display()))?;
    let lock = File::create(cache.join(".lock")).context("open the lock of the cache")?;
    if lock.try_lock().is_err() {
        let mut progress = Progress::start();
        while lock.try_lock().is_err() {
            progress.show(|| "waiting for another process that builds test tools".to_owned());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    let missing = tools.missing(wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let go = go()?;
    let mut progress = Progress::start();
    for (built, tool) in missing.iter().enumerate() {
        let at = format!(
            "building test tools, once per user: {} ({} of {})",
            tool.name(),
            built + 1,
            missing.len()
        );
        build(&go, tools, *tool, &mut progress, &at)?;
    }
    progress.finish(&format!(
        "test tools built in {}: {}",
        cache.display(),
        missing.len()
    ));
    Ok(())
}

/// Builds one program.
fn build(go: &Path, tools: &Tools, tool: Tool, progress: &mut Progress, at: &str) -> Result<()> {
    let module = tool.module();
    let path = tools.built(tool);
    let folder = path.parent().context("a program without a folder")?;
    // Built aside and renamed: a build that was interrupted leaves no half a program under a
    // program's name.
    let aside = folder.join("partial");
    std::fs::create_dir_all(&aside).context("make the build folder")?;
    let log = folder.join(format!("{}.log", tool.name()));
    let mut command = Command::new(go);
    command
        .current_dir(guardian::run()?.processes())
        .env("CGO_ENABLED", "0")
        .args(["build", "-C"])
        .arg(module.folder())
        // -v names each package as it is compiled: that is what the progress counts.
        .args(["-v", "-trimpath", "-buildvcs=false", "-ldflags"])
        .args([module.ldflags(), "-o"])
        .arg(aside.join(tool.name()))
        .arg(tool.package());
    let status = run(&mut command, &log, || {
        progress.show(|| describe(at, &std::fs::read_to_string(&log).unwrap_or_default()));
    })?;
    if !status.success() {
        let output = std::fs::read_to_string(&log).unwrap_or_default();
        // The terminal's line ends before the error begins.
        let _ = writeln!(std::io::stderr());
        bail!(
            "cannot build {}: go build ended with {status}; its output, also in {}:\n{}",
            tool.name(),
            log.display(),
            errors_of(&output)
        );
    }
    std::fs::rename(aside.join(tool.name()), &path)
        .with_context(|| format!("install {} in the cache", tool.name()))
}

/// Runs a command with its output in `log`, and calls `tick` while it runs.
fn run(command: &mut Command, log: &Path, mut tick: impl FnMut()) -> Result<ExitStatus> {
    let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let mut child = command
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .context("start go build")?;
    loop {
        if let Some(status) = child.try_wait().context("wait for go build")? {
            return Ok(status);
        }
        tick();
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The line of progress: how many packages were downloaded and compiled so far, by what go has
/// written.
fn describe(at: &str, log: &str) -> String {
    let downloaded = log.lines().filter(|line| is_download(line)).count();
    let compiled = log.lines().count() - downloaded;
    match (downloaded, compiled) {
        (0, 0) => at.to_owned(),
        (0, _) => format!("{at}, packages compiled: {compiled}"),
        (_, 0) => format!("{at}, modules downloaded: {downloaded}"),
        _ => format!("{at}, modules downloaded: {downloaded}, packages compiled: {compiled}"),
    }
}

fn is_download(line: &str) -> bool {
    line.starts_with("go: downloading ")
}

/// What go wrote without its progress: the names of packages and downloads, a word or a line each.
fn errors_of(log: &str) -> String {
    let errors: Vec<&str> = log
        .lines()
        .filter(|line| !is_download(line) && line.contains(' '))
        .collect();
    errors.join("\n")
}

/// Also looks where Go's own instructions put it, which `sudo` drops from `PATH`.
fn go() -> Result<PathBuf> {
    ["go", "/usr/local/go/bin/go"]
        .map(PathBuf::from)
        .into_iter()
        .find(|go| {
            let version = Command::new(go).arg("version").output();
            version.is_ok_and(|out| out.status.success())
        })
        .context(
            "Go is missing: the real etcd, kube-apiserver, kubelet and CNI plugins are built from source, once. \
             Install Go 1.26 or newer (https://go.dev/dl) and have `go` in PATH",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
go: downloading k8s.io/api v0.37.2
go: downloading k8s.io/klog v2.0.0
internal/cpu
k8s.io/api/core/v1
# k8s.io/api/core/v1
core/v1/types.go:3:1: syntax error: unexpected name
";

    #[test]
    fn a_build_tells_how_far_it_is() {
        let first = "go: downloading k8s.io/api v0.37.2\n";
        assert_eq!(describe("etcd (1 of 2)", ""), "etcd (1 of 2)");
        assert_eq!(
            describe("etcd (1 of 2)", first),
            "etcd (1 of 2), modules downloaded: 1"
        );
        assert_eq!(
            describe("etcd (1 of 2)", "internal/cpu\nruntime\n"),
            "etcd (1 of 2), packages compiled: 2"
        );
    }

    #[test]
    fn a_failed_build_shows_errors_and_no_progress() {
        assert_eq!(
            errors_of(LOG),
            "# k8s.io/api/core/v1\ncore/v1/types.go:3:1: syntax error: unexpected name"
        );
    }
}
