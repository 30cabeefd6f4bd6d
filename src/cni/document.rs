//! The network configuration of the interface plugin, which the runtime and that plugin pass on
//! whole.
//!
//! Only the keys that concern an IPAM plugin are read, so an oddity in another plugin's key is left
//! to that plugin.

use rscni_types::types::{Cmd, GcAttachment};
use rscni_types::version::SpecVersion;

use super::input_error::InputError;
use super::json::Object;
use super::version::SUPPORTED;

/// As deep as Rust's JSON readers follow anything; a configuration has some ten levels.
pub(super) const DEEPEST: usize = 128;

/// A network configuration, possibly cut off where it stopped to be one.
#[derive(Debug, Default)]
pub struct Document<'a> {
    object: Object<'a>,
    error: Option<InputError>,
}

impl<'a> Document<'a> {
    /// Reads any bytes; `error` is what was wrong before.
    #[must_use]
    pub fn parse(bytes: &'a [u8], error: Option<InputError>) -> Self {
        let (object, mistake) = Object::document(bytes);
        let in_text = || {
            if bytes.trim_ascii().is_empty() {
                Some(InputError::Empty)
            } else if bytes.starts_with(b"\xef\xbb\xbf") {
                Some(InputError::ByteOrderMark)
            } else if let Err(error) = std::str::from_utf8(bytes) {
                Some(InputError::NotUtf8(error))
            } else if is_too_deep(bytes) {
                Some(InputError::TooDeep(DEEPEST))
            } else {
                mistake.map(InputError::NotJson)
            }
        };
        Self {
            object,
            error: error.or_else(in_text),
        }
    }

    /// The version of the configuration, if leasehold speaks it. None means the first one, but in a
    /// document that broke off before it.
    pub fn version(&self) -> Result<SpecVersion, InputError> {
        let Some(declared) = self.declared_version()? else {
            return Ok(match self.error {
                None => SUPPORTED[0],
                Some(_) => SpecVersion::default(),
            });
        };
        supported(&declared)
            .ok_or_else(|| InputError::Version(crate::text::shown(&format!("{declared:?}"))))
    }

    /// The version that an answer to `VERSION` repeats.
    #[must_use]
    pub fn echoed_version(&self) -> SpecVersion {
        let declared = self.declared_version().ok().flatten();
        declared
            .and_then(|declared| supported(&declared))
            .unwrap_or_default()
    }

    /// The configuration, if it is one from end to end and of a version that has `command`.
    pub fn whole(self, command: Cmd) -> Result<(SpecVersion, Object<'a>), InputError> {
        let version = self.version();
        if let Some(error) = self.error {
            return Err(error);
        }
        let version = version?;
        version
            .allows(command)
            .map_err(|_| InputError::NotInVersion { version, command })?;
        Ok((version, self.object))
    }

    /// What can be read of it, and what is wrong with the rest.
    #[must_use]
    pub fn salvaged(self) -> (Object<'a>, Option<InputError>) {
        (self.object, self.error)
    }

    fn declared_version(&self) -> Result<Option<String>, InputError> {
        let Some(field) = self.object.get("cniVersion") else {
            return Ok(None);
        };
        let text: String = field.read("a version in quotes")?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

/// By the exact text, as libcni does: "1.0" is not "1.0.0".
fn supported(declared: &str) -> Option<SpecVersion> {
    SUPPORTED
        .into_iter()
        .find(|version| version.to_string() == declared)
}

/// The network's name.
pub(super) fn network(document: &Object<'_>) -> Result<String, InputError> {
    const EXPECTED: &str = "a network's name: at most 253 of a-z, A-Z, 0-9, \"_\", \".\" and \"-\", the first a letter or digit";
    let field = document.get("name").ok_or(InputError::Missing {
        key: "name",
        expected: EXPECTED,
    })?;
    let name: String = field.read(EXPECTED)?;
    let fits = name.len() <= 253
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if fits {
        Ok(name)
    } else {
        Err(field.refused(EXPECTED))
    }
}

/// The `ipam` object.
pub(super) fn ipam<'a>(document: &Object<'a>) -> Result<Object<'a>, InputError> {
    document
        .get("ipam")
        .ok_or(InputError::Missing {
            key: "ipam",
            expected: "leasehold's configuration",
        })?
        .object()
}

/// The attachments that GC is to leave alone.
pub(super) fn valid_attachments(document: &Object<'_>) -> Result<Vec<GcAttachment>, InputError> {
    const KEY: &str = "cni.dev/valid-attachments";
    const ATTACHMENTS: &str = "a list of objects with containerID and ifname";
    let field = document
        .get(KEY)
        // The name in the first text of 1.1.0, and all that some runtimes send
        // (containernetworking/cni#1101).
        .or_else(|| document.get("cni.dev/attachments"))
        .ok_or(InputError::Missing {
            key: KEY,
            expected: "a list, [] if nothing is attached (a list that is absent is not taken for an empty one)",
        })?;
    field
        .objects(ATTACHMENTS)?
        .iter()
        .map(|attachment| {
            let text = |key| attachment.get(key)?.read(ATTACHMENTS).ok();
            Some(GcAttachment {
                container_id: text("containerID")?,
                ifname: text("ifname")?,
            })
        })
        .collect::<Option<_>>()
        .ok_or_else(|| field.refused(ATTACHMENTS))
}

/// Whether brackets are nested deeper than [`DEEPEST`].
fn is_too_deep(bytes: &[u8]) -> bool {
    let mut scan = Scan::default();
    bytes.iter().any(|byte| {
        scan.ends_at(*byte);
        scan.depth > DEEPEST
    })
}

/// How far into the document the bytes have come.
#[derive(Default)]
pub(super) struct Scan {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Scan {
    /// Whether the document ends in `bytes`, the next ones: by its closing brace, or because what
    /// is there can't become one.
    pub(super) fn ends_in(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| self.ends_at(*byte))
    }

    fn ends_at(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' if self.depth > 0 => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            byte if self.depth == 0 => return !byte.is_ascii_whitespace(),
            _ => return false,
        }
        !self.in_text && !self.escaped && self.depth == 0 || self.depth > DEEPEST
    }
}
