//! What must hold whatever anybody writes, as functions of bytes: a body panics where it does not hold.
//!
//! Each body is a target of `cargo fuzz` (`fuzz_targets/`), and a property test that runs with all others (`tests/`).
//! Nothing here is asked of an API server: it is what leasehold reads from runtimes and people that is fuzzed.
//!
//! The fuzzer takes a nightly compiler and a C++ compiler. `-D`, since optimizing at link time takes it minutes a target:
//!
//! ```console
//! $ cargo install cargo-fuzz
//! $ cargo +nightly fuzz run -D stdin
//! ```
//!
//! What it finds is run again without it:
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

/// Runs a body on the files that the command line names: a finding of the fuzzer, without the fuzzer.
pub fn again(body: fn(&[u8])) -> io::Result<()> {
    for file in std::env::args_os().skip(1) {
        body(&std::fs::read(file)?);
    }
    Ok(())
}
