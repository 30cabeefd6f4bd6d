//! The loops of leasehold's development, as `cargo xtask VERB`.

mod image;
mod loops;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks, tests and packages leasehold.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What can be run; the modules have the steps.
#[derive(Subcommand)]
enum Verb {
    /// Check format, spelling, lints, docs, unit tests and manifests: everything that needs no API
    /// server.
    Check,
    /// Run the tests with this name, in every package.
    Test(loops::Filter),
    /// Write the container image as an OCI archive.
    Image(image::Options),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().verb {
        Verb::Check => loops::check(),
        Verb::Test(filter) => loops::test(&filter),
        Verb::Image(options) => image::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
