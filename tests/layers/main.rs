//! Which module may name which, and that no two name each other.
//!
//! The order below is the architecture; ARCHITECTURE.md draws it. A module that is missing here
//! fails the test, so a new one must be given its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

mod paths;

use paths::paths;

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
    ("allocate", Reach::Pure, &["ip", "pool"]),
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
            "allocate",
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
const OUTSIDE: [&[&str]; 4] = [
    &["tokio"],
    &["hyper"],
    &["rustls"],
    &["std", "net", "TcpStream"],
];
const KINDS: [&[&str]; 2] = [&["kube"], &["k8s_openapi"]];

#[test]
fn every_module_has_its_place_and_names_only_what_is_below_it() {
    let places: BTreeSet<&str> = MODULES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(modules(), places.iter().map(ToString::to_string).collect());
    let mut wrong = Vec::new();
    for (module, reach, allowed) in MODULES {
        let barred: &[&[&[&str]]] = match reach {
            Reach::Pure => &[&OUTSIDE, &KINDS],
            Reach::Kinds => &[&OUTSIDE],
            Reach::Ports => &[&KINDS],
            Reach::World => &[],
        };
        for Named { file, line, path } in named(module) {
            let is_barred = match path[0].as_str() {
                "crate" => path
                    .get(1)
                    .is_some_and(|other| *other != module && !allowed.contains(&other.as_str())),
                _ => barred.iter().copied().flatten().any(|name| {
                    path.len() >= name.len() && path.iter().zip(*name).all(|(a, b)| a == b)
                }),
            };
            if is_barred {
                let file = file.display();
                wrong.push(format!(
                    "{file}:{line}: {module} must not name {}",
                    path.join("::")
                ));
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
        let named = named(module);
        let children: BTreeSet<String> = named
            .iter()
            .filter_map(|named| child(&named.file))
            .collect();
        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for Named { file, path, .. } in &named {
            let Some(from) = child(file).and_then(|own| children.get(&own)) else {
                continue;
            };
            if path[0] == "crate"
                && path.get(1).is_some_and(|other| other == module)
                && let Some(to) = path
                    .get(2)
                    .and_then(|to| children.get(to))
                    .filter(|to| *to != from)
            {
                edges.entry(from).or_default().push(to);
            }
        }
        assert_eq!(circle(&edges), None, "in {module}");
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn modules() -> BTreeSet<String> {
    let lib = fs::read_to_string(src().join("lib.rs")).expect("src/lib.rs");
    let words: Vec<&str> = lib
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(str::split_whitespace)
        .collect();
    let pairs = words.windows(2).filter(|pair| pair[0] == "mod");
    pairs
        .map(|pair| pair[1].trim_end_matches([';', '{']).to_owned())
        .collect()
}

/// A path that a file names.
struct Named {
    file: PathBuf,
    line: usize,
    path: Vec<String>,
}

/// What a module's files name, but for tests.
fn named(module: &str) -> Vec<Named> {
    let mut files = files(&src().join(module));
    files.push(src().join(format!("{module}.rs")));
    let is_test = |file: &PathBuf| {
        let mut parts = file.components();
        parts.any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
    };
    let mut all = Vec::new();
    for file in files.into_iter().filter(|file| !is_test(file)) {
        let text = fs::read_to_string(&file).expect("a source file");
        let of = module_path(&file);
        let of: Vec<&str> = of.iter().map(String::as_str).collect();
        all.extend(paths(&text, &of).into_iter().map(|(line, path)| Named {
            file: file.clone(),
            line,
            path,
        }));
    }
    all
}

/// `lease`, `acquire`, `attempt` of `src/lease/acquire/attempt.rs`.
fn module_path(file: &Path) -> Vec<String> {
    let below = file
        .strip_prefix(src())
        .expect("a source file")
        .with_extension("");
    let parts = below.iter().map(|part| part.to_string_lossy().into_owned());
    parts.collect()
}

/// The file's name below its module: `acquire` of `lease/acquire/attempt.rs`; none for the module's
/// own file.
fn child(file: &Path) -> Option<String> {
    module_path(file).into_iter().nth(1)
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
