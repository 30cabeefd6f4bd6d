//! The annotations that say whether an address is kept for a pod's name.

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

/// The annotation `when-scaled` of a StatefulSet: whether the addresses of pods that it is scaled
/// down by stay kept. A value that is not understood keeps them.
#[must_use]
pub fn retains_when_scaled(annotations: &Annotations) -> bool {
    let text = annotations.get(&keys::ours(keys::WHEN_SCALED));
    text.is_some_and(|text| !names_nothing(text) && text.trim() != "Delete")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_keeps_addresses() {
        for (text, retains) in [
            (Some("Retain"), true),
            (Some("retain"), true),
            (Some("Delete"), false),
            (Some(" "), false),
            (None, false),
        ] {
            let key = "ipam.leasehold.io/when-scaled".to_owned();
            let annotations = text.map(|text| (key, text.to_owned()));
            let annotations = annotations.into_iter().collect();
            assert_eq!(retains_when_scaled(&annotations), retains, "{text:?}");
        }
    }
}
