//! `cargo xtask check` and `cargo xtask test`: what a developer runs many times an hour.
//!
//! Neither replaces `.ci/run`, which runs everything.

use std::ffi::{OsStr, OsString};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// The words of a test's name.
#[derive(clap::Args)]
pub(crate) struct Filter {
    /// Part of a test's name, such as `choose::labels`.
    name: String,
    /// Passed on to the tests, such as -- --nocapture.
    #[arg(last = true)]
    more: Vec<String>,
}

/// Everything that needs no API server, the quickest first.
pub(crate) fn check() -> Result<()> {
    cargo("fmt --all --check")?;
    typos()?;
    cargo("clippy --quiet --workspace --all-targets --locked -- -D warnings")?;
    cargo("doc --quiet --workspace --no-deps --locked")?;
    cargo("test --quiet --locked --lib --test layers --test readme --test manifests --test crds")
}

/// The tests of this name, in whichever package and file they are.
pub(crate) fn test(Filter { name, more }: &Filter) -> Result<()> {
    cargo(&format!(
        "test --workspace --locked --no-fail-fast {name} -- {}",
        more.join(" ")
    ))
}

fn cargo(words: &str) -> Result<()> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let step = words.split(' ').next().unwrap_or(words);
    run(step, &program, words)
}

/// Spelling, where the checker is installed. CI installs it.
fn typos() -> Result<()> {
    if Command::new("typos").arg("--version").output().is_err() {
        eprintln!("typos: skipped, not installed: cargo install --locked typos-cli");
        return Ok(());
    }
    run("typos", OsStr::new("typos"), "--format brief")
}

/// Runs a step from the repository's root, and prints how long it took.
fn run(step: &str, program: &OsStr, words: &str) -> Result<()> {
    let begun = Instant::now();
    let status = Command::new(program)
        .args(words.split_whitespace())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()
        .with_context(|| format!("run {}", program.display()))?;
    ensure!(status.success(), "{step} failed: {status}");
    eprintln!("{step}: {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}
