//! The collector: one run of it.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use leasehold::collector::{self, Event, Options, Reporter};
use leasehold::host::SystemClock;
use leasehold::kube_client::{Credentials, KubeClient};
use leasehold::metrics;
use leasehold::retry::{Clock, Deadline};
use leasehold::text;
use tokio::signal::unix::{SignalKind, signal};

/// Releases the addresses of dead pods, recreates missing leases, and counts free addresses.
///
/// A lease is released when an earlier run has marked it, its pod is gone or finished, and its node
/// has had time to tear the pod down. Run it every minute; by hand, run it twice. Concurrent runs
/// do no harm.
///
/// Exit codes: 0 done, 1 partly done, 2 could not read the cluster.
#[derive(Parser)]
#[command(name = "leasehold-gc", version)]
struct Args {
    /// Print what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Namespace of the collector's ConfigMaps
    #[arg(long, value_name = "NAMESPACE", default_value = "leasehold-system")]
    namespace: String,

    /// How long a kubelet that is back may take to notice that a pod is gone, in addition to the
    /// pod's terminationGracePeriodSeconds
    #[arg(long, value_name = "DURATION", default_value = "100s", value_parser = duration)]
    margin: Duration,

    /// Removed
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = removed)]
    grace: Option<String>,

    /// The longest timeoutSeconds of the cluster's CNI configurations: until then an ADD may still
    /// be running
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    add_timeout: Duration,

    /// How long the addresses of a StatefulSet's pod are kept once the StatefulSet is gone or
    /// scaled down
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    claim_grace: Duration,

    /// Release addresses of pods that are gone even if their node does not respond; use it only if
    /// nothing runs there
    #[arg(long)]
    release_unreachable: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Time limit
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,

    /// Kubeconfig file [default: the pod's service account, else $KUBECONFIG]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// File for node-exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Output {
    /// A line for each lease, and a summary
    Text,
    /// The same, each line a JSON object
    Json,
}

/// The exit codes of a run.
#[derive(Clone, Copy)]
enum Exit {
    Partly = 1,
    Blind = 2,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err((exit, error)) => {
            let line = text::one_line(&format!("{error:#}"));
            eprintln!("leasehold-gc: {line}");
            ExitCode::from(exit as u8)
        }
    }
}

async fn run(args: &Args) -> Result<(), (Exit, anyhow::Error)> {
    let options = Options {
        namespace: args.namespace.clone(),
        margin: args.margin,
        add_timeout: args.add_timeout,
        claim_grace: args.claim_grace,
        release_unreachable: args.release_unreachable,
        dry_run: args.dry_run,
        deadline: args.timeout,
    };
    let blind = |error| (Exit::Blind, error);
    let partly = |error| (Exit::Partly, error);
    let stop = stop_signal().context("listen for signals").map_err(blind)?;
    let clock = SystemClock::start();
    let reporter = LineReporter {
        output: args.output,
        to_terminal: io::stdout().is_terminal(),
    };
    let deadline = Deadline::after(args.timeout);
    let client = KubeClient::new(credentials(args).map_err(blind)?, deadline);
    let (summary, outcome) = collector::run(&client, &clock, &options, &reporter, &|| {
        stop.load(Ordering::Relaxed)
    })
    .await;
    let took = clock.elapsed();
    let printed = reporter.summary(&summary, took);
    let mut written = Ok(());
    if let Some(path) = &args.metrics_file {
        let run = metrics::Run {
            summary: &summary,
            succeeded: outcome.is_ok(),
            took,
            ended: clock.now(),
        };
        written = metrics::write(path, &run).with_context(|| format!("write {}", path.display()));
    }
    // What became of the run matters more than that it could not be counted.
    let exit = if summary.looked {
        Exit::Partly
    } else {
        Exit::Blind
    };
    outcome.map_err(|error| (exit, error.into()))?;
    printed.and(written).map_err(partly)
}

/// A time as people write it: `45s`, `2m`, `1m30s`, or a number of seconds.
fn duration(text: &str) -> Result<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).context("not a duration");
    }
    let duration: jiff::SignedDuration = text
        .parse()
        .ok()
        .context("not a duration: write it as 45s, 2m or 1m30s")?;
    Duration::try_from(duration).context("not a duration: it is negative")
}

fn removed(_: &str) -> Result<String> {
    bail!(
        "--grace was removed, because a run no longer waits: set --margin for the time that a kubelet is given"
    )
}

fn credentials(args: &Args) -> Result<Credentials> {
    let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if let Some(path) = &args.kubeconfig {
        return Ok(Credentials::Kubeconfig(path.clone()));
    }
    if in_pod {
        return Ok(Credentials::ServiceAccount);
    }
    std::env::var_os("KUBECONFIG")
        .map(|path| Credentials::Kubeconfig(path.into()))
        .context(
            "no API server: not running in a pod, and neither --kubeconfig nor $KUBECONFIG is set",
        )
}

/// Becomes true once the process is asked to stop.
fn stop_signal() -> io::Result<Arc<AtomicBool>> {
    let stopped = Arc::new(AtomicBool::new(false));
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signal = signal(kind)?;
        let stopped = Arc::clone(&stopped);
        tokio::spawn(async move {
            signal.recv().await;
            stopped.store(true, Ordering::Relaxed);
        });
    }
    Ok(stopped)
}

struct LineReporter {
    output: Output,
    to_terminal: bool,
}

impl LineReporter {
    fn line(&self, text: &str) -> io::Result<()> {
        self.clear();
        // Each line at once: a reader sees what was done when it was done.
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", text::one_line(text))?;
        stdout.flush()
    }

    fn clear(&self) {
        if self.to_terminal {
            eprint!("\r\x1b[K");
        }
    }

    fn summary(&self, summary: &collector::Summary, took: Duration) -> Result<()> {
        let line = match self.output {
            Output::Text => format!("{summary}; {:.1} s", took.as_secs_f64()),
            Output::Json => {
                let mut json = serde_json::to_value(summary)?;
                json["event"] = "summary".into();
                json["seconds"] = took.as_secs_f64().into();
                json.to_string()
            }
        };
        self.line(&line).context("write to stdout")
    }
}

impl Reporter for LineReporter {
    fn event(&self, event: &Event) {
        let line = match self.output {
            Output::Text => event.to_string(),
            Output::Json => event.json().to_string(),
        };
        // With stdout closed no reader is left, and the work goes on.
        let _ = self.line(&line);
    }

    fn progress(&self, what: &'static str, count: usize) {
        if self.to_terminal {
            eprint!("\r\x1b[K{count} {what}");
        }
    }
}
