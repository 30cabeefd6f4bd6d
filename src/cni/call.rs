//! A call as the runtime makes it: the command, and all that the command needs.
//!
//! What is wrong is refused here, before anything is done; but a DEL only if it lacks of
//! what ([`detach`](super::detach)). Whether pod, namespace and pools exist is for the commands to
//! find out.

use std::ffi::OsString;
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;

use rscni_types::types::{
    CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS, Cmd, ContainerId, GcAttachment, InterfaceName,
};
use rscni_types::version::{PluginInfo, SpecVersion};

use super::addresses;
use super::args::PodRef;
use super::config::Config;
use super::del::Del;
use super::document::{self, Document};
use super::environment::Environment;
use super::error::CniError;
use super::input_error::InputError;
use super::stdin::Stdin;
use super::version;

/// One call.
#[derive(Debug)]
pub enum Call {
    /// No command: a person started the plugin by hand.
    NoCommand,
    /// `VERSION`: to be answered with this.
    Version(PluginInfo),
    /// `STATUS`.
    Status(Status),
    /// `ADD`.
    Add(Add),
    /// `CHECK`.
    Check(Check),
    /// `DEL`.
    Del(Del),
    /// `GC`.
    Gc(Gc),
}

/// `STATUS`: whether an ADD could be served, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The version to answer in.
    pub version: SpecVersion,
    /// The settings in `ipam`.
    pub config: Config,
}

/// `ADD`: a pod's interface needs addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// The version to answer in.
    pub version: SpecVersion,
    /// The sandbox.
    pub container: ContainerId,
    /// The sandbox's network namespace: while it exists, the call is not late.
    pub netns: PathBuf,
    /// Whether that may be the network namespace of the plugin.
    pub may_be_own_netns: bool,
    /// The interface in the sandbox.
    pub interface: InterfaceName,
    /// The pod.
    pub pod: PodRef,
    /// The `name` of the CNI configuration.
    pub network: String,
    /// The settings in `ipam`.
    pub config: Config,
    /// Addresses asked for, at most one of each family.
    pub requested: Vec<IpAddr>,
}

/// `CHECK`: does the container still hold what ADD gave it?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The version to answer in.
    pub version: SpecVersion,
    /// The sandbox.
    pub container: ContainerId,
    /// The sandbox's network namespace.
    pub netns: PathBuf,
    /// The interface in the sandbox.
    pub interface: InterfaceName,
    /// The pod, if the runtime names it.
    pub pod: Option<PodRef>,
    /// The `name` of the CNI configuration.
    pub network: String,
    /// The settings in `ipam`.
    pub config: Config,
    /// The addresses in `prevResult`, at least one.
    pub previous: Vec<IpAddr>,
}

/// `GC`: release what none of the valid attachments holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gc {
    /// The version to answer in.
    pub version: SpecVersion,
    /// The `name` of the CNI configuration.
    pub network: String,
    /// The settings in `ipam`.
    pub config: Config,
    /// What is attached still; empty means that nothing is.
    pub valid: Vec<GcAttachment>,
}

impl Call {
    /// Reads the call, and stdin only if there is a command. A failure has the version of the
    /// configuration.
    pub fn read(
        env: impl Fn(&str) -> Option<OsString>,
        stdin: impl Read,
    ) -> Result<Self, CniError> {
        let env = Environment::new(&env);
        let Some(command) = env.command()? else {
            return Ok(Self::NoCommand);
        };
        let mut stdin = Stdin::read(stdin);
        let document = stdin.document();
        let version = document.version().unwrap_or_default();
        Self::of(command, &env, document).map_err(|error| CniError::from(error).in_version(version))
    }

    /// Its command and configuration, if it is one that does something for a network.
    #[must_use]
    pub fn with_config(&self) -> Option<(&'static str, &Config)> {
        match self {
            Self::NoCommand | Self::Version(_) => None,
            Self::Status(call) => Some(("STATUS", &call.config)),
            Self::Add(call) => Some(("ADD", &call.config)),
            Self::Check(call) => Some(("CHECK", &call.config)),
            Self::Del(call) => Some(("DEL", &call.config)),
            Self::Gc(call) => Some(("GC", &call.config)),
        }
    }

    fn of(command: Cmd, env: &Environment<'_>, document: Document<'_>) -> Result<Self, InputError> {
        match command {
            Cmd::Add => Add::read(env, document).map(Self::Add),
            Cmd::Check => Check::read(env, document).map(Self::Check),
            Cmd::Del => Del::read(env, document).map(Self::Del),
            Cmd::Gc => Gc::read(document).map(Self::Gc),
            Cmd::Status => Status::read(document).map(Self::Status),
            Cmd::Version => Ok(Self::Version(version::info(document.echoed_version()))),
        }
    }
}

impl Add {
    fn read(env: &Environment<'_>, document: Document<'_>) -> Result<Self, InputError> {
        let Sandbox {
            container,
            netns,
            interface,
        } = Sandbox::read(env)?;
        let args = env.args()?;
        let pod = args.pod()?;
        let (version, document) = document.whole(Cmd::Add)?;
        Ok(Self {
            version,
            container,
            netns,
            may_be_own_netns: env.may_be_own_netns(),
            interface,
            pod,
            network: document::network(&document)?,
            config: Config::strict(&document::ipam(&document)?)?,
            requested: addresses::requested(&document, &args)?,
        })
    }
}

impl Check {
    fn read(env: &Environment<'_>, document: Document<'_>) -> Result<Self, InputError> {
        let Sandbox {
            container,
            netns,
            interface,
        } = Sandbox::read(env)?;
        let pod = env.args()?.pod_if_named()?;
        let (version, document) = document.whole(Cmd::Check)?;
        let previous = document.get("prevResult").ok_or(InputError::Missing {
            key: "prevResult",
            expected: "the result of the ADD that is to be checked",
        })?;
        let addresses = addresses::of_result(&previous, &interface)?;
        if addresses.is_empty() {
            return Err(previous.refused("a result with an address of this interface"));
        }
        Ok(Self {
            version,
            container,
            netns,
            interface,
            pod,
            network: document::network(&document)?,
            config: Config::strict(&document::ipam(&document)?)?,
            previous: addresses,
        })
    }
}

impl Gc {
    fn read(document: Document<'_>) -> Result<Self, InputError> {
        let (version, document) = document.whole(Cmd::Gc)?;
        Ok(Self {
            version,
            network: document::network(&document)?,
            config: Config::strict(&document::ipam(&document)?)?,
            valid: document::valid_attachments(&document)?,
        })
    }
}

impl Status {
    fn read(document: Document<'_>) -> Result<Self, InputError> {
        let (version, document) = document.whole(Cmd::Status)?;
        Ok(Self {
            version,
            config: Config::strict(&document::ipam(&document)?)?,
        })
    }
}

/// What ADD and CHECK can't do without.
struct Sandbox {
    container: ContainerId,
    netns: PathBuf,
    interface: InterfaceName,
}

impl Sandbox {
    fn read(env: &Environment<'_>) -> Result<Self, InputError> {
        env.require(&[CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME])?;
        Ok(Self {
            container: env.container()?,
            netns: env
                .netns()?
                .ok_or_else(|| InputError::MissingVariables(vec![CNI_NETNS]))?,
            interface: env.interface()?,
        })
    }
}
