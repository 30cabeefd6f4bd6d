//! Whereabouts as a cluster has it: its kinds, and what its plugin is told.

use serde_json::{Value, json};

/// What it stores; the schema does not matter here.
const KINDS: [(&str, &str); 2] = [
    ("ippools", "IPPool"),
    (
        "overlappingrangeipreservations",
        "OverlappingRangeIPReservation",
    ),
];

/// The definitions of its kinds.
pub fn definitions() -> [Value; 2] {
    KINDS.map(|(plural, kind)| open_kind(plural, kind))
}

/// The file without which it does not run.
pub fn file(kubeconfig: &str) -> Value {
    json!({"datastore": "kubernetes", "kubernetes": {"kubeconfig": kubeconfig}})
}

/// A kind that takes whatever it writes.
fn open_kind(plural: &str, kind: &str) -> Value {
    let group = "whereabouts.cni.cncf.io";
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}
