//! Why a command failed, and the code that the runtime is told.

use std::error::Error as _;
use std::net::IpAddr;

use super::facts::Unfit;
use crate::cni::{Code, Failure, chain};
use crate::lease::{self, Kind, Lease, LeaseName, Refusal, Trouble};
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
        why: Unfit,
    },
    /// No pool fits, or what says which pools fit is malformed.
    #[error(transparent)]
    Select(#[from] select::Error),
    /// A ReservedIP that cannot be read: what is reserved is unknown.
    #[error("correct {0}; until then nobody knows what is reserved")]
    Reserved(crate::api::Unreadable),
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
    NotCollected(Vec<(LeaseName, lease::Error)>),
    /// The note of an earlier call for this container says "released" and cannot be removed.
    #[error("cannot remove this container's note below {}", super::NOTES)]
    Note(#[source] std::io::Error),
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

impl From<Error> for Failure {
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
            Error::NotCollected(left) => {
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
            | Error::Note(_)) => Self::because(code, &error),
        }
    }
}

/// What is told first, which is what to do where that is known, and what lies behind it.
fn told(error: &lease::Error) -> (String, String) {
    match error {
        lease::Error::Store(trouble) => match trouble.kind {
            Kind::Denied => {
                let said = trouble.source.source().map(chain);
                let details = [Some(trouble.to_string()), said].into_iter().flatten();
                let details: Vec<String> = details.collect();
                (trouble.source.to_string(), details.join(": "))
            }
            Kind::NotInstalled => (
                "apply crds/: the API server does not know leasehold's kinds".to_owned(),
                chain(trouble),
            ),
            Kind::NoWay => (chain(&*trouble.source), String::new()),
            Kind::Transient(_) | Kind::Expired | Kind::Refused => causes(error),
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
        Error::NotCollected(_) => Code::GcIncomplete,
        Error::Note(_) => Code::Io,
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
        | select::Error::Unroutable { .. } => Code::InvalidConfig,
    }
}

fn lease_code(error: &lease::Error) -> Code {
    match error {
        lease::Error::Late => Code::SandboxGone,
        lease::Error::OutOfTime { .. } => Code::TryAgainLater,
        lease::Error::Store(Trouble { kind, .. }) => match kind {
            Kind::Transient(_) | Kind::Expired | Kind::Refused => Code::TryAgainLater,
            Kind::Denied => Code::Denied,
            Kind::NotInstalled => Code::NotInstalled,
            Kind::NoWay => Code::InvalidConfig,
        },
        lease::Error::Refused(Refusal::Exhausted { .. }) => Code::Exhausted,
        lease::Error::Refused(Refusal::Disabled { .. }) => Code::NoPool,
        lease::Error::Refused(Refusal::Unavailable { .. }) => Code::AddressUnavailable,
    }
}
