//! What the calls of the plugin leave on their node.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::text::{Family, Kind, Text, replace};

/// The file in `metricsDir`.
const FILE: &str = "leasehold.prom";
/// The file that calls at once wait at. It stays: were it removed, two could hold a lock each.
const LOCK: &str = ".leasehold.lock";
/// How often somebody who waits tries, and how long in between: a fifth of a second in all, since a pod waits too.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// From a call on a fast network to the default deadline of ADD.
const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];

/// A call that is over.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `ADD`, `DEL`, …
    pub command: &'a str,
    /// `success`, or the code of the error.
    pub outcome: &'a str,
    /// How long it took.
    pub took: Duration,
}

/// Counts a call. Where that fails a number is missing, and nothing else.
pub fn record(folder: &Path, call: &Call<'_>) -> io::Result<()> {
    let lock = File::create(folder.join(LOCK))?;
    let mut tries = (0..TRIES).peekable();
    while lock.try_lock().is_err() {
        tries
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::WouldBlock, "others write metrics"))?;
        sleep(PAUSE);
    }
    let path = folder.join(FILE);
    let before = Text::read(&path);
    replace(&path, &families(call, &before))
}

fn families(call: &Call<'_>, before: &Text) -> [Family; 2] {
    let calls = Family::new(
        Kind::Counter,
        "leasehold_cni_calls_total",
        "Calls of the plugin by command and outcome: success, or the code of the error.",
    );
    let labels = [("command", call.command), ("outcome", call.outcome)];
    let calls = calls.counting(before, &labels, 1.0).carrying_on(before);
    let mut took = Family::new(
        Kind::Histogram,
        "leasehold_cni_call_duration_seconds",
        "How long calls of the plugin took, from the start of the process.",
    );
    let seconds = call.took.as_secs_f64();
    let command = ("command", call.command);
    for bound in BUCKETS {
        let counts = f64::from(u8::from(seconds <= bound));
        let le = bound.to_string();
        took = took.counting_as("_bucket", before, &[command, ("le", &le)], counts);
    }
    took = took
        .counting_as("_bucket", before, &[command, ("le", "+Inf")], 1.0)
        .counting_as("_sum", before, &[command], seconds)
        .counting_as("_count", before, &[command], 1.0)
        .carrying_on(before);
    [calls, took]
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "small whole numbers")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn calls_at_once_are_all_counted() {
        let folder = std::env::temp_dir().join(format!("leasehold-metrics-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let call = |command| Call {
            command,
            outcome: "success",
            took: Duration::from_millis(30),
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        record(&folder, &call("ADD")).expect("counted");
                    }
                });
            }
        });
        record(&folder, &call("DEL")).expect("counted");
        let text = Text::read(&folder.join(FILE));
        let of = |command| [("command", command), ("outcome", "success")];
        assert_eq!(text.value("leasehold_cni_calls_total", &of("ADD")), 20.0);
        assert_eq!(text.value("leasehold_cni_calls_total", &of("DEL")), 1.0);
        let bucket = |le| {
            text.value(
                "leasehold_cni_call_duration_seconds_bucket",
                &[("command", "ADD"), ("le", le)],
            )
        };
        assert_eq!(
            (bucket("0.025"), bucket("0.05"), bucket("+Inf")),
            (0.0, 20.0, 20.0)
        );
        fs::remove_dir_all(&folder).expect("the folder");
    }
}
