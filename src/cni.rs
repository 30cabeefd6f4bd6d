//! What the runtime asks, and what it is answered (CNI 0.1.0 to 1.1.0).
//!
//! From environment and stdin to a [`Call`] in which nothing is missing, and from the outcome to
//! one line of JSON. libcni and the interface plugins are written in Go and have read the same
//! configuration before: what they accept is accepted. All input may be hostile: it is bounded in
//! size and depth, it is refused with the specification's code and with what was expected, and it
//! never panics. Nothing here acts on a call.

use std::io;

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
mod stdin;
#[cfg(test)]
mod tests;
mod version;

pub use args::{Args, PodRef};
pub use call::{Add, Call, Check, Gc, Status};
pub use config::{Config, FamilyPolicy};
pub use del::Del;
pub use error::{CniError, Code};
pub use input_error::InputError;
pub use result::{CniResult, IpConfig};
pub use rscni_types::types::{ContainerId, GcAttachment, InterfaceName};
pub use rscni_types::version::SpecVersion;

/// What the plugin prints when it is started by hand.
#[must_use]
pub fn about() -> String {
    format!(
        "CNI plugin {} {}: {}.\n\
         Container runtimes run it, with CNI_COMMAND set: see the README.\n\
         CNI versions supported: {}\n",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_DESCRIPTION"),
        version::listed(),
    )
}

/// Writes an answer as one line of JSON.
pub fn print(answer: &impl Serialize, mut out: impl io::Write) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}
