//! The README is true: what it names is there, and what it tells a reader to run is run.
//!
//! The `kubectl` lines are run by `tests/e2e/readme.rs`, the `cargo` lines by `.ci/run`.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .expect("a file of the repository")
}

/// The lines of the blocks of this language.
fn blocks(language: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in read("README.md").lines() {
        if let Some(fence) = line.strip_prefix("```") {
            inside = !inside && fence == language;
        } else if inside && !line.is_empty() {
            lines.push(line.to_owned());
        }
    }
    lines
}

#[test]
fn each_cargo_line_of_the_readme_is_run_by_ci() {
    let ci = read(".ci/run");
    for line in blocks("sh")
        .iter()
        .filter(|line| line.starts_with("cargo "))
    {
        let words: Vec<&str> = line.split_whitespace().collect();
        let run = ci.lines().any(|ci| {
            words
                .iter()
                .all(|word| ci.split_whitespace().any(|w| w == *word))
        });
        assert!(run, "{line:?} is not run by .ci/run");
    }
}

#[test]
fn each_file_that_the_readme_names_is_there() {
    let text = read("README.md");
    let roots = [
        "src/",
        "crds/",
        "deploy/",
        "examples/",
        "tests/",
        "benches/",
        "fuzz/",
        ".ci/",
    ];
    let words = text.split(|c: char| c.is_whitespace() || "`()[]\"',;:".contains(c));
    for word in words.filter(|word| roots.iter().any(|root| word.starts_with(root))) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(word.trim_end_matches('.'));
        assert!(path.exists(), "the README names {word}, which is not there");
    }
}

#[test]
fn each_manifest_in_the_readme_is_one_that_the_kinds_understand() {
    let yaml = blocks("yaml").join("\n");
    let pool: leasehold::api::IPPool = serde_norway::from_str(&yaml).expect("an IPPool");
    assert!(pool.spec.default);
}
