//! A list cut into its objects as it arrives, so that no more of it is held than one object.
//!
//! Sure of where an object ends, and that the list came to its end. What an object says, and
//! whether it can be read, is for the caller.

use serde::Deserialize;
use serde_json::Result;

/// A list of which a part has arrived.
#[derive(Default)]
pub(super) struct ListSplitter {
    /// How many brackets are open.
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// Whether an array of the list itself is open: no list has another one than `items`.
    in_items: bool,
    /// What is known of the object that has begun.
    object: Vec<u8>,
    /// The list without its objects.
    frame: Vec<u8>,
}

/// A list without its objects.
#[derive(Deserialize)]
struct ListFrame {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(rename = "items")]
    _items: [(); 0],
}

#[derive(Deserialize, Default)]
struct ListMetadata {
    #[serde(rename = "continue")]
    next: Option<String>,
}

impl ListSplitter {
    /// Takes what arrived; `found` gets each object that is complete with it.
    pub fn push(&mut self, bytes: &[u8], mut found: impl FnMut(&[u8])) {
        let mut begin = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if self.in_string {
                self.in_string = self.is_escaped || *byte != b'"';
                self.is_escaped = !self.is_escaped && *byte == b'\\';
                continue;
            }
            let between_objects = self.in_items && self.depth == 2;
            match byte {
                b'"' => self.in_string = true,
                b'[' if self.depth == 1 => {
                    self.depth = 2;
                    self.in_items = true;
                    self.frame.extend(&bytes[begin..=at]);
                    begin = at + 1;
                }
                b',' if between_objects => {
                    self.complete(&bytes[begin..at], &mut found);
                    begin = at + 1;
                }
                b']' if between_objects => {
                    self.complete(&bytes[begin..at], &mut found);
                    self.depth = 1;
                    self.in_items = false;
                    begin = at;
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        let part = if self.in_items {
            &mut self.object
        } else {
            &mut self.frame
        };
        part.extend(&bytes[begin..]);
    }

    fn complete(&mut self, end: &[u8], found: &mut impl FnMut(&[u8])) {
        if self.object.is_empty() {
            return found_in(end, found);
        }
        self.object.extend(end);
        found_in(&self.object, found);
        self.object.clear();
    }

    /// The token of the next page; an error if this is not a whole list.
    pub fn end(self) -> Result<Option<String>> {
        let frame: ListFrame = serde_json::from_slice(&self.frame)?;
        Ok(frame.metadata.next.filter(|next| !next.is_empty()))
    }
}

/// Between the brackets of an empty list there is no object.
fn found_in(between: &[u8], found: &mut impl FnMut(&[u8])) {
    if !between.trim_ascii().is_empty() {
        found(between);
    }
}

#[cfg(test)]
mod tests;
