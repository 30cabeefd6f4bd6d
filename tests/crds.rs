//! The manifests in `crds/` are what the types say, and the types say enough.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs};

use leasehold::api;
use serde_json::Value;

/// The name of each manifest, and what it should be.
fn manifests() -> BTreeMap<String, String> {
    let definitions = api::definitions().unwrap();
    let manifest = |definition| serde_norway::to_string(definition).unwrap();
    definitions
        .iter()
        .map(|crd| {
            let name = crd.metadata.name.as_deref().unwrap();
            (format!("{name}.yaml"), manifest(crd))
        })
        .collect()
}

/// `UPDATE_CRDS=1` writes them.
#[test]
fn the_manifests_say_what_the_types_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    if env::var_os("UPDATE_CRDS").is_some() {
        for (name, manifest) in manifests() {
            fs::write(folder.join(name), manifest).unwrap();
        }
    }
    let there: BTreeMap<String, String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .filter(|(name, _)| name != "Kustomization")
        .collect();
    for (name, manifest) in manifests() {
        assert!(
            there.get(&name) == Some(&manifest),
            "crds/{name} is out of date: run UPDATE_CRDS=1 cargo test --test crds"
        );
    }
    assert!(
        there.keys().eq(manifests().keys()),
        "crds/ has a manifest of no kind: {:?}",
        there.keys()
    );
}

#[test]
fn every_field_says_what_it_is() {
    every_schema(|path, schema| {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                field["description"].is_string() || ["spec", "status"].contains(&name.as_str()),
                "{path}.{name}"
            );
        }
    });
}

/// For a field without a bound, the API server assumes the size of a whole request when it
/// estimates the cost of a rule.
#[test]
fn no_text_and_no_list_is_without_a_bound() {
    every_schema(|path, schema| {
        let bound = match schema["type"].as_str() {
            Some("string") => ["maxLength", "enum"].as_slice(),
            Some("array") => &["maxItems"],
            Some("integer") if path.contains(".status") => return,
            Some("integer") => &["maximum"],
            _ if schema["additionalProperties"].is_object() => &["maxProperties"],
            _ => return,
        };
        let bounded = bound.iter().any(|bound| !schema[bound].is_null());
        assert!(bounded, "{path}");
    });
}

/// Go writes years that others can't read, and the server's own check of a time is lenient.
#[test]
fn a_time_is_one_that_every_reader_can_parse() {
    let mut times = 0;
    every_schema(|path, schema| {
        if schema["format"] == "date-time" {
            let rules = schema["x-kubernetes-validations"].to_string();
            assert!(rules.contains("9999-01-01T00:00:00Z"), "{path}");
            times += 1;
        }
    });
    assert!(times > 4);
}

/// `kubectl apply -f` reads every `.yaml`, `.yml` and `.json` of a folder, and knows no
/// Kustomization; `kubectl apply -k` finds it by this name too.
#[test]
fn the_folder_can_be_applied_with_and_without_kustomize() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some() {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains("kind: CustomResourceDefinition"), "{path:?}");
        }
    }
    let kustomization = fs::read_to_string(folder.join("Kustomization")).unwrap();
    let kustomization: Value = serde_norway::from_str(&kustomization).unwrap();
    let listed = kustomization["resources"].as_array().unwrap();
    let mut listed: Vec<&str> = listed.iter().map(|name| name.as_str().unwrap()).collect();
    listed.sort_unstable();
    assert!(listed.into_iter().eq(manifests().keys()));
}

/// Visits the schema of each kind and every schema inside.
fn every_schema(mut visit: impl FnMut(&str, &Value)) {
    for definition in api::definitions().unwrap() {
        let definition = serde_json::to_value(definition).unwrap();
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap();
        walk(
            kind,
            &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            &mut visit,
        );
    }
}

fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), field, visit);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            walk(&format!("{path}[]"), &schema[inner], visit);
        }
    }
}
