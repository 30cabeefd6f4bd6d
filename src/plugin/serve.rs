//! From a call to its answer.

use std::io::{self, Write};

use rscni_types::version::{PluginInfo, SpecVersion};

use super::api::Connect;
use super::hint_file::HintFiles;
use super::release_cache::ReleaseCache;
use super::{Error, add, check, del, gc, status};
use crate::cni::{self, Call, CniError, CniResult, Code, Config};
use crate::retry::{Clock, Deadline};
use crate::text::one_line;

/// What a call that has not failed is answered with.
#[derive(Debug)]
pub enum Answer {
    /// Nothing: it succeeded.
    Empty,
    /// What a person should know who starts the plugin by hand.
    About,
    /// The versions of the specification.
    Versions(PluginInfo),
    /// Addresses and routes, in the version of the configuration.
    Result(CniResult, SpecVersion),
    /// DEL, with what was ignored in its input and what could not be released; it succeeds all the
    /// same.
    Released {
        /// What is wrong with the input.
        ignored: Vec<String>,
        /// What was left to the collector.
        left: Vec<String>,
    },
}

impl Answer {
    /// Whether all of the work was done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !matches!(self, Self::Released { left, .. } if !left.is_empty())
    }

    /// Writes the answer to where the runtime reads it.
    pub fn print(&self, stdout: impl Write, mut stderr: impl Write) -> Result<(), CniError> {
        let printed = match self {
            Self::Empty => Ok(()),
            Self::About => write!(stderr, "{}", cni::about()),
            Self::Versions(versions) => cni::print(versions, stdout),
            Self::Result(result, version) => result.print(*version, stdout),
            Self::Released { ignored, left } => {
                for remark in ignored.iter().chain(left) {
                    // DEL has succeeded, whether this can be read or not.
                    let _ = writeln!(stderr, "leasehold: DEL: {}", one_line(remark));
                }
                Ok(())
            }
        };
        printed.map_err(|error: io::Error| {
            CniError::new(Code::Io, "cannot write to stdout").with_details(error.to_string())
        })
    }
}

/// Serves one call.
pub async fn serve<N: Connect, C: Clock>(
    call: &Call,
    connect: &N,
    clock: &C,
) -> Result<Answer, CniError> {
    let cache = ReleaseCache::default();
    match call {
        Call::NoCommand => Ok(Answer::About),
        Call::Version(versions) => Ok(Answer::Versions(versions.clone())),
        Call::Status(call) => match status::status(call, connect) {
            Ok(()) => Ok(Answer::Empty),
            Err(error) => {
                Err(CniError::because(Code::Unavailable, &error).in_version(call.version))
            }
        },
        Call::Add(call) => {
            let added = async {
                let api = api(connect, &call.config)?;
                // Of all that it awaits it has much at hand: some 20 KB.
                Box::pin(add::add(call, &api, clock, &cache, &HintFiles::default())).await
            };
            let result = added.await.map_err(|error| failed(error, call.version))?;
            Ok(Answer::Result(result, call.version))
        }
        Call::Check(call) => {
            let checked = async { check::check(call, &api(connect, &call.config)?, clock).await };
            checked.await.map_err(|error| failed(error, call.version))?;
            Ok(Answer::Empty)
        }
        Call::Gc(call) => {
            let swept = async { gc::gc(call, &api(connect, &call.config)?, clock).await };
            swept.await.map_err(|error| failed(error, call.version))?;
            Ok(Answer::Empty)
        }
        Call::Del(call) => {
            let kubeconfig = call.config.kubeconfig.as_deref();
            let left = match connect.connect(kubeconfig, del::deadline()) {
                Ok(api) => del::del(call, &api, clock, &cache).await,
                Err(error) => vec![format!(
                    "nothing was released, the collector will do it: {error}"
                )],
            };
            Ok(Answer::Released {
                ignored: call.remarks.clone(),
                left,
            })
        }
    }
}

fn api<N: Connect>(connect: &N, config: &Config) -> Result<N::Api, Error> {
    connect
        .connect(
            config.kubeconfig.as_deref(),
            Deadline::after(config.timeout),
        )
        .map_err(|error| Error::Credentials(Box::new(error)))
}

fn failed(error: Error, version: SpecVersion) -> CniError {
    CniError::from(error).in_version(version)
}
