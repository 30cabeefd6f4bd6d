//! Why a command failed, and the code that the runtime is told.

use std::error::Error as _;
use std::net::IpAddr;

use super::gather::PodError;
use crate::cni::{CniError, Code, chain};
use crate::lease::{self, ApiError, ErrorKind, Lease, LeaseName, Refusal};
use crate::select;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pod may not have an address.
    #[error("pod {namespace}/{name} gets no address: {why}")]
    PodUnfit {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why not.
        why: PodError,
    },
    /// No pool fits, or what says which pools fit is malformed.
    #[error(transparent)]
    Select(#[from] select::Error),
    /// A ReservedIP that cannot be read: what is reserved is unknown.
    #[error("correct {0}; until then nobody knows what is reserved")]
    Reserved(crate::pool::InvalidReservedIP),
    /// The protocol of leases did not come to an end.
    #[error("{error}")]
    Lease {
        /// Why.
        #[source]
        error: lease::Error,
        /// Which pools were considered, and why others were not.
        trace: String,
        /// Leases whose fate is unknown.
        unsettled: Vec<LeaseName>,
    },
    /// An address is not held by this container and interface.
    #[error("{address} is not held by this container: {}", found_as(.found.as_deref()))]
    NotHeld {
        /// The address.
        address: IpAddr,
        /// Its lease, if there is one.
        found: Option<Box<Lease>>,
    },
    /// Some leases could not be released.
    #[error("{} leases could not be released", .0.len())]
    GcIncomplete(Vec<(LeaseName, lease::Error)>),
    /// The note of an earlier call for this container says "released" and cannot be removed.
    #[error("cannot remove this container's note below {}", super::RELEASE_CACHE)]
    CacheEntry(#[source] std::io::Error),
}

impl From<lease::Error> for Error {
    fn from(error: lease::Error) -> Self {
        Self::Lease {
            error,
            trace: String::new(),
            unsettled: Vec::new(),
        }
    }
}

/// A container that came after this one is told apart by its id alone.
fn found_as(lease: Option<&Lease>) -> String {
    let Some(Lease { state, holder, .. }) = lease else {
        return "it has no lease".to_owned();
    };
    let standing = lease::standing(*state, holder.as_ref());
    match holder {
        Some(holder) => format!("it is {standing}, container {}", holder.container),
        None => format!("it is {standing}"),
    }
}

impl From<Error> for CniError {
    fn from(error: Error) -> Self {
        let code = code(&error);
        match error {
            Error::Lease {
                error,
                trace,
                unsettled,
            } => {
                let (msg, cause) = told(&error);
                let unknown = unsettled.iter().map(|name| {
                    format!("the fate of lease {name} is unknown, the collector looks after it")
                });
                // Which pools there were is of interest only where they are the reason.
                let trace = matches!(error, lease::Error::Refused(_)).then_some(trace);
                let parts: Vec<String> = [cause].into_iter().chain(unknown).chain(trace).collect();
                Self::new(code, msg).with_details(joined(parts))
            }
            Error::GcIncomplete(left) => {
                let each = left
                    .iter()
                    .map(|(name, error)| format!("{name}: {}", chain(error)));
                Self::new(code, format!("{} leases could not be released", left.len()))
                    .with_details(joined(each.collect()))
            }
            Error::Select(error) => {
                let details = error.details();
                Self::because(code, &error).with_details(details)
            }
            error @ (Error::PodUnfit { .. }
            | Error::Reserved(_)
            | Error::NotHeld { .. }
            | Error::CacheEntry(_)) => Self::because(code, &error),
        }
    }
}

/// What is told first, which is what to do where that is known, and what lies behind it.
fn told(error: &lease::Error) -> (String, String) {
    match error {
        lease::Error::Store(trouble) => match trouble.kind {
            ErrorKind::Denied => {
                let said = trouble.source.source().map(chain);
                let details = [Some(trouble.to_string()), said].into_iter().flatten();
                let details: Vec<String> = details.collect();
                (trouble.source.to_string(), details.join(": "))
            }
            ErrorKind::NotInstalled => (
                "apply crds/: the API server does not know leasehold's kinds".to_owned(),
                chain(trouble),
            ),
            ErrorKind::NoCredentials => (chain(&*trouble.source), String::new()),
            ErrorKind::Transient(_) | ErrorKind::Expired | ErrorKind::Refused => causes(error),
        },
        lease::Error::Late | lease::Error::OutOfTime { .. } | lease::Error::Refused(_) => {
            causes(error)
        }
    }
}

fn causes(error: &lease::Error) -> (String, String) {
    let cause = error.source().map(chain).unwrap_or_default();
    (error.to_string(), cause)
}

fn joined(mut parts: Vec<String>) -> String {
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

fn code(error: &Error) -> Code {
    match error {
        Error::PodUnfit { .. } => Code::PodUnfit,
        Error::Select(error) => select_code(error),
        Error::Reserved(_) => Code::InvalidConfig,
        Error::Lease { error, .. } => lease_code(error),
        Error::NotHeld { .. } => Code::NotHeld,
        Error::GcIncomplete(_) => Code::GcIncomplete,
        Error::CacheEntry(_) => Code::Io,
    }
}

fn select_code(error: &select::Error) -> Code {
    match error {
        select::Error::NoPool { .. } => Code::NoPool,
        select::Error::NotInPool { .. } | select::Error::FamilyNotGiven { .. } => {
            Code::AddressUnavailable
        }
        select::Error::BadConfig { .. }
        | select::Error::Malformed { .. }
        | select::Error::InterfaceNotNamed { .. }
        | select::Error::InterfaceWithoutItem { .. }
        | select::Error::NoSuchInterface { .. }
        | select::Error::RouteError { .. } => Code::InvalidConfig,
    }
}

fn lease_code(error: &lease::Error) -> Code {
    match error {
        lease::Error::Late => Code::SandboxGone,
        lease::Error::OutOfTime { .. } => Code::TryAgainLater,
        lease::Error::Store(ApiError { kind, .. }) => match kind {
            ErrorKind::Transient(_) | ErrorKind::Expired | ErrorKind::Refused => {
                Code::TryAgainLater
            }
            ErrorKind::Denied => Code::Denied,
            ErrorKind::NotInstalled => Code::NotInstalled,
            ErrorKind::NoCredentials => Code::InvalidConfig,
        },
        lease::Error::Refused(Refusal::Exhausted { .. }) => Code::Exhausted,
        lease::Error::Refused(Refusal::Disabled { .. }) => Code::NoPool,
        lease::Error::Refused(Refusal::Unavailable { .. }) => Code::AddressUnavailable,
    }
}
