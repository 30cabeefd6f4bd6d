//! JSON that a person wrote into an annotation, and what to tell them when it is not what was expected.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::text::both_ends;

/// An annotation that is not of its shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("annotation {annotation}{}{position}: {problem}; for example {example}", if position.is_empty() { "" } else { " at " })]
pub struct Malformed {
    /// The annotation's key.
    pub annotation: String,
    /// Where in it: a JSON path, and line and column of the text. Empty where it is wrong as a whole.
    pub position: String,
    /// What was expected there, and what stands there.
    pub problem: String,
    /// A value of the right shape.
    pub example: &'static str,
}

/// Reads `text`; `None` if it names nothing.
pub(super) fn parse<T: DeserializeOwned>(
    annotation: &str,
    text: &str,
    example: &'static str,
) -> Result<Option<T>, Malformed> {
    if names_nothing(text) {
        return Ok(None);
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        // A place that has no name yet is shown as "?", the whole as ".".
        let path = path.trim_end_matches('?').trim_end_matches('.');
        let dot = if path.is_empty() || path.starts_with('[') {
            ""
        } else {
            "."
        };
        malformed(annotation, &format!("${dot}{path}"), error.inner(), example)
    })?;
    match json.end() {
        Ok(()) => Ok(Some(value)),
        Err(error) => Err(malformed(annotation, "$", &error, example)),
    }
}

/// Blank, `null`, `{}` and `[]`: what templates leave where they have nothing to say.
fn names_nothing(text: &str) -> bool {
    // The longest of them has four letters, and a quarter of a megabyte is not worth a copy.
    let mut letters = text.chars().filter(|c| !c.is_whitespace());
    let bare: String = letters.by_ref().take(5).collect();
    matches!(bare.as_str(), "" | "null" | "{}" | "[]")
}

fn malformed(
    annotation: &str,
    path: &str,
    error: &serde_json::Error,
    example: &'static str,
) -> Malformed {
    let text = error.to_string();
    // The position is told before the problem.
    let problem = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(problem, _)| problem);
    Malformed {
        annotation: annotation.to_owned(),
        position: format!(
            "{} (line {}, column {})",
            both_ends(path),
            error.line(),
            // Before the first character there is none.
            error.column().max(1)
        ),
        problem: both_ends(problem),
        example,
    }
}

/// What a value of a list or an object is, in messages.
pub(super) trait Described {
    const WHAT: &'static str;
}

/// A JSON object. A derived reader of a struct takes a list of the fields' values too, which nobody means.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de> + Described> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Described> Visitor<'de> for Map<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object: {}", T::WHAT)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Map(PhantomData))
    }
}

/// A JSON list; `null` is an empty one.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de> + Described> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seq<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Described> Visitor<'de> for Seq<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of {}", T::WHAT)
            }

            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(List(items))
            }
        }
        deserializer.deserialize_any(Seq(PhantomData))
    }
}

impl<T> Described for Object<T> {
    const WHAT: &'static str = "objects";
}
