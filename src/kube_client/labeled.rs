//! The one reader of an object of which only labels and annotations are needed: a namespace, a
//! node.

use serde::Deserialize;

use crate::annotations::Annotations;
use crate::select::{Labels, ObjectMetadata};

#[derive(Deserialize, Default)]
pub(super) struct LabeledObject {
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Metadata {
    labels: Labels,
    annotations: Annotations,
}

impl From<LabeledObject> for ObjectMetadata {
    fn from(object: LabeledObject) -> Self {
        let Metadata {
            labels,
            annotations,
        } = object.metadata;
        Self {
            labels,
            annotations,
        }
    }
}
