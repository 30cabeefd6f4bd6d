//! `metricsDir`: every call is counted on its node, by many processes in one file, and no call
//! fails for it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use leasehold::metrics::Text;
use serde_json::{Value, json};
use testbed::{Call, Outcome};

use crate::PLUGIN;
use crate::env::{Isolation, TestEnv};

/// An environment, and a folder where its calls are counted.
struct Counted {
    env: TestEnv,
    folder: PathBuf,
}

impl Counted {
    async fn new() -> Result<Self> {
        let env = Isolation::subnets().start().await?;
        let folder = env.cluster.dir().join(env.name());
        fs::create_dir(&folder)?;
        Ok(Self { env, folder })
    }

    fn file(&self) -> PathBuf {
        self.folder.join("leasehold.prom")
    }

    /// The counted calls by command and outcome.
    fn calls(&self) -> Result<BTreeMap<String, String>> {
        let text = fs::read_to_string(self.file()).context("the file")?;
        let calls = text
            .lines()
            .filter_map(|line| line.strip_prefix("leasehold_calls_total"));
        let pairs = calls.filter_map(|line| line.rsplit_once(' '));
        Ok(pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
    }

    /// A STATUS, which asks no server, so that two hundred at once are about the file and nothing
    /// else.
    fn status(&self) -> Call {
        self.status_in(&self.folder)
    }

    fn status_in(&self, folder: &Path) -> Call {
        let ipam = json!({
            "type": "leasehold", "kubeconfig": self.env.node.kubeconfig(), "metricsDir": folder,
        });
        call("STATUS", &ipam)
    }
}

fn call(command: &str, ipam: &Value) -> Call {
    let config = json!({
        "cniVersion": "1.1.0", "name": "test", "type": "macvlan", "ipam": ipam,
        "cni.dev/valid-attachments": [],
    });
    let call = Call::new(Path::new(PLUGIN)).env("CNI_COMMAND", command);
    call.stdin(config.to_string())
}

#[tokio::test]
async fn each_command_is_counted_with_what_came_of_it() -> Result<()> {
    let counted = Counted::new().await?;
    let env = &counted.env;
    let pool = env.pool("pool", env.v4(1..=1)).await?;
    let (_, web) = env.pod_on("web", &pool).await?;
    let web = web.ipam("metricsDir", json!(counted.folder));
    let (_, late) = env.pod_on("late", &pool).await?;
    let late = late.ipam("metricsDir", json!(counted.folder));
    web.add().await?.success()?;
    ensure!(late.add().await?.code == Some(1));
    web.check().await?.success()?;
    for _ in 0..2 {
        web.del().await?.success()?;
    }
    let config = web.config().clone();
    call("GC", &config["ipam"]).run().await?.success()?;
    counted.status().run().await?.success()?;
    insta::assert_debug_snapshot!(counted.calls()?, @r#"
    {
        "{command=\"ADD\",outcome=\"exhausted\"}": "1",
        "{command=\"ADD\",outcome=\"ok\"}": "1",
        "{command=\"CHECK\",outcome=\"ok\"}": "1",
        "{command=\"DEL\",outcome=\"ok\"}": "2",
        "{command=\"GC\",outcome=\"ok\"}": "1",
        "{command=\"STATUS\",outcome=\"ok\"}": "1",
    }
    "#);
    let text = Text::read(&counted.file());
    let count = |command| {
        let name = "leasehold_call_duration_seconds_count";
        text.value(name, &[("command", command)]).to_string()
    };
    assert_eq!(["ADD", "DEL"].map(count), ["2", "2"]);
    Ok(())
}

#[tokio::test]
async fn two_hundred_processes_at_once_lose_no_count() -> Result<()> {
    let counted = Counted::new().await?;
    let status = counted.status();
    let running: Vec<_> = (0..200).map(|_| status.spawn()).collect::<Result<_>>()?;
    let mut expected = 200;
    for call in running {
        let outcome = call.wait().await?.success()?;
        // On a busy machine a turn may be longer in coming than a call waits.
        if !outcome.stderr.is_empty() {
            ensure!(
                outcome.stderr.contains("timed out waiting for other calls"),
                "{outcome}"
            );
            expected -= 1;
        }
    }
    let calls: Vec<String> = counted.calls()?.into_values().collect();
    assert_eq!(calls, [expected.to_string()]);
    let names = fs::read_dir(&counted.folder)?.map(|entry| Ok(entry?.file_name()));
    let mut names: Vec<_> = names.collect::<Result<_>>()?;
    names.sort();
    assert_eq!(names, [".leasehold.lock", "leasehold.prom"]);
    let mode = fs::metadata(counted.file())?.permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "node-exporter is another user");
    Ok(())
}

#[tokio::test]
async fn a_file_of_garbage_is_replaced() -> Result<()> {
    let counted = Counted::new().await?;
    for garbage in [
        b"leasehold_calls_total{command=\"ADD 5\n\xff\xfe\0".to_vec(),
        b"leasehold_calls_total{command=\"STATUS\",outcome=\"ok\"} NaN\n".to_vec(),
        vec![b'x'; 5 << 20],
    ] {
        fs::write(counted.file(), &garbage)?;
        counted.status().run().await?.success()?;
        let calls: Vec<_> = counted.calls()?.into_iter().collect();
        let once = r#"{command="STATUS",outcome="ok"}"#;
        let expected = [(once.to_owned(), "1".to_owned())];
        assert_eq!(calls, expected, "{garbage:.60?}");
    }
    Ok(())
}

/// The call is as good as ever, and says in one line why it is not counted.
fn uncounted(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.code == Some(0), "{outcome}");
    ensure!(outcome.stderr.lines().count() == 1, "{outcome}");
    ensure!(outcome.stderr.contains("not counted in"), "{outcome}");
    ensure!(outcome.elapsed < Duration::from_secs(5), "{outcome}");
    Ok(())
}

#[tokio::test]
async fn where_nothing_can_be_written_a_call_succeeds_all_the_same() -> Result<()> {
    let counted = Counted::new().await?;
    let missing = counted.folder.join("missing");
    uncounted(&counted.status_in(&missing).run().await?)?;
    uncounted(&counted.status_in(Path::new("/proc")).run().await?)?;
    uncounted(&counted.status_in(Path::new("/dev/null")).run().await?)?;

    // A process stopped while it held the lock.
    let lock = fs::File::create(counted.folder.join(".leasehold.lock"))?;
    lock.lock()?;
    uncounted(&counted.status().run().await?)?;
    drop(lock);
    counted.status().run().await?.success()?;

    fs::remove_file(counted.file())?;
    fs::create_dir(counted.file())?;
    uncounted(&counted.status().run().await?)?;
    let left = fs::read_dir(&counted.folder)?.count();
    assert_eq!(left, 2, "a draft was left");
    Ok(())
}

#[tokio::test]
async fn a_symbolic_link_there_is_not_followed() -> Result<()> {
    let counted = Counted::new().await?;
    let precious = counted.folder.join("precious");
    fs::write(&precious, "kept")?;
    symlink(&precious, counted.folder.join(".leasehold.lock"))?;
    symlink(&precious, counted.file())?;
    uncounted(&counted.status().run().await?)?;
    fs::remove_file(counted.folder.join(".leasehold.lock"))?;
    counted.status().run().await?.success()?;
    assert_eq!(fs::read_to_string(&precious)?, "kept");
    ensure!(fs::symlink_metadata(counted.file())?.is_file());
    Ok(())
}

#[tokio::test]
async fn a_pipe_in_place_of_the_file_blocks_no_call() -> Result<()> {
    let counted = Counted::new().await?;
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    nix::unistd::mkfifo(&counted.file(), mode)?;
    counted.status().run().await?.success()?;
    assert_eq!(counted.calls()?.len(), 1);
    Ok(())
}
