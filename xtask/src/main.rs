//! The loops of leasehold's development, as `cargo xtask VERB`.

mod image;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds and packages leasehold.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// A verb per loop, in a module of its name.
#[derive(Subcommand)]
enum Verb {
    /// Write the container image as an OCI archive.
    Image(image::Options),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().verb {
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
