//! Credentials, for which on some clouds a program has to be run (client-go's exec plugins).
//!
//! Sure of two things: a program that hangs delays no call longer than allowed, and nothing that it wrote on stdout,
//! which may be a token, is in an error.

use std::time::Duration;

use kube::client::AuthError;
use kube::config::{Config, ExecInteractiveMode};
use tower::BoxError;

/// How many attempts at a request the program may take. Those of clouds start an interpreter and ask a server of their
/// own, and one that is cut short has to begin anew.
const PATIENCE: u32 = 4;

/// Has `dial` use `config` in a time that depends on how long one request may take.
///
/// kube waits for the program wherever it is asked: for the headers, and again for a certificate.
pub(super) async fn within<T: Send + 'static>(
    attempt: Duration,
    mut config: Config,
    dial: impl FnOnce(&Config) -> Result<T, BoxError> + Send + 'static,
) -> Result<T, BoxError> {
    let Some(exec) = &mut config.auth_info.exec else {
        return dial(&config);
    };
    let program = exec.command.clone().unwrap_or_default();
    let failed = |why: String| format!("its exec plugin {program} {why}").into();
    // No person can interact; and as long as a child has our stderr, a runtime waits for it.
    exec.interactive_mode = Some(ExecInteractiveMode::Never);
    let deadline = attempt * PATIENCE;
    // If the program hangs, a thread is left behind with it.
    let dialed = tokio::task::spawn_blocking(move || dial(&config));
    match tokio::time::timeout(deadline, dialed).await {
        Ok(Ok(Ok(way))) => Ok(way),
        Ok(Ok(Err(error))) => Err(match error.downcast_ref() {
            Some(kube::Error::Auth(error)) => failed(without_stdout(error)),
            _ => error,
        }),
        Ok(Err(_)) => Err(failed("was not run to its end".to_owned())),
        Err(_) => Err(failed(format!(
            "did not end within {} s",
            deadline.as_secs_f32()
        ))),
    }
}

/// What went wrong with the program, by what it wrote on stderr.
fn without_stdout(error: &AuthError) -> String {
    if let AuthError::AuthExecRun { out, .. } = error {
        let said = String::from_utf8_lossy(&out.stderr);
        format!("failed with {}: {}", out.status, said.trim())
    } else if let AuthError::AuthExecParse(_) = error {
        "wrote what is no ExecCredential".to_owned()
    } else if let AuthError::AuthExecStart(error) = error {
        format!("could not be run: {error}")
    } else {
        format!("gave no credentials: {error}")
    }
}
