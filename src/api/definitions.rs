//! The definitions of the kinds, as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use super::{IPLease, IPPool, ReservedIP, Subnet};

/// The definition of each kind, in the order of their names.
///
/// Here `null` is what a template leaves where it has nothing to say: the server drops it where a field is
/// not declared nullable, and fills in the default. So none is.
///
/// # Errors
///
/// None, as long as the types make a schema at all, which a test finds out.
pub fn definitions() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [
        IPLease::crd(),
        IPPool::crd(),
        ReservedIP::crd(),
        Subnet::crd(),
    ]
    .into_iter()
    .map(|definition| {
        let mut definition = serde_json::to_value(definition)?;
        forbid_null(&mut definition);
        serde_json::from_value(definition)
    })
    .collect()
}

fn forbid_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("nullable");
            fields.values_mut().for_each(forbid_null);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
