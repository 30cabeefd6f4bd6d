//! The CNI plugin: one call in, one answer out.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use leasehold::cni::{self, Call, CniError, Code};
use leasehold::host::{self, SystemClock};
use leasehold::kube_client::NodeCredentials;
use leasehold::metrics;
use leasehold::plugin::{self, Answer};
use leasehold::retry::Clock;
use leasehold::text::{chain, shown};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: leasehold install --to FOLDER
       leasehold pause    (sleeps until SIGTERM or SIGINT, to keep a container running)
Container runtimes run it without arguments.";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [] => call(),
        [verb, option, folder] if verb == "install" && option == "--to" => {
            install(Path::new(folder))
        }
        [verb] if verb == "pause" => pause(),
        [word] if word == "--version" || word == "-V" => {
            print(&format!("leasehold {}", env!("CARGO_PKG_VERSION")))
        }
        [word] if word == "--help" || word == "-h" => print(&format!("{}{USAGE}", cni::about())),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn print(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn install(folder: &Path) -> ExitCode {
    match host::install(folder) {
        Ok(path) => {
            let version = env!("CARGO_PKG_VERSION");
            eprintln!("leasehold {version} is installed as {}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("leasehold: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Sleeps until SIGTERM or SIGINT, which the first process of a container has to ask for.
fn pause() -> ExitCode {
    let signaled = async {
        let mut terminated = signal(SignalKind::terminate())?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        Ok(())
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(signaled)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leasehold: cannot wait for signals: {error}");
            ExitCode::FAILURE
        }
    }
}

fn call() -> ExitCode {
    let clock = SystemClock::start();
    let call = Call::read(|name| std::env::var_os(name), stdin());
    let outcome = match &call {
        Ok(call) => answer(call, &clock),
        Err(error) => Err(error.clone()),
    };
    if let Err(error) = &outcome {
        // With stdout closed the runtime has the exit code.
        let _ = error.print(io::stdout());
    }
    // The answer is out by now: metrics that hang delay no pod.
    if let Ok(call) = &call {
        count(call, &outcome, clock.elapsed());
    }
    outcome.map_or(ExitCode::FAILURE, |_| ExitCode::SUCCESS)
}

/// VERSION repeats a version from stdin, and does not wait for one that is not written: a runtime
/// writes it before it starts the plugin or right then. The other verbs can do nothing without it.
fn stdin() -> host::Stdin {
    const WRITTEN_BY_THEN: Duration = Duration::from_millis(100);
    if std::env::var_os("CNI_COMMAND").is_some_and(|command| command == "VERSION") {
        host::Stdin::silent_after(WRITTEN_BY_THEN)
    } else {
        host::Stdin::patient()
    }
}

fn answer(call: &Call, clock: &SystemClock) -> Result<Answer, CniError> {
    let answer = run(plugin::serve(call, &NodeCredentials, clock))?;
    answer.print(io::stdout(), io::stderr())?;
    Ok(answer)
}

/// Runs a call to its end, and not to that of what it may leave behind: an exec plugin that hangs.
fn run<T>(call: impl Future<Output = Result<T, CniError>>) -> Result<T, CniError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        CniError::new(Code::TryAgainLater, "cannot start the asynchronous runtime")
            .with_details(error.to_string())
    })?;
    let outcome = runtime.block_on(call);
    runtime.shutdown_background();
    outcome
}

/// Counts the call on the node, if the configuration asks for it: a call does not fail for that.
fn count(call: &Call, outcome: &Result<Answer, CniError>, took: Duration) {
    let Some((command, config)) = call.with_config() else {
        return;
    };
    let Some(folder) = &config.metrics_dir else {
        return;
    };
    let outcome = match outcome {
        Ok(answer) if answer.is_complete() => "ok",
        Ok(_) => "incomplete",
        Err(error) => error.code().name(),
    };
    let call = metrics::Call {
        command,
        outcome,
        took,
    };
    if let Err(error) = metrics::record(folder, &call) {
        eprintln!(
            "leasehold: {command}: the call is not counted in {}: {}",
            shown(&folder.display().to_string()),
            chain(&error)
        );
    }
}
