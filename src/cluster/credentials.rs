//! Credentials, for which on some clouds a program has to be run (client-go's exec plugins).
//!
//! Sure of two things: a program that hangs holds nobody up for longer than allowed, and nothing that it wrote on stdout,
//! which may be a token, is in an error.

use std::thread;
use std::time::Duration;

use kube::client::middleware::AuthLayer;
use kube::client::{AuthError, ConfigExt};
use kube::config::Config;
use tokio::sync::oneshot;
use tower::BoxError;

/// What puts the credentials of `config` on each request.
pub(super) async fn layer(
    config: &Config,
    patience: Duration,
) -> Result<Option<AuthLayer>, BoxError> {
    let Some(exec) = &config.auth_info.exec else {
        return Ok(config.auth_layer()?);
    };
    let program = exec.command.clone().unwrap_or_default();
    let failed = |why: String| format!("its exec plugin {program} {why}").into();
    // kube waits for the program where it is asked. A thread that is not waited for ends with the process.
    let (tell, told) = oneshot::channel();
    let config = config.clone();
    thread::spawn(move || tell.send(config.auth_layer()));
    match tokio::time::timeout(patience, told).await {
        Ok(Ok(Ok(layer))) => Ok(layer),
        Ok(Ok(Err(error))) => Err(failed(without_stdout(&error))),
        Ok(Err(_)) => Err(failed("was not run to its end".to_owned())),
        Err(_) => Err(failed(format!(
            "did not end within {} s",
            patience.as_secs_f32()
        ))),
    }
}

/// What went wrong with the program, by what it wrote on stderr.
fn without_stdout(error: &kube::Error) -> String {
    let kube::Error::Auth(error) = error else {
        return format!("gave no credentials: {error}");
    };
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
