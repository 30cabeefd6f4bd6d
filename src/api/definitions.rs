//! The definitions of the kinds, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use super::{IPClaim, IPLease, IPPool, ReservedIP, Subnet, schema};

/// The definition of each kind, in the order of their names.
///
/// They differ from what the types alone would generate in three ways. No field is nullable: `null`
/// is what a template leaves for a value that is not set, and the API server then drops it and
/// fills in the default. A paragraph of a description is one line, because `kubectl explain` wraps
/// lines itself. And a time is one that every reader can parse.
///
/// # Errors
///
/// None, as long as the types have a schema at all, which a test checks.
pub fn definitions() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [
        IPClaim::crd(),
        IPLease::crd(),
        IPPool::crd(),
        ReservedIP::crd(),
        Subnet::crd(),
    ]
    .into_iter()
    .map(|definition| {
        let mut definition = serde_json::to_value(definition)?;
        tidy(&mut definition);
        serde_json::from_value(definition)
    })
    .collect()
}

fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("nullable");
            if let Some(Value::String(description)) = fields.get_mut("description") {
                *description = unwrapped(description);
            }
            if fields
                .get("format")
                .is_some_and(|format| format == "date-time")
            {
                let bounds = schema::time();
                fields.extend(bounds.map(|(key, value)| (key.to_owned(), value)));
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn unwrapped(text: &str) -> String {
    let paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
