//! The annotation that says whether an address is kept for a pod's name.

use super::json::{Malformed, names_nothing};
use super::{Annotations, keys};
use crate::text::both_ends;

/// The pod's annotation `sticky`, which Spiderpool has not.
pub fn sticky(annotations: &Annotations) -> Result<Option<bool>, Malformed> {
    let key = keys::ours(keys::STICKY);
    match annotations.get(&key).map(|text| text.trim()) {
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(text) if !names_nothing(text) => Err(Malformed {
            problem: format!("{:?} is neither true nor false", both_ends(text)),
            annotation: key,
            position: String::new(),
            example: "true",
        }),
        Some(_) | None => Ok(None),
    }
}
