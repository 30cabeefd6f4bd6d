//! The documents are true: what they name is there, and the commands that they show are run.
//!
//! The `kubectl` lines are run by `tests/e2e/readme.rs`, the `cargo` lines by `.ci/run`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use leasehold::cni::{Call, CniError};

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

/// The documents at the root, each of which readers find by its name.
const DOCUMENTS: [&str; 5] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
];

#[test]
fn each_file_that_a_document_names_is_there() {
    let roots = [
        "src/",
        "crds/",
        "deploy/",
        "examples/",
        "tests/",
        "benches/",
        "fuzz/",
        "xtask/",
        ".ci/",
    ];
    for document in DOCUMENTS {
        let text = read(document);
        let words = text.split(|c: char| c.is_whitespace() || "`()[]\"',;:".contains(c));
        for word in words {
            let word = word.trim_end_matches('.');
            // `src/plugin/<verb>.rs` stands for many.
            let is_path = roots.iter().any(|root| word.starts_with(root)) && !word.contains('<');
            let is_document = DOCUMENTS.contains(&word);
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(word);
            assert!(
                !(is_path || is_document) || path.exists(),
                "{document} names {word}, which is not there"
            );
        }
    }
}

/// Calico, Antrea and Kube-OVN have kinds of the same plural names: kubectl may show theirs.
#[test]
fn no_document_has_kubectl_name_a_kind_as_other_projects_do() {
    let shared = [
        "ippool", "ippools", "iplease", "ipleases", "subnet", "subnets",
    ];
    for document in DOCUMENTS {
        for (index, line) in read(document).lines().enumerate() {
            let Some((_, command)) = line.split_once("kubectl ") else {
                continue;
            };
            let command = command.split('`').next().unwrap_or(command);
            let mut words = command.split(|c: char| c.is_whitespace() || ",/".contains(c));
            let found = words.find(|word| {
                let kind = word.split_once(".spec").map_or(*word, |(kind, _)| kind);
                shared.contains(&kind)
            });
            assert_eq!(found, None, "{document}:{}: {line}", index + 1);
        }
    }
}

/// What the plugin says to this `ipam` object.
fn status(ipam: &str) -> Result<Call, CniError> {
    let env = |name: &str| match name {
        "CNI_COMMAND" => Some("STATUS".into()),
        "CNI_PATH" => Some("/opt/cni/bin".into()),
        _ => None,
    };
    let config = format!(r#"{{"cniVersion":"1.1.0","name":"underlay","ipam":{ipam}}}"#);
    Call::read(env, config.as_bytes())
}

#[test]
fn the_cni_configuration_in_the_readme_is_one_that_the_plugin_understands() {
    let config: serde_json::Value =
        serde_json::from_str(&blocks("json").concat()).expect("a configuration");
    assert!(status(&config["ipam"].to_string()).is_ok());
}

#[test]
fn the_readme_has_every_key_of_the_configuration_and_no_other() {
    let refused = status(r#"{"type":"leasehold","zzz":1}"#).expect_err("an unknown key");
    let (_, known) = refused
        .msg()
        .split_once("known are ")
        .expect("the known keys");
    let known: BTreeSet<&str> = known
        .split([',', ' ', ';'])
        .filter(|key| !key.is_empty() && *key != "type")
        .collect();
    let text = read("README.md");
    let table = text.split("### Keys of `ipam`").nth(1).expect("the table");
    let table = table.split("\n## ").next().unwrap_or(table);
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let keys: BTreeSet<&str> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert_eq!(keys, known);
}

#[test]
fn the_readme_explains_each_code_that_the_specification_does_not() {
    let source = read("src/cni/error.rs");
    let codes: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "))
        .map(|(_, code)| code)
        .filter(|code| code.len() == 3 && code.starts_with('1'))
        .collect();
    assert!(codes.len() > 5, "{codes:?}");
    let readme = read("README.md");
    let rows = readme.lines().filter_map(|line| {
        let code = line.strip_prefix("| ")?.split(' ').next()?;
        (code.len() == 3 && code.parse::<u32>().is_ok()).then_some(code)
    });
    assert_eq!(rows.collect::<BTreeSet<_>>(), codes);
}

#[test]
fn each_manifest_in_the_readme_is_one_that_the_kinds_understand() {
    let yaml = blocks("yaml").join("\n");
    let pool: leasehold::api::IPPool = serde_norway::from_str(&yaml).expect("an IPPool");
    assert!(pool.spec.default);
}
