//! What the README has a reader run on a cluster, run on one.

use anyhow::{Context, Result};
use testbed::{Cluster, repository};
use tokio::process::Command;

use crate::PLUGIN;

/// The lines of the README's shell blocks that begin with this word.
fn lines(word: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(repository().join("README.md"))?;
    let blocks = text
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let lines = blocks
        .flat_map(str::lines)
        .filter(|line| line.starts_with(word));
    Ok(lines.map(str::to_owned).collect())
}

#[tokio::test]
async fn the_readmes_way_to_install_works_on_a_cluster_that_has_nothing() -> Result<()> {
    let cluster = Cluster::builder().bare().start().await?;
    let lines = lines("kubectl ")?;
    assert!(lines.len() >= 6, "{lines:?}");
    for line in lines {
        let words: Vec<String> = line
            .split_whitespace()
            .skip(1)
            .map(|word| {
                if word.contains('/') {
                    repository().join(word).display().to_string()
                } else {
                    word.to_owned()
                }
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        cluster
            .kubectl(&words)
            .await
            .with_context(|| line.clone())?;
    }
    let pools = cluster.kubectl(&["get", "lhpool"]).await?;
    assert!(
        pools.contains("10.70.0.0/24") && pools.contains("fd00:70::/64"),
        "{pools}"
    );
    Ok(())
}

#[tokio::test]
async fn the_plugin_places_itself_where_the_readme_says() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("leasehold-install-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    for line in lines("leasehold ")? {
        let words = line.split_whitespace().skip(1);
        let words = words.map(|word| {
            if word == "/opt/cni/bin" {
                folder.as_os_str()
            } else {
                word.as_ref()
            }
        });
        let done = Command::new(PLUGIN).args(words).output().await?;
        assert!(done.status.success(), "{line}: {done:?}");
        let names: Vec<_> = std::fs::read_dir(&folder)?
            .map(|entry| entry.map(|e| e.file_name()))
            .collect::<Result<_, _>>()?;
        assert_eq!(names, ["leasehold"], "nothing is left beside it");
        assert_eq!(
            std::fs::read(folder.join("leasehold"))?,
            std::fs::read(PLUGIN)?
        );
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

#[tokio::test]
async fn both_programs_say_which_version_they_are() -> Result<()> {
    let collector = env!("CARGO_BIN_EXE_leasehold-gc");
    for (program, name) in [(PLUGIN, "leasehold"), (collector, "leasehold-gc")] {
        let output = Command::new(program).arg("--version").output().await?;
        let version = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
        assert_eq!(String::from_utf8(output.stdout)?, version, "{name}");

        let output = Command::new(program).arg("--help").output().await?;
        assert!(output.status.success(), "{output:?}");
        let output = Command::new(program).arg("--nonsense").output().await?;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    Ok(())
}
