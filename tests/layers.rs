//! Which module may name which, and that no two name each other.
//!
//! The order below is the architecture; ARCHITECTURE.md draws it. A module that is missing here
//! fails the test, so a new one must be given its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What a module may do besides computing.
#[derive(Clone, Copy, PartialEq)]
enum Reach {
    /// A function of its arguments: names no client, no runtime, no clock.
    Pure,
    /// The same, but for the API server's own types of objects.
    Kinds,
    /// Awaits what a trait promises: names no client.
    Ports,
    /// Anything.
    World,
}

/// Each module of the crate, with the modules of the crate that it may name.
const MODULES: [(&str, Reach, &[&str]); 19] = [
    ("text", Reach::Pure, &[]),
    ("ip", Reach::Pure, &[]),
    ("json", Reach::Pure, &[]),
    ("retry", Reach::Pure, &[]),
    ("api", Reach::Kinds, &["ip"]),
    ("annotations", Reach::Pure, &["ip", "json", "text"]),
    ("cni", Reach::Pure, &["ip", "json", "text"]),
    ("claim", Reach::Pure, &["api", "ip", "text"]),
    ("pool", Reach::Pure, &["api", "ip"]),
    ("routes", Reach::Pure, &["ip", "pool"]),
    (
        "select",
        Reach::Pure,
        &[
            "annotations",
            "claim",
            "cni",
            "ip",
            "pool",
            "routes",
            "text",
        ],
    ),
    ("allocate", Reach::Pure, &["ip"]),
    (
        "lease",
        Reach::Pure,
        &["allocate", "api", "claim", "ip", "pool", "retry", "text"],
    ),
    (
        "gather",
        Reach::Ports,
        &["api", "lease", "pool", "retry", "select"],
    ),
    ("host", Reach::World, &["retry"]),
    (
        "plugin",
        Reach::Ports,
        &[
            "allocate",
            "annotations",
            "claim",
            "cni",
            "gather",
            "host",
            "ip",
            "lease",
            "pool",
            "retry",
            "select",
            "text",
        ],
    ),
    (
        "collector",
        Reach::Pure,
        &[
            "annotations",
            "api",
            "claim",
            "cni",
            "ip",
            "lease",
            "pool",
            "retry",
            "select",
            "text",
        ],
    ),
    (
        "metrics",
        Reach::World,
        &["collector", "host", "ip", "lease"],
    ),
    (
        "kube_client",
        Reach::World,
        &[
            "allocate",
            "annotations",
            "api",
            "claim",
            "cni",
            "collector",
            "gather",
            "ip",
            "lease",
            "plugin",
            "retry",
            "select",
            "text",
        ],
    ),
];

/// Crates that reach out of the process or name the API server's objects.
const OUTSIDE: [&str; 4] = ["tokio::", "hyper::", "rustls::", "std::net::TcpStream"];
const KINDS: [&str; 2] = ["kube::", "k8s_openapi::"];

#[test]
fn every_module_has_its_place_and_names_only_what_is_below_it() {
    let places: BTreeSet<&str> = MODULES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(modules(), places.iter().map(ToString::to_string).collect());
    let mut wrong = Vec::new();
    for (module, reach, allowed) in MODULES {
        for (file, number, line) in code(module) {
            let mut complain = |what: &str| {
                wrong.push(format!(
                    "{}:{number}: {module} must not name {what}",
                    file.display()
                ));
            };
            for named in named_modules(&line) {
                if named != module && places.contains(named) && !allowed.contains(&named) {
                    complain(named);
                }
            }
            let barred: &[&[&str]] = match reach {
                Reach::Pure => &[&OUTSIDE, &KINDS],
                Reach::Kinds => &[&OUTSIDE],
                Reach::Ports => &[&KINDS],
                Reach::World => &[],
            };
            for name in barred.iter().copied().flatten() {
                if names(&line, name) {
                    complain(name);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_architecture_draws_the_modules_in_this_order() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let page = fs::read_to_string(page).expect("ARCHITECTURE.md");
    let map = page.split("\n## The map").nth(1).expect("the map");
    let map = map.split("\n## ").next().unwrap_or(map);
    let rows: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(rows, MODULES.map(|(name, ..)| name));
}

#[test]
fn the_allowed_imports_have_no_circle() {
    let edges: BTreeMap<&str, Vec<&str>> = MODULES
        .iter()
        .map(|(name, _, allowed)| (*name, allowed.to_vec()))
        .collect();
    assert_eq!(circle(&edges), None);
}

#[test]
fn no_two_files_of_a_module_name_each_other() {
    for (module, ..) in MODULES {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, _, line) in code(module) {
            let Some(own) = child(module, &file) else {
                continue;
            };
            let to = edges.entry(own.clone()).or_default();
            to.extend(named_children(module, &file, &line).filter(|named| *named != own));
        }
        let known: BTreeSet<String> = edges.keys().cloned().collect();
        let edges: BTreeMap<&str, Vec<&str>> = edges
            .iter()
            .map(|(from, to)| {
                let to = to.iter().filter(|to| known.contains(*to));
                (from.as_str(), to.map(String::as_str).collect())
            })
            .collect();
        assert_eq!(circle(&edges), None, "in {module}");
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn modules() -> BTreeSet<String> {
    let lib = fs::read_to_string(src().join("lib.rs")).expect("src/lib.rs");
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

/// The lines of a module's files that are no comments and no tests.
fn code(module: &str) -> Vec<(PathBuf, usize, String)> {
    let mut files = files(&src().join(module));
    files.push(src().join(format!("{module}.rs")));
    let mut lines = Vec::new();
    for file in files {
        let is_test = file.components().any(|part| part.as_os_str() == "tests")
            || file.file_name().is_some_and(|name| name == "tests.rs");
        if is_test {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file");
        let end = text.find("#[cfg(test)]").unwrap_or(text.len());
        for (index, line) in text[..end].lines().enumerate() {
            if !line.trim_start().starts_with("//") {
                lines.push((file.clone(), index + 1, line.to_owned()));
            }
        }
    }
    lines
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}

/// Whether `line` has `name` as a word of its own.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    })
}

/// The `m` of each `crate::m`.
fn named_modules(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::").skip(1).map(word)
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The file's name below its module: `acquire` of `lease/acquire/attempt.rs`; none for the module's
/// own file.
fn child(module: &str, file: &Path) -> Option<String> {
    let below = file.strip_prefix(src().join(module)).ok()?;
    let first = below.iter().next()?.to_str()?;
    Some(first.trim_end_matches(".rs").to_owned())
}

/// The siblings that a line of `file` names, by `super::` or from the crate's root.
fn named_children<'l>(
    module: &str,
    file: &Path,
    line: &'l str,
) -> impl Iterator<Item = String> + use<'l> {
    let below = file
        .strip_prefix(src().join(module))
        .expect("a file of the module");
    let up = "super::".repeat(below.iter().count());
    let from_root = format!("crate::{module}::");
    [up, from_root].into_iter().flat_map(move |prefix| {
        let starts: Vec<String> = line
            .match_indices(&prefix)
            .filter(|(at, _)| !line[..*at].ends_with("super::"))
            .map(|(at, _)| word(&line[at + prefix.len()..]).to_owned())
            .collect();
        starts
    })
}

/// A circle among `edges`, if there is one, from a name back to itself.
fn circle(edges: &BTreeMap<&str, Vec<&str>>) -> Option<Vec<String>> {
    fn walk<'e>(
        at: &'e str,
        edges: &BTreeMap<&'e str, Vec<&'e str>>,
        path: &mut Vec<&'e str>,
        done: &mut BTreeSet<&'e str>,
    ) -> Option<Vec<String>> {
        if let Some(start) = path.iter().position(|name| *name == at) {
            let found = path[start..].iter().chain([&at]);
            return Some(found.map(ToString::to_string).collect());
        }
        if done.contains(at) {
            return None;
        }
        path.push(at);
        for to in edges.get(at).into_iter().flatten() {
            if let Some(found) = walk(to, edges, path, done) {
                return Some(found);
            }
        }
        path.pop();
        done.insert(at);
        None
    }
    let mut done = BTreeSet::new();
    edges
        .keys()
        .find_map(|from| walk(from, edges, &mut Vec::new(), &mut done))
}

#[test]
fn a_seeded_circle_is_found() {
    let edges = BTreeMap::from([("a", vec!["b"]), ("b", vec!["c"]), ("c", vec!["b"])]);
    let expected = ["b", "c", "b"].map(str::to_owned).to_vec();
    assert_eq!(circle(&edges), Some(expected));
}
