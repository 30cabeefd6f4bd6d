//! JSON objects whose values are still as they were written.
//!
//! Each value is read when somebody asks for it and as the type that is expected there. So a key that nobody
//! asks for can hold what it likes, a value of the wrong type can be shown, and one bad value leaves the
//! others readable: DEL lives by that.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::input_error::InputError;
use crate::text::shown;

/// The keys of a JSON object and what is written behind them; of a key given twice, the latter, as in Go.
#[derive(Debug, Default)]
pub struct Object<'a> {
    path: String,
    fields: BTreeMap<String, &'a RawValue>,
}

/// One value, and where it stands.
#[derive(Debug)]
pub struct Field<'a> {
    /// From the top of the document: `ipam.vrf`.
    pub path: String,
    raw: &'a RawValue,
}

impl<'a> Object<'a> {
    /// Reads a whole document. What stands before the first mistake is in the object, and the mistake beside it.
    #[must_use]
    pub fn document(json: &'a [u8]) -> (Self, Option<serde_json::Error>) {
        let mut object = Self::default();
        let mut reader = serde_json::Deserializer::from_slice(json);
        let outcome = Filling(&mut object.fields)
            .deserialize(&mut reader)
            .and_then(|()| reader.end());
        (object, outcome.err())
    }

    /// The value of `key`; `null` is none, as in Go.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Field<'a>> {
        let raw = self.fields.get(key)?;
        (raw.get() != "null").then(|| self.field(key, raw))
    }

    /// All values that are not `null`, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Field<'a>)> {
        self.fields
            .iter()
            .filter(|(_, raw)| raw.get() != "null")
            .map(|(key, raw)| (key.as_str(), self.field(key, raw)))
    }

    fn field(&self, key: &str, raw: &'a RawValue) -> Field<'a> {
        let path = match self.path.as_str() {
            "" => key.to_owned(),
            above => format!("{above}.{key}"),
        };
        Field {
            path: shown(&path),
            raw,
        }
    }
}

impl<'a> Field<'a> {
    /// The value as a `T`, else a fault that says what was found and what was `expected`.
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

    /// Whether it is a list without items.
    #[must_use]
    pub fn is_empty_list(&self) -> bool {
        serde_json::from_str(self.raw.get()).is_ok_and(|items: Vec<IgnoredAny>| items.is_empty())
    }

    /// The fault of a value that is not what was `expected`.
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
struct Filling<'f, 'a>(&'f mut BTreeMap<String, &'a RawValue>);

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
        while let Some((key, raw)) = map.next_entry()? {
            self.0.insert(key, raw);
        }
        Ok(())
    }
}
