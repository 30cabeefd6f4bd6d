//! What can be wrong with a call before anything is done.

use std::io;

use rscni_types::types::Cmd;
use rscni_types::version::SpecVersion;

use super::error::{CniError, Code};
use super::version::listed;

/// What is wrong with a call. Values in it are short enough to be shown.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// `CNI_COMMAND` is not a command.
    #[error("CNI_COMMAND is {0}; expected ADD, DEL, CHECK, GC, STATUS or VERSION")]
    Command(String),
    /// Variables that the command needs are not set, or empty.
    #[error("missing in the environment: {}", .0.join(", "))]
    MissingVariables(Vec<&'static str>),
    /// A variable with a value that it can't have.
    #[error("{name} is {found}; expected {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A part of `CNI_ARGS` that is no pair.
    #[error(
        "CNI_ARGS has {0}; expected pairs KEY=VALUE, with one \"=\" in each and \";\" between them"
    )]
    Pair(String),
    /// A pair of `CNI_ARGS` with a value that it can't have.
    #[error("{key} in CNI_ARGS is {found}; expected {expected}")]
    Argument {
        /// Its key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// `CNI_ARGS` has an unknown key, and no `IgnoreUnknown`.
    #[error("CNI_ARGS has {0}, which is unknown, and IgnoreUnknown is not set to 1")]
    UnknownArgument(String),
    /// `CNI_ARGS` does not name the pod.
    #[error("missing in CNI_ARGS: {}", .0.join(", "))]
    MissingArguments(Vec<&'static str>),
    /// Stdin could not be read.
    #[error("stdin is unreadable")]
    Unreadable(#[source] io::Error),
    /// Stdin is longer than any configuration.
    #[error("stdin has more than {0} bytes; no network configuration is that long")]
    TooLong(usize),
    /// A byte order mark, which is no part of JSON.
    #[error("stdin begins with a byte order mark; save the configuration as UTF-8 without one")]
    ByteOrderMark,
    /// Nothing on stdin.
    #[error("stdin is empty; expected the network configuration")]
    Empty,
    /// Stdin is no text.
    #[error("stdin is not UTF-8")]
    NotUtf8(#[source] std::str::Utf8Error),
    /// Stdin opens more brackets than a configuration has levels.
    #[error("stdin is JSON of more than {0} levels; no network configuration is that deep")]
    TooDeep(usize),
    /// Stdin is no JSON, or no object.
    #[error("stdin is not a JSON object")]
    NotJson(#[source] serde_json::Error),
    /// A version that leasehold does not speak.
    #[error("cniVersion is {0}; supported are {supported}", supported = listed())]
    Version(String),
    /// A command that the version does not have.
    #[error("cniVersion is {version}, which has no {command}", command = <&str>::from(*.command))]
    NotInVersion {
        /// The configuration's.
        version: SpecVersion,
        /// The one asked for.
        command: Cmd,
    },
    /// A value that is not what its key needs.
    #[error("{key} is {found}; expected {expected}")]
    Value {
        /// From the top of the document.
        key: String,
        /// The value as it is written.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A key that is needed and not there.
    #[error("{key} is missing; expected {expected}")]
    Missing {
        /// From the top of the document.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A key of `ipam` that leasehold does not have.
    #[error("{key} is unknown (its value is {value}); {hint}")]
    UnknownKey {
        /// From the top of the document.
        key: String,
        /// The value as it is written.
        value: String,
        /// The nearest known key, or all of them.
        hint: String,
    },
    /// The runtime asks for something that leasehold can't do and may not ignore.
    #[error("{key} is {value}, which is not supported: addresses come from pools")]
    Unsupported {
        /// From the top of the document.
        key: String,
        /// The value as it is written.
        value: String,
    },
}

impl InputError {
    /// What it means to the runtime.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Version(_) | Self::NotInVersion { .. } => Code::IncompatibleVersion,
            // "Unsupported field in network configuration. The error message must contain the key
            // and value."
            Self::UnknownKey { .. } | Self::Unsupported { .. } => Code::UnsupportedField,
            Self::Command(_)
            | Self::MissingVariables(_)
            | Self::Variable { .. }
            | Self::Pair(_)
            | Self::Argument { .. }
            | Self::UnknownArgument(_)
            | Self::MissingArguments(_) => Code::InvalidEnvironment,
            Self::Unreadable(_) => Code::Io,
            Self::Empty
            | Self::ByteOrderMark
            | Self::NotUtf8(_)
            | Self::TooDeep(_)
            | Self::NotJson(_) => Code::Decode,
            // The field is supported and its value is not: "some validation checks failed".
            Self::Value { .. } | Self::Missing { .. } | Self::TooLong(_) => Code::InvalidConfig,
        }
    }
}

impl From<InputError> for CniError {
    fn from(error: InputError) -> Self {
        Self::because(error.code(), &error)
    }
}
