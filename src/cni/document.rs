//! The network configuration of the interface plugin, which the runtime and that plugin pass on whole.
//!
//! Only the keys that concern an IPAM plugin are looked at, so that an oddity of another plugin's key is that
//! plugin's business.

use std::io::Read;

use rscni_types::types::{Cmd, GcAttachment};
use rscni_types::version::{PluginInfo, SpecVersion};

use super::input_error::InputError;
use super::json::Object;

/// More than any configuration has: Multus' largest are some kilobytes. All of it may be held several times over.
const LONGEST: u64 = 1 << 20;

/// As deep as Rust's JSON readers follow anybody; a configuration has some ten levels.
const DEEPEST: usize = 128;

/// What came in on stdin, and what was wrong with that.
#[derive(Debug)]
pub struct Stdin {
    bytes: Vec<u8>,
    fault: Option<InputError>,
}

impl Stdin {
    /// Reads to the end, or to the limit.
    pub fn read(stdin: impl Read) -> Self {
        let mut bytes = Vec::new();
        let fault = match stdin.take(LONGEST + 1).read_to_end(&mut bytes) {
            Err(error) => Some(InputError::InvalidReservedIP(error)),
            Ok(_) if bytes.len() as u64 > LONGEST => Some(InputError::TooLong(LONGEST)),
            Ok(_) => None,
        };
        Self { bytes, fault }
    }

    /// What it says.
    #[must_use]
    pub fn document(&mut self) -> Document<'_> {
        let fault = self.fault.take();
        let Document {
            object,
            fault: in_text,
        } = Document::parse(&self.bytes);
        Document {
            object,
            fault: fault.or(in_text),
        }
    }
}

/// A network configuration, possibly cut off where it stopped to be one.
#[derive(Debug, Default)]
pub struct Document<'a> {
    object: Object<'a>,
    fault: Option<InputError>,
}

impl<'a> Document<'a> {
    /// Reads any bytes.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Self {
        let (object, mistake) = Object::document(bytes);
        let fault = if bytes.trim_ascii().is_empty() {
            Some(InputError::Empty)
        } else if let Err(error) = std::str::from_utf8(bytes) {
            Some(InputError::NotUtf8(error))
        } else if is_deeper_than(DEEPEST, bytes) {
            Some(InputError::TooDeep(DEEPEST))
        } else {
            mistake.map(InputError::NotJson)
        };
        Self { object, fault }
    }

    /// The version of the configuration, if leasehold speaks it.
    pub fn version(&self) -> Result<SpecVersion, InputError> {
        let declared = self.declared_version()?.ok_or(InputError::NoVersion)?;
        PluginInfo::default()
            .supported_versions()
            .iter()
            .copied()
            // By the exact text, as libcni does: "1.0" is not "1.0.0".
            .find(|version| version.to_string() == declared)
            .ok_or_else(|| InputError::Version(crate::text::shown(&format!("{declared:?}"))))
    }

    /// The version that an answer to `VERSION` repeats.
    #[must_use]
    pub fn echoed_version(&self) -> SpecVersion {
        let declared = self.declared_version().ok().flatten().unwrap_or_default();
        declared
            .parse()
            .ok()
            .filter(|version: &SpecVersion| version.to_string() == declared)
            .unwrap_or_default()
    }

    /// The configuration, if it is one from end to end and of a version that has `command`.
    pub fn whole(self, command: Cmd) -> Result<(SpecVersion, Object<'a>), InputError> {
        let version = self.version();
        if let Some(fault) = self.fault {
            return Err(fault);
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
        (self.object, self.fault)
    }

    fn declared_version(&self) -> Result<Option<String>, InputError> {
        let Some(field) = self.object.get("cniVersion") else {
            return Ok(None);
        };
        let text: String = field.read("a version in quotes")?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
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
    document
        .get(KEY)
        // The name in the first text of 1.1.0, and all that some runtimes send (containernetworking/cni#1101).
        .or_else(|| document.get("cni.dev/attachments"))
        .ok_or(InputError::Missing {
            key: KEY,
            expected: "a list, [] if nothing is attached (a list that is absent is not taken for an empty one)",
        })?
        .read("a list of objects with containerID and ifname")
}

/// Whether brackets are nested deeper than `limit`.
fn is_deeper_than(limit: usize, json: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}
