//! How a failed call is reported: one JSON object, and the codes in it.
//!
//! This module is sure of the form only: the codes are those of the specification and ours, and
//! neither text breaks the line. Which code a failure has is decided where it is understood.

use std::error::Error;
use std::io;

use rscni_types::types::ErrorResult;
use rscni_types::version::SpecVersion;

use crate::text::{chain, one_line};

/// What a failure means to the runtime (CNI specification, "Error"; ours from 100 on).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Code {
    /// The configuration's `cniVersion` is not supported, or does not know the command.
    IncompatibleVersion = 1,
    /// The configuration has a key that leasehold does not know; the message has key and value.
    UnsupportedField = 2,
    /// The container is unknown: the runtime need not clean up.
    UnknownContainer = 3,
    /// An environment variable is missing or malformed; the message names it.
    InvalidEnvironment = 4,
    /// Stdin could not be read, or stdout could not be written.
    Io = 5,
    /// Stdin is not JSON.
    Decode = 6,
    /// The configuration is JSON and invalid.
    InvalidConfig = 7,
    /// The network namespace is not usable (not in the specification's table; the Go library has
    /// it).
    InvalidNetns = 8,
    /// A temporary failure lasted until the deadline.
    TryAgainLater = 11,
    /// STATUS: an ADD would not be served.
    Unavailable = 50,
    /// STATUS: an ADD would not be served, and attached containers may be cut off.
    UnavailableLimited = 51,
    /// Every pool that the pod may use is full.
    Exhausted = 100,
    /// No pool fits the pod.
    NoPool = 101,
    /// The requested address is in no pool of the pod, or is held.
    AddressUnavailable = 102,
    /// The pod is gone, being deleted, finished, or has another UID than the call.
    PodUnfit = 103,
    /// The sandbox was removed while the call ran: the call is late.
    SandboxGone = 104,
    /// CHECK: this container and interface do not hold an address of the result.
    NotHeld = 105,
    /// The API server rejects the credentials, or forbids the request (401, 403).
    Denied = 106,
    /// The API server does not know leasehold's kinds.
    NotInstalled = 107,
    /// GC: some leases could not be released.
    GcIncomplete = 108,
}

impl Code {
    /// As in the error object.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }

    /// As in the label of a metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::IncompatibleVersion => "incompatible_version",
            Self::UnsupportedField => "unsupported_field",
            Self::UnknownContainer => "unknown_container",
            Self::InvalidEnvironment => "invalid_environment",
            Self::Io => "io",
            Self::Decode => "decode",
            Self::InvalidConfig => "invalid_config",
            Self::InvalidNetns => "invalid_netns",
            Self::TryAgainLater => "try_again_later",
            Self::Unavailable => "unavailable",
            Self::UnavailableLimited => "unavailable_limited",
            Self::Exhausted => "exhausted",
            Self::NoPool => "no_pool",
            Self::AddressUnavailable => "address_unavailable",
            Self::PodUnfit => "pod_unfit",
            Self::SandboxGone => "sandbox_gone",
            Self::NotHeld => "not_held",
            Self::Denied => "denied",
            Self::NotInstalled => "not_installed",
            Self::GcIncomplete => "gc_incomplete",
        }
    }
}

/// A failed call, as it is reported to the runtime.
///
/// libcni joins both texts with `"; "`, and the kubelet shows that as an event of the pod.
///
/// # Invariants
///
/// Neither text has a control character: line breaks are written as `\n`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CniError {
    version: SpecVersion,
    code: Code,
    msg: String,
    details: String,
}

impl CniError {
    /// A failure in a few words, in the newest version unless [`in_version`](Self::in_version) sets
    /// another.
    #[must_use]
    pub fn new(code: Code, msg: impl AsRef<str>) -> Self {
        Self {
            version: SpecVersion::CURRENT,
            code,
            msg: one_line(msg.as_ref()),
            details: String::new(),
        }
    }

    /// A failure with the error's own text as `msg` and its causes as `details`.
    #[must_use]
    pub fn because(code: Code, error: &dyn Error) -> Self {
        Self::new(code, error.to_string())
            .with_details(error.source().map(chain).unwrap_or_default())
    }

    /// The same with `details`.
    #[must_use]
    pub fn with_details(self, details: impl AsRef<str>) -> Self {
        Self {
            details: one_line(details.as_ref()),
            ..self
        }
    }

    /// The same in the version of the configuration.
    #[must_use]
    pub fn in_version(self, version: SpecVersion) -> Self {
        Self { version, ..self }
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What went wrong.
    #[must_use]
    pub fn msg(&self) -> &str {
        &self.msg
    }

    /// Why.
    #[must_use]
    pub fn details(&self) -> &str {
        &self.details
    }

    /// Writes the error object as one line.
    pub fn print(&self, out: impl io::Write) -> io::Result<()> {
        let error = rscni_types::error::Error::Custom(
            self.code.number(),
            self.msg.clone(),
            self.details.clone(),
        );
        super::print(&ErrorResult::new(self.version, &error), out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(failure: &CniError) -> String {
        let mut out = Vec::new();
        failure.print(&mut out).expect("memory");
        String::from_utf8(out).expect("a text")
    }

    #[test]
    fn a_failure_is_one_line_whatever_is_in_it() {
        let failure = CniError::new(Code::Exhausted, "no\nfree \u{1b}[31maddress\u{2028}")
            .with_details("pool \"a\":\r\n10 of 10")
            .in_version(SpecVersion::new(0, 4, 0));
        insta::assert_snapshot!(printed(&failure), @r#"{"cniVersion":"0.4.0","code":100,"msg":"no\\nfree \\u{1b}[31maddress\\u{2028}","details":"pool \"a\":\\r\\n10 of 10"}"#);
        assert_eq!(failure.msg(), r"no\nfree \u{1b}[31maddress\u{2028}");
    }

    #[test]
    fn the_causes_of_an_error_are_its_details() {
        #[derive(Debug, thiserror::Error)]
        #[error("the leases are out of reach")]
        struct Outer(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("connecting to 10.0.0.1:6443")]
        struct Inner(#[source] io::Error);
        let error = Outer(Inner(io::ErrorKind::ConnectionRefused.into()));
        insta::assert_snapshot!(printed(&CniError::because(Code::TryAgainLater, &error)), @r#"{"cniVersion":"1.1.0","code":11,"msg":"the leases are out of reach","details":"connecting to 10.0.0.1:6443: connection refused"}"#);
    }
}
