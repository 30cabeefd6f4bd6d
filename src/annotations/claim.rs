//! The annotation that names a set of addresses.

use super::json::{Malformed, names_nothing};
use super::{Annotations, Found, PoolRef, find, keys};
use crate::text::both_ends;

/// The pod's annotation `claim`: the name of an IPClaim of its namespace.
pub fn claim(annotations: &Annotations) -> Result<Option<Found<String>>, Malformed> {
    let Some((key, text)) = find(annotations, keys::CLAIM) else {
        return Ok(None);
    };
    if names_nothing(text) {
        return Ok(None);
    }
    match text.trim().parse::<PoolRef>() {
        // Every object's name is of the same letters.
        Ok(PoolRef::Name(name)) => Ok(Some(Found {
            key,
            value: name.to_string(),
        })),
        Ok(PoolRef::Pattern(_)) | Err(_) => Err(Malformed {
            annotation: key,
            position: String::new(),
            problem: format!(
                "{:?} is not the name of an IPClaim: a-z, 0-9, \"-\" and \".\"",
                both_ends(text)
            ),
            example: "web",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(text: &str) -> Annotations {
        Annotations::from([("ipam.spidernet.io/claim".to_owned(), text.to_owned())])
    }

    #[test]
    fn a_claim_is_named_as_it_is() {
        for (text, expected) in [
            ("web", Ok(Some("web"))),
            (" web.1 ", Ok(Some("web.1"))),
            ("", Ok(None)),
            ("null", Ok(None)),
            ("shop/web", Err(())),
            ("web-*", Err(())),
            ("Web", Err(())),
            (r#"{"name":"web"}"#, Err(())),
        ] {
            let read = claim(&annotated(text)).map(|found| found.map(|f| f.value));
            let expected = expected.map(|name: Option<&str>| name.map(str::to_owned));
            assert_eq!(read.map_err(drop), expected, "{text}");
        }
    }
}
