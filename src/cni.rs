//! What the runtime says, and what it is told (CNI 0.3.0 to 1.1.0).
//!
//! From environment and stdin to a [`Call`] in which nothing is missing, and from the outcome to one line of
//! JSON. Everything that comes in may be hostile: it is bounded in size and depth, it is refused with the
//! specification's code and with what was expected, and it never panics. Nothing here does anything about a call.

use std::io;

use rscni_types::version::PluginInfo;
use serde::Serialize;

mod addresses;
mod args;
mod call;
mod config;
mod del;
mod document;
mod environment;
mod error;
mod input_error;
mod json;
mod result;
#[cfg(test)]
mod tests;

pub use args::{Args, PodRef};
pub use call::{Add, Call, Check, Gc, Status};
pub use config::{Config, FamilyPolicy};
pub use del::Del;
pub use document::Document;
pub use error::{CniError, Code};
pub use input_error::InputError;
pub use result::{CniResult, IpConfig, Route};
pub use rscni_types::types::{ContainerId, GcAttachment, InterfaceName};
pub use rscni_types::version::SpecVersion;

/// What somebody reads who starts the plugin by hand.
#[must_use]
pub fn about() -> String {
    let versions: Vec<String> = PluginInfo::default()
        .supported_versions()
        .iter()
        .map(ToString::to_string)
        .collect();
    format!(
        "CNI plugin {} {}: {}.\n\
         A container runtime runs it, with CNI_COMMAND set: see the README.\n\
         CNI versions supported: {}\n",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_DESCRIPTION"),
        versions.join(", "),
    )
}

/// Writes an answer as one line of JSON.
pub fn print(answer: &impl Serialize, mut out: impl io::Write) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}
