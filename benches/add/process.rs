//! What a process costs, as its parent sees it: getrusage(2) of the children that were waited for.
//!
//! The benchmark calls itself in between. For the kernel, what a process was before its exec counts
//! for the peak of its memory, and that is the parent's memory: in between, it is little, and the
//! child shares nothing of it.

use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};
use testbed::{Call, Outcome};

/// The first argument of the benchmark in between.
pub const WATCH: &str = "watch";

/// What one process has cost.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Cost {
    /// From its start to its end.
    pub elapsed: Duration,
    /// Of the processor, with all that it started.
    pub cpu: Duration,
    /// Its peak of memory, in bytes.
    pub memory: u64,
}

/// Makes the call, which must succeed.
pub async fn measure(call: Call) -> Result<(Outcome, Cost)> {
    let call = call.through(&std::env::current_exe()?, &[WATCH]);
    let outcome = call.run().await?.success()?;
    let cost = outcome.stderr.lines().last().context("no cost")?;
    let cost = serde_json::from_str(cost).with_context(|| format!("read the cost: {outcome}"))?;
    Ok((outcome, cost))
}

/// The benchmark in between: runs the program, and ends as it did, with the cost as the last line
/// of stderr.
pub fn watch(arguments: &[String]) -> Result<()> {
    let (program, arguments) = arguments.split_first().context("no program")?;
    let begun = Instant::now();
    let mut command = Command::new(program);
    // root, as ever. The standard library forks for it; else it would have the child borrow this
    // process's memory, all of which would count as the child's.
    command.args(arguments).uid(0);
    let ended = command.status()?;
    let elapsed = begun.elapsed();
    let used = children()?;
    let cost = Cost {
        elapsed,
        cpu: processor(&used)?,
        // In kilobytes on Linux.
        memory: u64::try_from(used.max_rss())? * 1024,
    };
    eprintln!("\n{}", serde_json::to_string(&cost)?);
    exit(ended.code().unwrap_or(1))
}

/// The processor time of all children that have been waited for.
pub fn children_cpu() -> Result<Duration> {
    processor(&children()?)
}

fn children() -> Result<Usage> {
    getrusage(UsageWho::RUSAGE_CHILDREN).context("read what the children used")
}

fn processor(used: &Usage) -> Result<Duration> {
    let time = |part: TimeVal| {
        let (seconds, micros) = (part.tv_sec(), part.tv_usec());
        anyhow::Ok(Duration::new(
            seconds.try_into()?,
            1000 * u32::try_from(micros)?,
        ))
    };
    Ok(time(used.user_time())? + time(used.system_time())?)
}
