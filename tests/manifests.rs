//! Every manifest of the repository uses only fields that its kind has.
//!
//! The API server prunes a field that the schema does not have, so a mistyped `excludeIps` would
//! have no effect and no error. `tests/e2e/examples.rs` applies the examples.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use leasehold::annotations::{
    Annotations, claim, default_pools, default_route_nic, ip_number, ippool, ippools, networks,
    reclaim, retains_when_scaled, routes, sticky, subnet, subnets,
};
use leasehold::api::{self, IPClaim, IPPool, ReservedIP, Subnet};
use leasehold::claim::Claim;
use leasehold::ip::{Family, Vrf};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A document of a manifest, and where it is.
struct Object {
    at: String,
    value: Value,
}

/// All documents of the YAML files of a folder.
fn objects(folder: &str) -> Vec<Object> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut objects = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        for document in serde_norway::Deserializer::from_str(&text) {
            let value =
                Value::deserialize(document).unwrap_or_else(|e| panic!("{folder}/{name}: {e}"));
            let at = format!(
                "{folder}/{name}: {} {}",
                value["kind"], value["metadata"]["name"]
            );
            objects.push(Object { at, value });
        }
    }
    objects
}

/// The schema of each of our kinds.
fn schemas() -> BTreeMap<String, Value> {
    let definitions = api::definitions().unwrap();
    let schema = |definition| {
        let value = serde_json::to_value(definition).unwrap();
        let kind = value["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        (
            kind,
            value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone(),
        )
    };
    definitions.iter().map(schema).collect()
}

/// The paths in `value` that `schema` does not have.
fn unknown(path: &str, value: &Value, schema: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, field)| {
                let at = format!("{path}.{name}");
                let inner = match (&schema["properties"][name], &schema["additionalProperties"]) {
                    // The API server checks these itself.
                    _ if path.is_empty()
                        && ["apiVersion", "kind", "metadata"].contains(&name.as_str()) =>
                    {
                        return Vec::new();
                    }
                    (Value::Null, Value::Null) => return vec![at],
                    (Value::Null, any) => any,
                    (known, _) => known,
                };
                unknown(&at, field, inner)
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .flat_map(|item| unknown(&format!("{path}[]"), item, &schema["items"]))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

#[test]
fn every_document_is_an_object_that_kubectl_would_take() {
    for folder in ["examples", "crds", "deploy"] {
        let objects = objects(folder);
        assert!(!objects.is_empty(), "{folder}/ is empty");
        for Object { at, value } in objects {
            let kustomization = value["kind"] == "Kustomization";
            assert!(
                value["apiVersion"].is_string() && value["kind"].is_string(),
                "{at}"
            );
            assert!(
                value["metadata"]["name"].is_string() || kustomization,
                "{at}"
            );
        }
    }
}

#[test]
fn no_object_of_our_kinds_has_a_field_that_its_kind_does_not_know() {
    let schemas = schemas();
    let mut kinds = BTreeSet::new();
    for folder in ["examples", "deploy"] {
        for Object { at, value } in objects(folder) {
            if value["apiVersion"] != "leasehold.io/v1alpha1" {
                continue;
            }
            let kind = value["kind"].as_str().unwrap().to_owned();
            let schema = schemas
                .get(&kind)
                .unwrap_or_else(|| panic!("{at}: no such kind"));
            assert_eq!(unknown("", &value, schema), [] as [&str; 0], "{at}");
            kinds.insert(kind);
        }
    }
    assert!(kinds.is_superset(&["IPPool", "ReservedIP", "Subnet"].map(str::to_owned).into()));
}

#[test]
fn a_mistyped_field_is_found() {
    let pool = serde_json::json!({
        "apiVersion": "leasehold.io/v1alpha1",
        "kind": "IPPool",
        "spec": {
            "subnet": "10.0.0.0/24",
            "excludeIps": [],
            "routes": [{"dst": "10.1.0.0/16", "via": "10.0.0.1"}],
            "podAffinity": {"matchLabels": {"any": "label"}, "matchLabel": {}},
        },
    });
    let found = unknown("", &pool, &schemas()["IPPool"]);
    assert_eq!(
        found,
        [
            ".spec.excludeIps",
            ".spec.podAffinity.matchLabel",
            ".spec.routes[].via"
        ]
    );
}

/// Also what the API server cannot check: the order of a range, an annotation.
#[test]
fn every_example_is_understood() {
    let objects = objects("examples");
    let pools = read::<IPPool>(&objects, "IPPool");
    let subnets = read::<Subnet>(&objects, "Subnet");
    let reserved = read::<ReservedIP>(&objects, "ReservedIP");
    for object in read::<IPClaim>(&objects, "IPClaim") {
        Claim::try_from(object).unwrap();
    }
    let pools = leasehold::pool::Pools::read(pools, &subnets, &reserved, &Vrf::default()).unwrap();
    for pool in pools.iter().chain(pools.subnets()) {
        let pool = pool.unwrap();
        assert!(!pool.usable.is_empty(), "{}", pool.name);
    }
    for Object { at, value } in &objects {
        let template = &value["spec"]["template"]["metadata"]["annotations"];
        for annotations in [template, &value["metadata"]["annotations"]] {
            if annotations.is_object() {
                let annotations = Annotations::deserialize(annotations).unwrap();
                understood(&annotations).unwrap_or_else(|e| panic!("{at}: {e}"));
            }
        }
    }
}

/// The objects of this kind.
fn read<T: DeserializeOwned>(objects: &[Object], kind: &str) -> Vec<T> {
    objects
        .iter()
        .filter(|object| object.value["kind"] == kind)
        .map(|Object { at, value }| T::deserialize(value).unwrap_or_else(|e| panic!("{at}: {e}")))
        .collect()
}

/// Reads every annotation of ours; one that no parser reads is mistyped.
fn understood(annotations: &Annotations) -> Result<(), Box<dyn std::error::Error>> {
    let mut found = vec![
        ippool(annotations)?.map(|found| found.key),
        ippools(annotations)?.map(|found| found.key),
        subnet(annotations)?.map(|found| found.key),
        subnets(annotations)?.map(|found| found.key),
        ip_number(annotations)?.map(|found| found.key),
        reclaim(annotations)?.map(|found| found.key),
        claim(annotations)?.map(|found| found.key),
        routes(annotations)?.map(|found| found.key),
        default_route_nic(annotations).map(|found| found.key),
        sticky(annotations)?.map(|_| "ipam.leasehold.io/sticky".to_owned()),
        retains_when_scaled(annotations).then(|| "ipam.leasehold.io/when-scaled".to_owned()),
    ];
    for family in Family::BOTH {
        found.push(default_pools(annotations, family)?.map(|found| found.key));
    }
    networks(annotations)?;
    let found: BTreeSet<&String> = found.iter().flatten().collect();
    let ours = annotations.keys().filter(|key| key.starts_with("ipam."));
    match ours.collect::<BTreeSet<_>>().difference(&found).next() {
        Some(key) => Err(format!("no code reads the annotation {key}").into()),
        None => Ok(()),
    }
}

/// The values of the key `image`, at any depth.
fn images(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, field)| {
                if key == "image" && field.is_string() {
                    vec![field]
                } else {
                    images(field)
                }
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(images).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

#[test]
fn name_and_version_of_the_image_are_set_in_one_place() {
    for (folder, component) in [
        ("deploy", "image"),
        ("deploy/install", "../image"),
        ("deploy/installer", "../image"),
    ] {
        let objects = objects(folder);
        let found: Vec<_> = objects.iter().flat_map(|o| images(&o.value)).collect();
        assert!(!found.is_empty(), "{folder} runs nothing");
        assert!(
            found.iter().all(|image| **image == "leasehold"),
            "{folder}: {found:?}"
        );
        let kustomization = objects
            .iter()
            .find(|o| o.value["kind"] == "Kustomization")
            .unwrap();
        assert_eq!(kustomization.value["components"][0], component, "{folder}");
    }
    let image = &objects("deploy/image")[0].value["images"][0];
    assert_eq!(image["name"], "leasehold");
    assert_eq!(image["newTag"], env!("CARGO_PKG_VERSION"));
}

/// The template of the collector's pods, and its `CronJob`.
fn cron_job() -> Value {
    let found = objects("deploy").into_iter();
    let mut found = found.filter(|object| object.value["kind"] == "CronJob");
    found.next().unwrap().value
}

/// A run that lands on a dead node stays active, maybe for ever; and only a node that lives is a
/// place to run.
#[test]
fn a_dead_node_can_not_stop_the_collector() {
    let spec = &cron_job()["spec"];
    assert_eq!(spec["concurrencyPolicy"], "Allow");
    let job = &spec["jobTemplate"]["spec"];
    assert!(job["activeDeadlineSeconds"].is_u64());
    let pod = &job["template"]["spec"];
    assert_eq!(pod["nodeSelector"]["kubernetes.io/os"], "linux");
    for toleration in pod["tolerations"].as_array().unwrap() {
        let key = toleration["key"].as_str();
        assert!(key.is_some(), "it tolerates everything: {toleration}");
        let dead = [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
        ];
        if dead.contains(&key.unwrap()) {
            // The scheduler still sees the taint of the same key with the effect NoSchedule.
            assert_eq!(toleration["effect"], "NoExecute", "{toleration}");
            assert!(toleration["tolerationSeconds"].is_u64(), "{toleration}");
        }
    }
}

/// The log of a run goes with its pod.
#[test]
fn an_hour_of_reasons_is_kept() {
    let spec = &cron_job()["spec"];
    for limit in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        assert!(spec[limit].as_u64() >= Some(60), "{limit}");
    }
}

/// A kustomization with a namespace moves every object that has one: no object may have its place
/// in a particular one.
#[test]
fn no_object_of_the_collector_is_in_a_namespace_of_kubernetes() {
    for Object { at, value } in objects("deploy") {
        let namespace = value["metadata"]["namespace"].as_str();
        assert!(matches!(namespace, None | Some("leasehold-system")), "{at}");
    }
    let pod = &cron_job()["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let command = container["command"].to_string();
    assert!(command.contains("--namespace=$(NAMESPACE)"), "{command}");
    let field = &container["env"][0]["valueFrom"]["fieldRef"]["fieldPath"];
    assert_eq!(field, "metadata.namespace");
}
