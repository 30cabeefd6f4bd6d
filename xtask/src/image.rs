//! `cargo xtask image`: the static binaries as a container image, without a base image or a build
//! service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use oci_archive::{Entry, Image, Platform, architecture};
use serde_json::Value;

/// What the image holds.
const PROGRAMS: [&str; 2] = ["leasehold", "leasehold-gc"];

/// The user of the collector; the installer sets root for itself.
const USER: &str = "65532:65532";

/// What to write.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Name and tag of the image.
    #[arg(long, default_value = concat!("leasehold:", env!("CARGO_PKG_VERSION")))]
    name: String,
    /// The archive to write.
    #[arg(long, default_value = "target/leasehold-image.tar")]
    output: PathBuf,
    /// Build for this Rust target; repeat it for an image of several platforms.
    #[arg(long = "target", value_name = "TRIPLE", default_value = "host-tuple")]
    targets: Vec<String>,
    /// Build with this cargo profile.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Take the programs from this folder instead of building them.
    #[arg(long, conflicts_with_all = ["targets", "profile"])]
    binaries: Option<PathBuf>,
    /// Leave the layers uncompressed: larger, but written at once.
    #[arg(long)]
    uncompressed: bool,
}

#[expect(clippy::print_stdout, reason = "what was written is the answer")]
pub(crate) fn run(options: &Options) -> Result<()> {
    let platforms = if let Some(folder) = &options.binaries {
        let executables = PROGRAMS.map(|program| (program.to_owned(), folder.join(program)));
        vec![platform("host-tuple", &executables.into())?]
    } else {
        options
            .targets
            .iter()
            .map(|target| platform(target, &build(target, &options.profile)?))
            .collect::<Result<_>>()?
    };
    let image = Image {
        name: options.name.clone(),
        entrypoint: vec!["/leasehold-gc".to_owned()],
        user: USER.to_owned(),
        labels: labels(),
        platforms,
        compressed: !options.uncompressed,
    };
    let digest = image.write(&options.output)?;
    let archive = options.output.display();
    println!("{archive}: {}@{digest}", options.name);
    println!(
        "push it: skopeo copy --all --preserve-digests oci-archive:{archive} docker://REGISTRY/{}",
        options.name
    );
    Ok(())
}

fn labels() -> BTreeMap<String, String> {
    let labels = [
        ("title", "leasehold"),
        (
            "description",
            "IP address management for Kubernetes pods on underlay networks",
        ),
        ("version", env!("CARGO_PKG_VERSION")),
        ("licenses", "Apache-2.0"),
    ];
    labels
        .map(|(key, value)| (format!("org.opencontainers.image.{key}"), value.to_owned()))
        .into()
}

/// Reads the programs of this target.
fn platform(target: &str, executables: &BTreeMap<String, PathBuf>) -> Result<Platform> {
    let mut files = vec![Entry {
        path: "LICENSE".to_owned(),
        content: read(&repository().join("LICENSE"))?,
        executable: false,
    }];
    for program in PROGRAMS {
        let executable = executables
            .get(program)
            .with_context(|| format!("cargo build reports no executable {program}"))?;
        files.push(Entry {
            path: program.to_owned(),
            content: read(executable)?,
            executable: true,
        });
    }
    let rust = match target {
        "host-tuple" => std::env::consts::ARCH,
        triple => triple.split('-').next().unwrap_or(triple),
    };
    Ok(Platform {
        architecture: architecture(rust).to_owned(),
        files,
    })
}

/// Builds the programs, and returns where cargo put them.
fn build(target: &str, profile: &str) -> Result<BTreeMap<String, PathBuf>> {
    let out = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--locked",
            "--package=leasehold",
            "--profile",
            profile,
        ])
        .args(PROGRAMS.map(|program| format!("--bin={program}")))
        .args(["--target", target])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(repository())
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo build")?;
    ensure!(
        out.status.success(),
        "cargo build ended with {}",
        out.status
    );
    let messages = String::from_utf8(out.stdout).context("read cargo's messages")?;
    Ok(messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("read {}", path.display()))
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
