//! The collector: one run of it.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use leasehold::collector::{self, Event, Options, Reporter};
use leasehold::host::SystemClock;
use leasehold::kube_client::{Credentials, KubeClient};
use leasehold::metrics;
use leasehold::retry::Clock;
use leasehold::text;
use tokio::signal::unix::{SignalKind, signal};

/// Takes back the addresses that dead pods left behind, makes missing leases again, and counts what is free.
///
/// A lease is taken back when its pod is gone or finished and its node shows that the container is gone too. What is not
/// known for certain is kept. Several at once do no harm.
#[derive(Parser)]
#[command(name = "leasehold-gc", version)]
struct Args {
    /// Says what would be done, and writes nothing.
    #[arg(long)]
    dry_run: bool,

    /// Seconds between the two looks that a lease has to look dead at. Nodes renew their heartbeats every 10, and take
    /// 40 to say that their container runtime is down.
    #[arg(long, value_name = "SECONDS", default_value = "45", value_parser = seconds)]
    grace: Duration,

    /// The longest `timeoutSeconds` in the cluster's CNI configurations: before that an ADD may still be at work.
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    add_timeout: Duration,

    /// Takes addresses back although their node shows no sign of life. Only for whoever knows that nothing runs there.
    #[arg(long)]
    release_unreachable: bool,

    /// How to tell what is done.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,

    /// Seconds after which to give up.
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    timeout: Duration,

    /// The kubeconfig to use. Default: the pod's service account, else $KUBECONFIG.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// Where to leave metrics for node-exporter's textfile collector.
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Output {
    /// A line for each lease, and a summary.
    Text,
    /// The same, each line a JSON object.
    Json,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let line = text::one_line(&format!("{error:#}"));
            eprintln!("leasehold-gc: {line}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<()> {
    ensure!(
        args.grace < args.timeout,
        "--grace {} leaves no time for work before --timeout {}",
        args.grace.as_secs_f64(),
        args.timeout.as_secs_f64()
    );
    let options = Options {
        grace: args.grace,
        add_timeout: args.add_timeout,
        release_unreachable: args.release_unreachable,
        dry_run: args.dry_run,
        deadline: args.timeout,
    };
    let stop = until_told().context("listen for signals")?;
    let clock = SystemClock::start();
    let reporter = LineReporter {
        output: args.output,
        to_terminal: io::stdout().is_terminal(),
    };
    let world = KubeClient::new(credentials(args)?, collector::ATTEMPT);
    let (summary, outcome) = collector::run(&world, &clock, &options, &reporter, &|| {
        stop.load(Ordering::Relaxed)
    })
    .await;
    let took = clock.elapsed();
    reporter.summary(&summary, took)?;
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
    // What the run came to matters more than that it could not be counted.
    outcome?;
    written
}

/// A time in seconds, parts of them too.
fn seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().context("not a number of seconds")?;
    Duration::try_from_secs_f64(seconds).context("not a time")
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
        .context("no API server: this is no pod, and neither --kubeconfig nor $KUBECONFIG is set")
}

/// Becomes true when somebody asks for the end.
fn until_told() -> io::Result<Arc<AtomicBool>> {
    let told = Arc::new(AtomicBool::new(false));
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signal = signal(kind)?;
        let told = Arc::clone(&told);
        tokio::spawn(async move {
            signal.recv().await;
            told.store(true, Ordering::Relaxed);
        });
    }
    Ok(told)
}

struct LineReporter {
    output: Output,
    to_terminal: bool,
}

impl LineReporter {
    fn line(&self, text: &str) -> io::Result<()> {
        self.clear();
        // Each line at once: who reads along sees what was done when it was done.
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
        // With stdout closed there is nobody left to tell, and the work goes on.
        let _ = self.line(&line);
    }

    fn progress(&self, what: &'static str, count: usize) {
        if self.to_terminal {
            eprint!("\r\x1b[K{count} {what}");
        }
    }
}
