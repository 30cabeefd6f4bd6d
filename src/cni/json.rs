//! JSON objects whose values are still as they were written.
//!
//! Each value is read when it is asked for, and as the type that is expected there. So a key that
//! leasehold does not ask for can hold anything, a value of the wrong type can be shown, and one
//! bad value leaves the others readable, which DEL depends on.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::input_error::InputError;
use crate::json::fold;
use crate::text::shown;

/// The keys of a JSON object and what is written behind them.
///
/// As in Go, a key is the same in any case, the last of two counts, and `null` has no effect.
#[derive(Debug, Default)]
pub struct Object<'a> {
    path: String,
    fields: BTreeMap<String, Written<'a>>,
}

#[derive(Debug)]
struct Written<'a> {
    key: String,
    raw: &'a RawValue,
}

/// One value, and where it is.
#[derive(Debug)]
pub struct Field<'a> {
    /// From the top of the document: `ipam.vrf`.
    pub path: String,
    raw: &'a RawValue,
}

impl<'a> Object<'a> {
    /// Reads a whole document. What comes before the first mistake is in the object, and the
    /// mistake beside it.
    #[must_use]
    pub fn document(json: &'a [u8]) -> (Self, Option<serde_json::Error>) {
        let mut object = Self::default();
        let mut reader = serde_json::Deserializer::from_slice(json);
        let outcome = Filling(&mut object.fields)
            .deserialize(&mut reader)
            .and_then(|()| reader.end());
        (object, outcome.err())
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Field<'a>> {
        self.fields
            .get(&fold(key))
            .map(|written| self.field(written))
    }

    /// All values, by the key as it is written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Field<'a>)> {
        self.fields
            .values()
            .map(|written| (written.key.as_str(), self.field(written)))
    }

    fn field(&self, Written { key, raw }: &Written<'a>) -> Field<'a> {
        let path = match self.path.as_str() {
            "" => key.clone(),
            above => format!("{above}.{key}"),
        };
        Field {
            path: shown(&path),
            raw,
        }
    }
}

impl<'a> Field<'a> {
    /// The value as a `T`, else an error with what was found and what was `expected`.
    pub fn read<T: Deserialize<'a>>(&self, expected: &'static str) -> Result<T, InputError> {
        serde_json::from_str(self.raw.get()).map_err(|_| self.refused(expected))
    }

    /// The value as an object.
    pub fn object(&self) -> Result<Object<'a>, InputError> {
        let (object, mistake) = Object::document(self.raw.get().as_bytes());
        match mistake {
            None => Ok(Object {
                path: self.path.clone(),
                ..object
            }),
            Some(_) => Err(self.refused("an object")),
        }
    }

    /// The value as a list of objects.
    pub fn objects(&self, expected: &'static str) -> Result<Vec<Object<'a>>, InputError> {
        let items: Vec<&'a RawValue> = self.read(expected)?;
        let items = items.into_iter().map(|raw| {
            let item = Field {
                path: self.path.clone(),
                raw,
            };
            item.object().map_err(|_| self.refused(expected))
        });
        items.collect()
    }

    /// Whether it is a list without items, which means the same as an absent key.
    #[must_use]
    pub fn is_empty_list(&self) -> bool {
        serde_json::from_str(self.raw.get()).is_ok_and(|items: Vec<IgnoredAny>| items.is_empty())
    }

    /// Whether it is a text without characters, which in Go is what an absent key leaves.
    #[must_use]
    pub fn is_empty_text(&self) -> bool {
        self.raw.get() == "\"\""
    }

    /// The error of a value that is not what was `expected`.
    #[must_use]
    pub fn refused(&self, expected: &'static str) -> InputError {
        InputError::Value {
            key: self.path.clone(),
            found: self.found(),
            expected,
        }
    }

    /// The value for a message.
    #[must_use]
    pub fn found(&self) -> String {
        shown(self.raw.get())
    }
}

/// Fills a map that its caller keeps when the rest can't be read.
struct Filling<'f, 'a>(&'f mut BTreeMap<String, Written<'a>>);

impl<'a> DeserializeSeed<'a> for Filling<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Filling<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, raw)) = map.next_entry::<&RawValue, &RawValue>()? {
            if raw.get() != "null" {
                let key = text(key);
                self.0.insert(fold(&key), Written { key, raw });
            }
        }
        Ok(())
    }
}

/// A key as it is meant. One with half of a surrogate pair, which Go reads and Rust has no text
/// for, stays as it is written: no known key is like that.
fn text(key: &RawValue) -> String {
    serde_json::from_str(key.get()).unwrap_or_else(|_| key.get().to_owned())
}
