//! The CNI plugin: one call in, one answer out.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use leasehold::cluster::{self, Cluster};
use leasehold::cni::{self, Attach, Call, Check, Code, Config, Detach, Failure, Local, Sweep};
use leasehold::commands::{self, DEL_PATIENCE, Notes, SystemClock};
use leasehold::lease::{Clock, Patience};
use leasehold::metrics;

/// What somebody reads who runs it by hand with words that it does not know.
const USAGE: &str =
    "usage: leasehold install --to FOLDER   (a container runtime runs it without any word)";

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match words.as_slice() {
        [] => call(),
        [verb, option, folder] if verb == "install" && option == "--to" => {
            install(Path::new(folder))
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn install(folder: &Path) -> ExitCode {
    match commands::install(folder) {
        Ok(path) => {
            eprintln!(
                "leasehold {} stands in {}",
                env!("CARGO_PKG_VERSION"),
                path.display()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("leasehold: {}", cni::chain(&error));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn call() -> ExitCode {
    let clock = SystemClock::start();
    let outcome = match Call::read(|name| std::env::var_os(name), io::stdin().lock()) {
        Ok(call) => {
            let outcome = serve(&call, &clock).await;
            count(&call, &outcome, &clock);
            outcome
        }
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            // With stdout closed there is nobody left to tell.
            let _ = failure.print(io::stdout());
            ExitCode::FAILURE
        }
    }
}

/// How a call ended that has not failed.
#[derive(Clone, Copy, PartialEq)]
enum Done {
    /// All of it was done.
    Whole,
    /// Something was left to the collector.
    InPart,
}

async fn serve(call: &Call, clock: &SystemClock) -> Result<Done, Failure> {
    match call {
        Call::Del(call) => return Ok(del(call, clock).await),
        Call::About => {
            eprint!("{}", cni::about());
            Ok(())
        }
        Call::Version(versions) => told(cni::print(versions, io::stdout())),
        Call::Status(call) => status(call).map_err(|failure| failure.in_version(call.version)),
        Call::Add(call) => add(call, clock)
            .await
            .map_err(|failure| failure.in_version(call.version)),
        Call::Check(call) => check(call, clock)
            .await
            .map_err(|failure| failure.in_version(call.version)),
        Call::Gc(call) => gc(call, clock)
            .await
            .map_err(|failure| failure.in_version(call.version)),
    }
    .map(|()| Done::Whole)
}

/// Leaves the numbers of this call where the configuration wants them. A number that is missing fails no pod.
fn count(call: &Call, outcome: &Result<Done, Failure>, clock: &SystemClock) {
    let (command, config) = match call {
        Call::Add(call) => ("ADD", &call.config),
        Call::Del(call) => ("DEL", &call.config),
        Call::Check(call) => ("CHECK", &call.config),
        Call::Gc(call) => ("GC", &call.config),
        Call::Status(call) => ("STATUS", &call.config),
        Call::About | Call::Version(_) => return,
    };
    let Some(folder) = &config.metrics_dir else {
        return;
    };
    let outcome = match outcome {
        Ok(Done::Whole) => "success".to_owned(),
        Ok(Done::InPart) => "incomplete".to_owned(),
        Err(failure) => failure.code().number().to_string(),
    };
    let call = metrics::Call {
        command,
        outcome: &outcome,
        took: clock.elapsed(),
    };
    if let Err(error) = metrics::record(folder, &call) {
        let folder = folder.display();
        eprintln!("leasehold: {command}: no metrics were written to {folder}: {error}");
    }
}

async fn add(call: &Attach, clock: &SystemClock) -> Result<(), Failure> {
    let answer = commands::add(call, &world(&call.config)?, clock, &Notes::default()).await?;
    told(answer.print(call.version, io::stdout()))
}

async fn check(call: &Check, clock: &SystemClock) -> Result<(), Failure> {
    Ok(commands::check(call, &world(&call.config)?, clock).await?)
}

async fn gc(call: &Sweep, clock: &SystemClock) -> Result<(), Failure> {
    Ok(commands::gc(call, &world(&call.config)?, clock).await?)
}

/// Looks at nothing but the configuration, which was read, and the kubeconfig: runtimes ask every five seconds on
/// every node, and an API server that is away must not make all nodes unready at once.
fn status(call: &Local) -> Result<(), Failure> {
    cluster::find(call.config.kubeconfig.as_deref())
        .and_then(|path| cluster::check(&path))
        .map_err(|error| Failure::because(Code::Unavailable, &error))
}

/// A DEL that failed would keep its pod Terminating: what was in its way is said, and no error.
async fn del(call: &Detach, clock: &SystemClock) -> Done {
    let said = match Cluster::of(&call.config, Patience::until(DEL_PATIENCE)) {
        Ok(world) => commands::del(call, &world, clock, &Notes::default()).await,
        Err(error) => vec![format!(
            "nothing was released, the collector will do it: {error}"
        )],
    };
    for remark in call.remarks.iter().chain(&said) {
        eprintln!("leasehold: DEL: {}", cni::one_line(remark));
    }
    if said.is_empty() {
        Done::Whole
    } else {
        Done::InPart
    }
}

fn world(config: &Config) -> Result<Cluster, Failure> {
    Ok(Cluster::of(config, Patience::until(config.timeout))?)
}

fn told(written: io::Result<()>) -> Result<(), Failure> {
    written.map_err(|error| {
        Failure::new(Code::Io, "stdout could not be written").with_details(error.to_string())
    })
}
