//! What came of a call of a plugin, and what a runtime reads in it.

use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use serde_json::Value;

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote.
    pub stdout: String,
    /// What it wrote for the log.
    pub stderr: String,
    /// From the start of the process to its end.
    pub elapsed: Duration,
}

impl Outcome {
    pub(crate) fn new(status: ExitStatus, stdout: &[u8], stderr: &[u8], elapsed: Duration) -> Self {
        Self {
            code: status.code(),
            signal: status.signal(),
            stdout: String::from_utf8_lossy(stdout).into_owned(),
            stderr: String::from_utf8_lossy(stderr).into_owned(),
            elapsed,
        }
    }

    /// Whether it exited with 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Its stdout as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("stdout is not JSON: {self}"))
    }

    /// It, if it succeeded; else an error that shows it.
    pub fn success(self) -> Result<Self> {
        if self.succeeded() {
            Ok(self)
        } else {
            bail!("the plugin failed: {self}")
        }
    }

    /// The addresses of a result, with their prefix lengths; of any CNI version from 0.3.0 on.
    pub fn addresses(&self) -> Result<Vec<IpNet>> {
        let json = self.json()?;
        let ips = json["ips"].as_array().into_iter().flatten();
        ips.map(|ip| {
            let text = ip["address"].as_str().unwrap_or_default();
            text.parse()
                .with_context(|| format!("an address that is none: {text:?}"))
        })
        .collect()
    }

    /// The addresses of a result, without their prefix lengths.
    pub fn ips(&self) -> Result<Vec<IpAddr>> {
        Ok(self.addresses()?.iter().map(IpNet::addr).collect())
    }

    /// The code of the CNI error on stdout.
    #[must_use]
    pub fn error_code(&self) -> Option<u64> {
        self.json().ok()?["code"].as_u64()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit {code}")?,
            (None, signal) => write!(f, "signal {}", signal.unwrap_or_default())?,
        }
        write!(
            f,
            " after {:?}\nstdout: {}\nstderr: {}",
            self.elapsed,
            self.stdout.trim_end(),
            self.stderr.trim_end()
        )
    }
}
