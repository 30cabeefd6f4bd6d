//! What arrives on stdin: the network configuration, and no more than that.
//!
//! A runtime may leave the pipe open behind the document, so reading stops where the document ends.
//! What came in the same read is judged with it.

use std::io::{ErrorKind, Read};

use super::document::{Document, Scan};
use super::input_error::InputError;

/// More than any configuration has: Multus' largest are some kilobytes. It may be held several
/// times.
const LONGEST: usize = 1 << 20;

/// The bytes that were read, and why there are not more.
#[derive(Debug)]
pub struct Stdin {
    bytes: Vec<u8>,
    error: Option<InputError>,
}

impl Stdin {
    /// Reads to the end of the document, of the input, or to the limit.
    pub fn read(mut stdin: impl Read) -> Self {
        let mut bytes = vec![0; LONGEST + 1];
        let (mut len, mut scan) = (0, Scan::default());
        let error = loop {
            match stdin.read(&mut bytes[len..]) {
                Ok(0) => break None,
                Ok(more) => {
                    let ended = scan.ends_in(&bytes[len..len + more]);
                    len += more;
                    if len > LONGEST {
                        break Some(InputError::TooLong(LONGEST));
                    }
                    if ended {
                        break None;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Some(InputError::Unreadable(error)),
            }
        };
        bytes.truncate(len);
        Self { bytes, error }
    }

    /// Its content.
    #[must_use]
    pub fn document(&mut self) -> Document<'_> {
        Document::parse(&self.bytes, self.error.take())
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::DEEPEST;
    use super::*;

    /// Gives a byte at a time, and never an end.
    struct Open<'a>(&'a [u8]);

    impl Read for Open<'_> {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            let (first, rest) = self.0.split_first().expect("would wait for ever");
            (to[0], self.0) = (*first, rest);
            Ok(1)
        }
    }

    #[test]
    fn reading_stops_where_the_document_ends() {
        for (input, read) in [
            ("{}}", "{}"),
            (" \n{\"a\":{\"b\":[1,{}]}} {", " \n{\"a\":{\"b\":[1,{}]}}"),
            (r#"{"}":"\"}","\\":"}"}{"#, r#"{"}":"\"}","\\":"}"}"#),
            (r#"{"a":"\\\\"}x"#, r#"{"a":"\\\\"}"#),
            ("[{}]x", "[{}]"),
            ("x{}", "x"),
            ("\u{feff}{}", "\u{feff}"),
            ("\0{}", "\0"),
            ("\"{}\"", "\""),
            ("}{", "}"),
        ] {
            let stdin = Stdin::read(Open(input.as_bytes()));
            let end = read.len().min(stdin.bytes.len());
            assert_eq!(stdin.bytes, read.as_bytes()[..end], "{input}");
            assert!(stdin.error.is_none(), "{input}");
        }
        let nested = "{\"a\":".repeat(DEEPEST + 2);
        let stdin = Stdin::read(Open(nested.as_bytes()));
        assert_eq!(stdin.bytes.len(), 5 * DEEPEST + 1);
    }
}
