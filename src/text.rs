//! Text for people: one line, no longer than there is room for.
//!
//! Every text from outside that a message shows goes through here, so there is one way to truncate
//! a text and one way to print an error with its causes.

use std::error::Error;
use std::fmt::Write as _;

/// How much of an event's message Kubernetes stores, in bytes (`k8s.io/api/events`, `Event.note`).
pub const EVENT_BYTES: usize = 1024;

/// What kubelet, the runtime and the plugin that runs us write in front of an error of ours, in
/// bytes: the sandbox's id, the pod's name, and what each of them calls the step that failed.
const PREFIX_BYTES: usize = 284;

/// What an event has room for of an error's message and details together, in bytes.
pub const ERROR_BYTES: usize = EVENT_BYTES - PREFIX_BYTES;

/// How much of a name a sentence shows: as much as the longest DNS label. A Kubernetes name may have
/// four.
const NAME_BYTES: usize = 63;

/// A value from outside: longer than any name, address or path that people write by hand.
const VALUE_CHARS: usize = 120;

/// An error and its causes as one text: `a: b: c`. A cause that its effect ends with is not
/// repeated.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            // Writing to a String does not fail.
            let _ = write!(text, ": {message}");
        }
        cause = error.source();
    }
    text
}

/// A number of things: `1 lease`, `2 addresses`.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    let plural = match (count, noun.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{count} {noun}{plural}")
}

/// `text` without characters that break a line or move a terminal's cursor.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            line.extend(c.escape_debug());
        } else {
            line.push(c);
        }
    }
    line
}

/// At most `bytes` of `text`, cut between two characters and marked where something is missing.
#[must_use]
pub fn truncated(text: &str, bytes: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub(MARK.len()));
    format!("{}{MARK}", &text[..end])
}

/// A name as a part of a sentence.
#[must_use]
pub fn brief(name: &str) -> String {
    truncated(name, NAME_BYTES)
}

/// Both ends of a text that quotes a value which may be long: the end has what was expected.
#[must_use]
pub fn both_ends(text: &str) -> String {
    const KEPT: usize = 80;
    if text.len() <= 2 * KEPT + 20 {
        return text.to_owned();
    }
    let head = text.ceil_char_boundary(KEPT);
    let tail = text.ceil_char_boundary(text.len() - KEPT);
    format!("{}…{}", &text[..head], &text[tail..])
}

/// The first few of a list, and how many more there are: `a, b, c and 9 more`.
#[must_use]
pub fn first_few<T: AsRef<str>>(items: &[T]) -> String {
    const SHOWN: usize = 3;
    let first: Vec<&str> = items.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match items.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// A value from outside as a message shows it: in one line, and with its size if it is too long.
#[must_use]
pub fn shown(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS) {
        None => one_line(value),
        Some((end, _)) => format!("{}… ({} bytes)", one_line(&value[..end]), value.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_cause_that_its_effect_ends_with_is_not_repeated() {
        #[derive(Debug, thiserror::Error)]
        #[error("connecting to 10.0.0.1:6443: {0}")]
        struct Talkative(#[source] io::Error);
        let error = Talkative(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(
            chain(&error),
            "connecting to 10.0.0.1:6443: connection refused"
        );
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(shown("short\n"), r"short\n");
        assert_eq!(shown(&"ä".repeat(120)), "ä".repeat(120));
        assert_eq!(
            shown(&"ä".repeat(121)),
            format!("{}… (242 bytes)", "ä".repeat(120))
        );
    }

    #[test]
    fn a_list_is_shown_by_its_first_three() {
        assert_eq!(first_few(&["a", "b", "c"]), "a, b, c");
        assert_eq!(first_few(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
    }

    #[test]
    fn a_text_is_cut_to_a_number_of_bytes_its_mark_included() {
        assert_eq!(truncated("ääää", 8), "ääää");
        assert_eq!(truncated("ääää", 7), "ää…");
        assert_eq!(truncated("ääää", 6), "ä…");
        assert_eq!(truncated("abc", 0), "…");
    }
}
