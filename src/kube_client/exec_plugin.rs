//! Credentials, for which on some clouds a program has to be run (client-go's exec plugins).
//!
//! Sure of three things: the program runs once for a connection's credentials, one that hangs holds
//! up no caller for longer than allowed, and nothing that it wrote on stdout, which may be a token,
//! is in an error.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use kube::config::ExecConfig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tower::BoxError;

use super::access::{Identity, decoded};
use super::certificate::KeyPair;
use crate::text::truncated;

/// How much of what the program wrote on stderr is shown, in bytes; the end of it, where the reason
/// usually is.
const STDERR_BYTES: usize = 300;

/// What the program returns.
pub(super) struct ExecCredential {
    pub identity: Identity,
    /// When that ends.
    pub expires: Option<Timestamp>,
}

/// What it prints (`client.authentication.k8s.io`, kind `ExecCredential`).
#[derive(Deserialize)]
struct Printed {
    status: Option<PrintedStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrintedStatus {
    expiration_timestamp: Option<String>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

/// Runs the program, for at most `limit`.
pub(super) async fn run(exec: &ExecConfig, limit: Duration) -> Result<ExecCredential, BoxError> {
    let program = exec.command.clone().unwrap_or_default();
    let failed = |why: String| BoxError::from(format!("its exec plugin {program} {why}"));
    let child = command(exec)
        .spawn()
        .map_err(|error| failed(format!("could not be run: {error}")))?;
    let group = i32::try_from(child.id()).ok().map(Pid::from_raw);
    let output = spawn_blocking(move || collect(child));
    let output = match tokio::time::timeout(limit, output).await {
        Ok(Ok(output)) => output.map_err(|error| failed(format!("could not be run: {error}")))?,
        Ok(Err(_)) => return Err(failed("was not run to its end".to_owned())),
        Err(_) => {
            // With all that it has started. That it has just ended by itself is no error.
            let _ = group.map(|group| killpg(group, Signal::SIGKILL));
            let limit = limit.as_secs_f32();
            return Err(failed(format!("did not end within {limit} s")));
        }
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stderr = stderr.trim();
    let end = stderr.ceil_char_boundary(stderr.len().saturating_sub(STDERR_BYTES));
    let stderr = truncated(&stderr[end..], STDERR_BYTES);
    let with_stderr = |what: String| {
        failed(if stderr.is_empty() {
            what
        } else {
            format!("{what}: {stderr}")
        })
    };
    if !output.status.success() {
        return Err(with_stderr(format!("failed with {}", output.status)));
    }
    let printed: Printed = serde_json::from_slice(&output.stdout)
        .map_err(|_| with_stderr("did not print an ExecCredential".to_owned()))?;
    let status = printed.status.unwrap_or(PrintedStatus {
        expiration_timestamp: None,
        token: None,
        client_certificate_data: None,
        client_key_data: None,
    });
    credential(status).map_err(with_stderr)
}

/// There is no terminal to interact with, and stdin is the runtime's. A group of its own, so that
/// all of it can be ended.
fn command(exec: &ExecConfig) -> Command {
    let mut command = Command::new(exec.command.as_deref().unwrap_or_default());
    command
        .args(exec.args.iter().flatten())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    for variable in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            command.env(name, value);
        }
    }
    let mut spec = json!({"interactive": false});
    if let Some(cluster) = &exec.cluster {
        spec["cluster"] = json!(cluster);
    }
    let info = json!({"apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec});
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    command
}

struct Output {
    status: std::process::ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Reads both ends at once: a program that fills the one would wait for ever while the other is
/// read.
fn collect(mut child: Child) -> std::io::Result<Output> {
    let stderr = child.stderr.take();
    let stderr = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stderr.map(|mut stderr| stderr.read_to_end(&mut bytes));
        read.transpose().map(|_| bytes)
    });
    let mut stdout = Vec::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_end(&mut stdout)?;
    }
    let status = child.wait()?;
    let stderr = stderr.join().unwrap_or_else(|_| Ok(Vec::new()))?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

fn credential(status: PrintedStatus) -> Result<ExecCredential, String> {
    let certificate = match (status.client_certificate_data, status.client_key_data) {
        (Some(chain), Some(key)) if !chain.is_empty() && !key.is_empty() => {
            let pair = KeyPair::of(&pem(chain), &pem(key));
            Some(pair.map_err(|_| "gave a certificate that cannot be read".to_owned())?)
        }
        _ => None,
    };
    let token = status.token.filter(|token| !token.trim().is_empty());
    if token.is_none() && certificate.is_none() {
        return Err("gave no credentials: neither token nor certificate".to_owned());
    }
    Ok(ExecCredential {
        identity: Identity {
            authorization: token.map(|token| format!("Bearer {}", token.trim())),
            certificate,
            exec: None,
        },
        expires: status.expiration_timestamp.and_then(|at| at.parse().ok()),
    })
}

/// PEM as the specification has it; some programs write it in base64 as kubeconfigs do.
fn pem(text: String) -> Vec<u8> {
    if text.contains("-----BEGIN") {
        return text.into_bytes();
    }
    decoded(&text).unwrap_or_else(|_| text.into_bytes())
}
