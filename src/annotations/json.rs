//! JSON that a person wrote into an annotation, and the message if it is not what was expected.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};

use crate::json::{fold, hint};

use crate::text::both_ends;

/// An annotation that is not of its shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("annotation {annotation}{}{position}: {problem}; for example {example}", if position.is_empty() { "" } else { " at " })]
pub struct Malformed {
    /// The annotation's key.
    pub annotation: String,
    /// Where in it: a JSON path, and line and column of the text. Empty if it is wrong as a whole.
    pub position: String,
    /// What was expected there, and what was found.
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

/// Whether it is blank, `null`, `{}` or `[]`: what a template leaves where it has no value.
pub(super) fn names_nothing(text: &str) -> bool {
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
    // The message has the position before the problem.
    let problem = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(problem, _)| problem);
    Malformed {
        annotation: annotation.to_owned(),
        position: format!(
            "{} (line {}, column {})",
            both_ends(path),
            error.line(),
            // Columns begin at 1; 0 is before the first character.
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

/// A value that is written as an object.
pub(super) trait Fields: Default + Described {
    /// Every key.
    const KEYS: &'static [&'static str];
    /// Whether other keys are for other readers; else they are refused.
    const OPEN: bool = false;

    /// Reads the value of `key`, one of [`KEYS`](Self::KEYS). `null` has no effect.
    fn set<'de, A: MapAccess<'de>>(
        &mut self,
        key: &'static str,
        map: &mut A,
    ) -> Result<(), A::Error>;

    /// The key that the object needs, if it is missing.
    fn missing(&self) -> Option<&'static str> {
        None
    }
}

/// Reads the next value of `map` into `field`, unless it is `null`.
pub(super) fn put<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    field: &mut T,
) -> Result<(), A::Error> {
    if let Some(value) = map.next_value()? {
        *field = value;
    }
    Ok(())
}

/// A JSON object: keys in any case, the last of two counts, as in Go.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Fields> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<T>(PhantomData<T>);
        impl<'de, T: Fields> Visitor<'de> for Map<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object: {}", T::WHAT)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<T>, A::Error> {
                let mut object = T::default();
                while let Some(key) = map.next_key::<String>()? {
                    match T::KEYS.iter().find(|known| fold(known) == fold(&key)) {
                        Some(known) => object.set(known, &mut map)?,
                        None if T::OPEN => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        None => map.next_value_seed(Unknown {
                            key: &key,
                            known: T::KEYS,
                        })?,
                    }
                }
                match object.missing() {
                    None => Ok(Object(object)),
                    Some(key) => Err(de::Error::missing_field(key)),
                }
            }
        }
        deserializer.deserialize_map(Map(PhantomData))
    }
}

/// The value of an unknown key: refused there, so that the position is that of the key.
struct Unknown<'a> {
    key: &'a str,
    known: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for Unknown<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<(), D::Error> {
        let Self { key, known } = self;
        let hint = hint(key, known);
        Err(de::Error::custom(format!("unknown key {key:?}; {hint}")))
    }
}

/// A JSON list of at most [`MAX_ITEMS`]; `null` is an empty one.
pub(super) struct List<T>(pub(super) Vec<T>);

/// Items of a list: each may be a pattern, which is held against every pool of the cluster.
const MAX_ITEMS: usize = 64;

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
                    if items.len() == MAX_ITEMS {
                        let problem = format!("a list has at most {MAX_ITEMS} items");
                        return Err(de::Error::custom(problem));
                    }
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
