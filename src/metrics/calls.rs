//! The metrics that the calls of the plugin leave on their node.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::fcntl::OFlag;

use super::text::{Family, MetricType, Text, replace};

mod latency;

use latency::Latency;

/// The file in `metricsDir`.
const FILE: &str = "leasehold.prom";
/// The lock of concurrent calls. It stays: if it were removed, two calls could hold a lock each.
const LOCK: &str = ".leasehold.lock";
/// How long a call waits for its turn. A turn takes a fraction of a millisecond, so two hundred
/// calls at once fit; no pod waits longer for a metric.
const WAIT: Duration = Duration::from_secs(1);

/// A finished call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `ADD`, `DEL`, …
    pub command: &'a str,
    /// `ok`; `incomplete` for a DEL that left something to the collector; or the
    /// [name](crate::cni::Code::name) of the error's code.
    pub outcome: &'a str,
    /// How long it took.
    pub took: Duration,
}

/// Counts a call in the file of this folder, which must exist. If that fails, the call is not
/// counted, and nothing else is lost.
pub fn record(folder: &Path, call: &Call<'_>) -> io::Result<()> {
    record_within(WAIT, folder, call)
}

fn record_within(wait: Duration, folder: &Path, call: &Call<'_>) -> io::Result<()> {
    let _lock = lock(wait, &folder.join(LOCK))?;
    let path = folder.join(FILE);
    replace(&path, &families(call, &Text::read(&path)))
}

fn lock(wait: Duration, path: &Path) -> io::Result<File> {
    // Not a link to another user's file, and not a pipe without a reader.
    let strange = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(strange.bits())
        .open(path)?;
    if lock.try_lock().is_ok() {
        return Ok(lock);
    }
    // The kernel serves waiting threads in turn; polling would take time from the calls that work.
    // A thread that waits in vain ends with the process.
    let (reporter, written) = mpsc::channel();
    thread::Builder::new().spawn(move || reporter.send(lock.lock().map(|()| lock)))?;
    written.recv_timeout(wait).unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "timed out waiting for other calls to write theirs",
        ))
    })
}

fn families(call: &Call<'_>, before: &Text) -> [Family; 2] {
    let calls = Family::new(
        MetricType::Counter,
        "leasehold_calls_total",
        "Calls of the plugin by command and outcome: ok, incomplete, or the kind of error.",
    );
    let labels = [("command", call.command), ("outcome", call.outcome)];
    let calls = calls
        .counting(before, &labels, 1.0)
        .carrying_on(before, &["command", "outcome"]);
    [calls, Latency::family(call, before)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str, command: &str, millis: u64) -> String {
        let call = Call {
            command,
            outcome: "ok",
            took: Duration::from_millis(millis),
        };
        families(&call, &Text::parse(text))
            .map(|family| family.to_string())
            .concat()
    }

    #[test]
    fn each_call_is_one_more_of_its_command_and_outcome_and_in_each_bucket_from_its_time_on() {
        let once = after("", "DEL", 3);
        let text = after(&after(&once, "ADD", 30), "ADD", 700);
        let adds: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("\"ADD\""))
            .collect();
        insta::assert_snapshot!(adds.join("\n"), @r#"
        leasehold_calls_total{command="ADD",outcome="ok"} 2
        leasehold_call_duration_seconds_bucket{command="ADD",le="0.005"} 0
        leasehold_call_duration_seconds_bucket{command="ADD",le="0.01"} 0
        leasehold_call_duration_seconds_bucket{command="ADD",le="0.025"} 0
        leasehold_call_duration_seconds_bucket{command="ADD",le="0.05"} 1
        leasehold_call_duration_seconds_bucket{command="ADD",le="0.1"} 1
        leasehold_call_duration_seconds_bucket{command="ADD",le="0.25"} 1
        leasehold_call_duration_seconds_bucket{command="ADD",le="0.5"} 1
        leasehold_call_duration_seconds_bucket{command="ADD",le="1"} 2
        leasehold_call_duration_seconds_bucket{command="ADD",le="2.5"} 2
        leasehold_call_duration_seconds_bucket{command="ADD",le="5"} 2
        leasehold_call_duration_seconds_bucket{command="ADD",le="10"} 2
        leasehold_call_duration_seconds_bucket{command="ADD",le="30"} 2
        leasehold_call_duration_seconds_bucket{command="ADD",le="+Inf"} 2
        leasehold_call_duration_seconds_sum{command="ADD"} 0.73
        leasehold_call_duration_seconds_count{command="ADD"} 2
        "#);
        assert!(
            text.contains("{command=\"DEL\",outcome=\"ok\"} 1"),
            "{text}"
        );
        assert!(text.contains("_count{command=\"DEL\"} 1"), "{text}");
    }

    #[test]
    fn two_hundred_calls_at_once_lose_no_count() {
        let folder = std::env::temp_dir().join(format!("leasehold-calls-{}", std::process::id()));
        std::fs::create_dir(&folder).expect("a folder");
        let call = Call {
            command: "ADD",
            outcome: "ok",
            took: Duration::from_millis(1),
        };
        thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| {
                    record_within(Duration::from_mins(10), &folder, &call).expect("a turn");
                });
            }
        });
        let text = std::fs::read_to_string(folder.join(FILE)).expect("the file");
        std::fs::remove_dir_all(&folder).expect("the folder");
        assert!(text.contains("outcome=\"ok\"} 200\n"), "{text}");
    }

    #[test]
    fn a_histogram_that_contradicts_itself_begins_anew() {
        let name = "leasehold_call_duration_seconds";
        let broken = format!(
            "{name}_bucket{{command=\"ADD\",le=\"30\"}} 9\n{name}_count{{command=\"ADD\"}} 2\n"
        );
        let text = after(&broken, "ADD", 30);
        assert!(text.contains("_count{command=\"ADD\"} 1"), "{text}");
        assert!(text.contains("le=\"30\"} 1"), "{text}");
    }

    #[test]
    fn what_no_call_has_written_is_not_carried_on() {
        let text = after(
            "other_total 3\nleasehold_calls_total{command=\"ADD\"} 4\n",
            "ADD",
            1,
        );
        assert!(!text.contains("other") && !text.contains(" 4"), "{text}");
    }
}
