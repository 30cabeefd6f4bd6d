//! Times that the schema admits and that the calendar of a reader has no room for.

use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::MicroTime;

/// The last of the days that [`Timestamp`] does not know to their end: in no zone a time may be
/// later than year 9999.
const LAST_DAYS: &str = "9999-12-3";

/// A time, or the latest that there is in place of a later one:
/// `quarantinedUntil: 9999-12-31T23:59:59Z` means for ever.
pub(super) fn clamped<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<MicroTime>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else {
        return Ok(None);
    };
    match text.parse::<Timestamp>() {
        Ok(time) => Ok(Some(MicroTime(time))),
        Err(_) if text.starts_with(LAST_DAYS) => Ok(Some(MicroTime(Timestamp::MAX))),
        Err(error) => Err(D::Error::custom(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Object {
        #[serde(default, deserialize_with = "clamped")]
        until: Option<MicroTime>,
    }

    #[test]
    fn a_time_beyond_the_calendar_is_the_last_of_it() {
        for (text, expected) in [
            (r#"{"until": "9999-12-31T23:59:59Z"}"#, Some(Timestamp::MAX)),
            (
                r#"{"until": "9999-12-30T23:00:00.000000Z"}"#,
                Some(Timestamp::MAX),
            ),
            (
                r#"{"until": "1970-01-01T00:00:00Z"}"#,
                Some(Timestamp::UNIX_EPOCH),
            ),
            (r#"{"until": null}"#, None),
            ("{}", None),
        ] {
            let object: Object = serde_json::from_str(text).expect(text);
            assert_eq!(object.until.map(|MicroTime(at)| at), expected, "{text}");
        }
        assert!(serde_json::from_str::<Object>(r#"{"until": "tomorrow"}"#).is_err());
    }
}
