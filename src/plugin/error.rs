//! Why a verb failed, and the code that the runtime gets for it.

use std::error::Error as StdError;
use std::net::IpAddr;

use super::pod::PodError;
use crate::annotations::Malformed;
use crate::claim::{NoApplication, NotSticky, Unusable};
use crate::cni::{CniError, Code};
use crate::gather;
use crate::lease::{self, AcquireError, Lease, LeaseName, Refusal};
use crate::pool::InvalidReservedIP;
use crate::retry::{self, ApiError, ErrorKind};
use crate::select::{self, Trace};
use crate::text::{ERROR_BYTES, chain, counted};

/// How much of an error's details may be about the choice of pools, in bytes.
const TRACE_BYTES: usize = ERROR_BYTES * 2 / 5;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A runtime that mixes up namespaces would have the node's interfaces changed.
    #[error("CNI_NETNS is the network namespace of the plugin itself, not that of a container")]
    OwnNetns,
    /// There are no credentials for the API server.
    #[error(transparent)]
    Credentials(Box<dyn StdError + Send + Sync>),
    /// The claim that the pod names is no set to use.
    #[error(transparent)]
    Set(#[from] Unusable),
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
    /// An annotation of the pod that chooses no pool is not of its shape.
    #[error(transparent)]
    Malformed(Malformed),
    /// The pod asks for a set of its application, which is unknown.
    #[error(transparent)]
    NoApplication(#[from] NoApplication),
    /// No address can be kept for the pod's name.
    #[error(transparent)]
    NotSticky(#[from] NotSticky),
    /// No pool fits, or an annotation that chooses pools is malformed.
    #[error(transparent)]
    Select(#[from] select::Error),
    /// A ReservedIP that cannot be read.
    #[error("correct {0}: until then no address can be given, because what is reserved is unknown")]
    Reserved(InvalidReservedIP),
    /// The API server refused, or gave no definite answer in time.
    #[error(transparent)]
    Retry(#[from] retry::Error),
    /// No address could be acquired.
    #[error("no address was acquired")]
    Acquire {
        /// Why.
        #[source]
        error: lease::Error,
        /// Which pools were considered, and why others were not.
        trace: String,
        /// Leases of which it is not known what has become of them.
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
    #[error("{} could not be released", counted(.0.len(), "lease"))]
    GcIncomplete(Vec<(LeaseName, retry::Error)>),
    /// The release cache has an entry that this container's addresses were released, and it can't
    /// be removed.
    #[error("cannot remove this container's entry in the release cache")]
    CacheEntry(#[source] std::io::Error),
}

impl From<gather::Error> for Error {
    fn from(error: gather::Error) -> Self {
        match error {
            gather::Error::Retry(error) => Self::Retry(error),
            gather::Error::Reserved(error) => Self::Reserved(error),
            gather::Error::Select(error) => Self::Select(error),
        }
    }
}

impl Error {
    pub(super) fn acquire(AcquireError { error, unsettled }: AcquireError, trace: &Trace) -> Self {
        Self::Acquire {
            error,
            trace: trace.summary(TRACE_BYTES),
            unsettled,
        }
    }
}

/// A later container of the same pod differs by its id alone.
fn found_as(lease: Option<&Lease>) -> String {
    let Some(Lease { state, holder, .. }) = lease else {
        return "it has no lease".to_owned();
    };
    let description = lease::describe(*state, holder.as_ref());
    match holder {
        Some(holder) => format!("it is {description}, container {}", holder.container),
        None => format!("it is {description}"),
    }
}

impl From<Error> for CniError {
    fn from(error: Error) -> Self {
        let code = code(&error);
        match error {
            Error::Retry(error) => Message::of(&error).into_error(code, []),
            Error::Acquire {
                error,
                trace,
                unsettled,
            } => {
                let message = match &error {
                    lease::Error::Retry(error) => Message::of(error),
                    lease::Error::Late | lease::Error::Outdated | lease::Error::Refused(_) => {
                        Message::plain(&error)
                    }
                };
                let unknown = unsettled.iter().map(|name| {
                    format!("lease {name} may have been written, the collector checks it")
                });
                // Which pools there were is of interest only where they are the reason.
                let trace = match &error {
                    lease::Error::Refused(Refusal::Awaited { holder, .. }) => {
                        Some(end_of_wait(&holder.node))
                    }
                    lease::Error::Refused(_) => Some(trace),
                    lease::Error::Late | lease::Error::Outdated | lease::Error::Retry(_) => None,
                };
                message.into_error(code, unknown.chain(trace))
            }
            Error::GcIncomplete(ref left) => {
                let each = left
                    .iter()
                    .map(|(name, error)| format!("{name}: {}", chain(error)));
                Message::plain(&error).into_error(code, each)
            }
            Error::Select(error) => {
                let details = error.details();
                Self::because(code, &error).with_details(details)
            }
            error @ (Error::Credentials(_)
            | Error::PodUnfit { .. }
            | Error::Set(_)
            | Error::Malformed(_)
            | Error::NoApplication(_)
            | Error::NotSticky(_)
            | Error::Reserved(_)
            | Error::NotHeld { .. }
            | Error::OwnNetns
            | Error::CacheEntry(_)) => Self::because(code, &error),
        }
    }
}

/// What gives a pod the address that an earlier pod of its name has on `node`.
fn end_of_wait(node: &str) -> String {
    format!(
        "the address comes free when node {node} has torn that pod down, or when the collector has proof that its containers \
         are gone; if the node never comes back, delete its Node object or give it the taint \
         node.kubernetes.io/out-of-service"
    )
}

/// What comes first, which is what to do where that is known, and what is behind it.
struct Message {
    first: String,
    cause: String,
}

impl Message {
    fn of(error: &retry::Error) -> Self {
        let retry::Error::Api(api_error) = error else {
            return Self::plain(error);
        };
        match api_error.kind {
            ErrorKind::Denied | ErrorKind::Forbidden => {
                let answer = api_error.source.source().map(chain);
                let details = [Some(api_error.to_string()), answer];
                let details: Vec<String> = details.into_iter().flatten().collect();
                Self {
                    first: api_error.source.to_string(),
                    cause: details.join(": "),
                }
            }
            ErrorKind::NotInstalled => Self {
                first: "apply crds/: the API server does not know leasehold's kinds".to_owned(),
                cause: chain(api_error),
            },
            ErrorKind::NoCredentials => Self {
                first: chain(&*api_error.source),
                cause: String::new(),
            },
            ErrorKind::Transient(_)
            | ErrorKind::Unreachable
            | ErrorKind::Expired
            | ErrorKind::Untrusted
            | ErrorKind::Refused => Self::plain(error),
        }
    }

    fn plain(error: &dyn StdError) -> Self {
        Self {
            first: error.to_string(),
            cause: error.source().map(chain).unwrap_or_default(),
        }
    }

    fn into_error(self, code: Code, more: impl IntoIterator<Item = String>) -> CniError {
        let mut parts: Vec<String> = [self.cause].into_iter().chain(more).collect();
        parts.retain(|part| !part.is_empty());
        CniError::new(code, self.first).with_details(parts.join("; "))
    }
}

fn code(error: &Error) -> Code {
    match error {
        Error::Credentials(_)
        | Error::Reserved(_)
        | Error::Malformed(_)
        | Error::NoApplication(_)
        | Error::NotSticky(_) => Code::InvalidConfig,
        Error::PodUnfit { .. } => Code::PodUnfit,
        Error::Set(unusable) => set_code(unusable),
        Error::Select(error) => select_code(error),
        Error::Retry(error) => retry_code(error),
        Error::Acquire { error, .. } => match error {
            lease::Error::Late => Code::SandboxGone,
            lease::Error::Outdated | lease::Error::Refused(Refusal::Awaited { .. }) => {
                Code::TryAgainLater
            }
            lease::Error::Retry(error) => retry_code(error),
            lease::Error::Refused(Refusal::Exhausted { .. }) => Code::Exhausted,
            lease::Error::Refused(Refusal::Set(unusable)) => set_code(unusable),
            lease::Error::Refused(Refusal::Disabled { .. }) => Code::NoPool,
            lease::Error::Refused(Refusal::Unavailable { .. }) => Code::AddressUnavailable,
        },
        Error::NotHeld { .. } => Code::NotHeld,
        Error::OwnNetns => Code::InvalidNetns,
        Error::GcIncomplete(_) => Code::GcIncomplete,
        Error::CacheEntry(_) => Code::Io,
    }
}

fn set_code(unusable: &Unusable) -> Code {
    match unusable {
        Unusable::Full { .. } | Unusable::NoRoom { .. } => Code::Exhausted,
        Unusable::Making { .. } | Unusable::NotGone(_) => Code::TryAgainLater,
        Unusable::NoneOf(each) => each.first().map_or(Code::NoPool, set_code),
        Unusable::Missing(_)
        | Unusable::OfAnother(_)
        | Unusable::NoApplication(_)
        | Unusable::NoReplicas(_)
        | Unusable::Deleting(_)
        | Unusable::Invalid(..)
        | Unusable::Unresolved { .. } => Code::NoPool,
    }
}

fn select_code(error: &select::Error) -> Code {
    match error {
        select::Error::NoPool { .. } | select::Error::ClaimOutsidePools { .. } => Code::NoPool,
        select::Error::NotInPool { .. } | select::Error::FamilyNotGiven { .. } => {
            Code::AddressUnavailable
        }
        select::Error::DerivedClaim { .. }
        | select::Error::ClaimOfOtherVrf { .. }
        | select::Error::BadConfig { .. }
        | select::Error::Malformed { .. }
        | select::Error::Unserved { .. }
        | select::Error::InterfaceNotNamed { .. }
        | select::Error::InterfaceWithoutItem { .. }
        | select::Error::NoSuchInterface { .. }
        | select::Error::RouteError { .. } => Code::InvalidConfig,
    }
}

fn retry_code(error: &retry::Error) -> Code {
    match error {
        retry::Error::OutOfTime { .. } => Code::TryAgainLater,
        retry::Error::Api(ApiError { kind, .. }) => match kind {
            ErrorKind::Transient(_)
            | ErrorKind::Unreachable
            | ErrorKind::Expired
            | ErrorKind::Refused => Code::TryAgainLater,
            ErrorKind::Denied | ErrorKind::Forbidden => Code::Denied,
            ErrorKind::NotInstalled => Code::NotInstalled,
            ErrorKind::Untrusted | ErrorKind::NoCredentials => Code::InvalidConfig,
        },
    }
}
