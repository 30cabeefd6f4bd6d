//! The CNI plugin: one call in, one answer out.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use leasehold::cni::{self, Add, Call, Check, CniError, Code, Config, Del, Gc, Status};
use leasehold::host::{self, SystemClock};
use leasehold::kube_client::{self, KubeClient};
use leasehold::lease::{Clock, Deadline};
use leasehold::metrics;
use leasehold::plugin::{self, DEL_PATIENCE, ReleaseCache};
use tokio::runtime::Builder;

/// What somebody reads who runs it by hand.
const USAGE: &str =
    "usage: leasehold install --to FOLDER   (a container runtime runs it without any word)";

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match words.as_slice() {
        [] => call(),
        [verb, option, folder] if verb == "install" && option == "--to" => {
            install(Path::new(folder))
        }
        [word] if word == "--version" || word == "-V" => {
            say(&format!("leasehold {}", env!("CARGO_PKG_VERSION")))
        }
        [word] if word == "--help" || word == "-h" => say(&format!("{}{USAGE}", cni::about())),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn say(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn install(folder: &Path) -> ExitCode {
    match host::install(folder) {
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

fn call() -> ExitCode {
    let clock = SystemClock::start();
    let call = Call::read(|name| std::env::var_os(name), io::stdin().lock());
    let outcome = match &call {
        Ok(call) => run(serve(call, &clock)),
        Err(failure) => Err(failure.clone()),
    };
    if let Err(failure) = &outcome {
        // With stdout closed there is nobody left to tell.
        let _ = failure.print(io::stdout());
    }
    // The answer is out by now: a number that hangs takes it away from nobody.
    if let Ok(call) = &call {
        count(call, &outcome, clock.elapsed());
    }
    outcome.map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS)
}

/// Runs a call to its end, and not to that of what it may leave behind: a name server or an exec plugin that hangs.
fn run<T>(call: impl Future<Output = Result<T, CniError>>) -> Result<T, CniError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        CniError::new(Code::TryAgainLater, "the process has no room to run")
            .with_details(error.to_string())
    })?;
    let outcome = runtime.block_on(call);
    runtime.shutdown_background();
    outcome
}

/// Leaves a number on the node, if somebody wants it: a call does not fail for it.
fn count(call: &Call, outcome: &Result<Done, CniError>, took: Duration) {
    let Some((command, config)) = call.with_config() else {
        return;
    };
    let Some(folder) = &config.metrics_dir else {
        return;
    };
    let outcome = match outcome {
        Ok(Done::Whole) => "ok",
        Ok(Done::InPart) => "incomplete",
        Err(failure) => failure.code().name(),
    };
    let call = metrics::Call {
        command,
        outcome,
        took,
    };
    if let Err(error) = metrics::record(folder, &call) {
        eprintln!(
            "leasehold: {command}: not counted in {}: {}",
            cni::shown(&folder.display().to_string()),
            cni::chain(&error)
        );
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

async fn serve(call: &Call, clock: &SystemClock) -> Result<Done, CniError> {
    match call {
        Call::Del(call) => return Ok(del(call, clock).await),
        Call::NoCommand => {
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

async fn add(call: &Add, clock: &SystemClock) -> Result<(), CniError> {
    let (world, notes) = (world(&call.config)?, ReleaseCache::default());
    // Of all that it awaits it has much at hand: some 20 KB.
    let answer = Box::pin(plugin::add(call, &world, clock, &notes)).await?;
    told(answer.print(call.version, io::stdout()))
}

async fn check(call: &Check, clock: &SystemClock) -> Result<(), CniError> {
    Ok(plugin::check(call, &world(&call.config)?, clock).await?)
}

async fn gc(call: &Gc, clock: &SystemClock) -> Result<(), CniError> {
    Ok(plugin::gc(call, &world(&call.config)?, clock).await?)
}

/// Looks at nothing but the configuration, which was read, and the kubeconfig: runtimes ask every five seconds on
/// every node, and an API server that is away must not make all nodes unready at once.
fn status(call: &Status) -> Result<(), CniError> {
    kube_client::find(call.config.kubeconfig.as_deref())
        .and_then(|path| kube_client::check(&path))
        .map_err(|error| CniError::because(Code::Unavailable, &error))
}

/// A DEL that failed would keep its pod Terminating: what was in its way is said, and no error.
async fn del(call: &Del, clock: &SystemClock) -> Done {
    let said = match KubeClient::of(&call.config, Deadline::until(DEL_PATIENCE)) {
        Ok(world) => plugin::del(call, &world, clock, &ReleaseCache::default()).await,
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

fn world(config: &Config) -> Result<KubeClient, CniError> {
    Ok(KubeClient::of(config, Deadline::until(config.timeout))?)
}

fn told(written: io::Result<()>) -> Result<(), CniError> {
    written.map_err(|error| {
        CniError::new(Code::Io, "stdout could not be written").with_details(error.to_string())
    })
}
