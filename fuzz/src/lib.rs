//! What must hold for any input, as functions of bytes: a body panics where it does not hold.
//!
//! Each body is a target of `cargo fuzz` (`fuzz_targets/`), and a property test that runs with all
//! others (`tests/`). No API server is needed: the input is what leasehold reads from runtimes and
//! people.
//!
//! The fuzzer needs a nightly compiler and a C++ compiler. `-D`, because link-time optimization
//! takes minutes for each target:
//!
//! ```console
//! $ cargo install cargo-fuzz
//! $ cargo +nightly fuzz run -D stdin
//! ```
//!
//! To repeat a finding without the fuzzer:
//!
//! ```console
//! $ cargo run -p leasehold-fuzz --bin stdin -- fuzz/artifacts/stdin/crash-…
//! ```

#![expect(
    clippy::missing_panics_doc,
    reason = "how a body says that it does not hold"
)]

use std::io;

mod call;
mod ranges;

pub use call::{cni_args, stdin};
pub use ranges::ranges;

/// Runs a body on the files that the command line names, such as a finding of the fuzzer.
pub fn again(body: fn(&[u8])) -> io::Result<()> {
    for file in std::env::args_os().skip(1) {
        body(&std::fs::read(file)?);
    }
    Ok(())
}
