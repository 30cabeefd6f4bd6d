//! Nothing of a node remains, however the program that started it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use testbed::{Cluster, Segment};

use crate::PLUGIN;
use crate::env::{PATIENCE, network, pod_spec};

/// What kubelet sets for the whole machine, where it may.
const SETTINGS: [&str; 4] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
];

/// Not a rule but a victim: the rules of this file run it in a process of its own.
#[tokio::test]
#[ignore = "runs until it is killed"]
async fn holds_a_node_with_a_pod() -> Result<()> {
    let cluster = Cluster::builder().workloads().start().await?;
    let segment = Segment::new()?;
    let worker = cluster
        .worker("victim", &segment)
        .plugin(Path::new(PLUGIN))
        .network(network("underlay"))
        .start()
        .await?;
    worker.until_ready("True").await?;
    let mut spec = pod_spec();
    spec["hostNetwork"] = json!(true);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": spec,
    });
    // The service account of the namespace is made by a controller.
    let begun = Instant::now();
    while let Err(error) = cluster.apply_yaml(&pod.to_string()).await {
        ensure!(begun.elapsed() < PATIENCE, error);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while worker.sandboxes()?.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let folder = cluster.dir().parent().context("the run's folder")?;
    fs::write(
        std::env::var("VICTIM_SAYS")?,
        folder.as_os_str().as_encoded_bytes(),
    )?;
    std::future::pending().await
}

#[test]
fn nothing_of_a_node_remains_of_a_program_that_was_killed() -> Result<()> {
    nothing_remains_after(Signal::SIGKILL)
}

#[test]
fn nothing_of_a_node_remains_of_a_program_that_was_interrupted() -> Result<()> {
    nothing_remains_after(Signal::SIGINT)
}

fn nothing_remains_after(signal: Signal) -> Result<()> {
    let settings = SETTINGS.map(setting);
    let says = std::env::temp_dir().join(format!("victim-{}-{signal}", std::process::id()));
    // Of what is run in the background, SIGINT may be ignored, and so it would be by its children.
    let mut victim = Command::new("env")
        .arg("--default-signal=INT")
        .arg(std::env::current_exe()?)
        .args(["--ignored", "--exact", "leftovers::holds_a_node_with_a_pod"])
        .env("VICTIM_SAYS", &says)
        .stdout(Stdio::null())
        .spawn()?;
    let folder = within(PATIENCE, || {
        let said = fs::read_to_string(&says).ok()?;
        (!said.is_empty()).then(|| PathBuf::from(said))
    });
    let before = folder.as_deref().map(remains_of);
    end(&mut victim, signal)?;
    let _ = fs::remove_file(&says);

    let folder = folder.context("the victim said nothing")?;
    let before = before.unwrap_or_default();
    for kind in ["/proc/", "/sys/fs/cgroup/", "mount "] {
        let found = before.iter().any(|remain| remain.starts_with(kind));
        ensure!(found, "no {kind} was there to be left behind: {before:?}");
    }
    ensure!(
        SETTINGS.map(setting) == settings,
        "the machine's settings have changed"
    );
    let gone = within(Duration::from_secs(20), || {
        remains_of(&folder).is_empty().then_some(())
    });
    gone.with_context(|| format!("left behind: {:?}", remains_of(&folder)))
}

fn end(victim: &mut Child, signal: Signal) -> Result<()> {
    kill(Pid::from_raw(victim.id().cast_signed()), signal)?;
    victim.wait()?;
    Ok(())
}

fn setting(name: &str) -> String {
    fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default()
}

/// Processes, mounts, cgroups, network namespaces and files of a run.
fn remains_of(folder: &Path) -> Vec<String> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let list = |path: &Path| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let processes = list(Path::new("/proc")).into_iter().filter(|process| {
        let groups = fs::read_to_string(process.join("cgroup"));
        groups.is_ok_and(|groups| groups.contains(name.as_ref()))
            || fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
    });
    let root = Path::new("/sys/fs/cgroup");
    let groups = list(root)
        .into_iter()
        .map(|hierarchy| hierarchy.join(name.as_ref()))
        .chain([root.join(name.as_ref())])
        .filter(|group| group.exists());
    let id = name.replace("leasehold-", "lh-");
    let namespaces = list(Path::new("/run/netns"))
        .into_iter()
        .filter(|path| path.to_string_lossy().contains(&id));
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter(|line| line.contains(name.as_ref()));
    processes
        .chain(groups)
        .chain(namespaces)
        .chain(folder.exists().then(|| folder.to_owned()))
        .map(|path| path.display().to_string())
        .chain(mounts.map(|line| format!("mount {line}")))
        .collect()
}

fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        match look() {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            found => return found,
        }
    }
}
