//! `DEL`: what was attached is gone, or about to be.
//!
//! A pod cannot end before its DEL has succeeded, so only a call that does not name *what* to
//! release is refused. Everything else is read as far as possible, and what is wrong with it
//! becomes a remark: a configuration that was broken after the ADD must not keep its pods
//! Terminating.

use std::net::IpAddr;
use std::path::PathBuf;

use rscni_types::types::{CNI_CONTAINERID, CNI_IFNAME, ContainerId, InterfaceName};
use rscni_types::version::SpecVersion;

use super::addresses;
use super::args::PodRef;
use super::config::{self, Config};
use super::document::{self, Document};
use super::environment::Environment;
use super::input_error::InputError;
use super::json::Object;
use crate::text::{chain, one_line};

/// A `DEL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Del {
    /// The version to answer in; the newest, where the configuration's can't be read.
    pub version: SpecVersion,
    /// The sandbox.
    pub container: ContainerId,
    /// The interface in the sandbox.
    pub interface: InterfaceName,
    /// The sandbox's network namespace, while it exists.
    pub netns: Option<PathBuf>,
    /// The pod, as far as it is known: by now another one may have the name.
    pub pod: Option<PodRef>,
    /// The `name` of the CNI configuration.
    pub network: Option<String>,
    /// The settings in `ipam`; what can't be read there has its default.
    pub config: Config,
    /// The addresses that the ADD gave; none where that is not certain, and a search has to find
    /// them.
    pub previous: Option<Vec<IpAddr>>,
    /// Whether the runtime knows of no result, though the version of the configuration has it pass
    /// that on: if the namespace exists, another plugin failed after this one.
    pub follows_failed_add: bool,
    /// What was wrong, in lines for stderr.
    pub remarks: Vec<String>,
}

impl Del {
    pub(super) fn read(env: &Environment<'_>, document: Document<'_>) -> Result<Self, InputError> {
        env.require(&[CNI_CONTAINERID, CNI_IFNAME])?;
        let (container, interface) = (env.container()?, env.interface()?);
        let mut remarks = Remarks::default();
        let netns = remarks.unless(env.netns()).flatten();
        let pod = remarks
            .unless(env.args().and_then(|args| args.pod_if_named()))
            .flatten();
        let version = document.version();
        let (document, fault) = document.salvaged();
        // A document that is cut off may lack its version for that reason: one remark will do.
        let is_whole = fault.is_none();
        let version = match fault {
            Some(fault) => {
                remarks.add(&fault);
                version.ok()
            }
            None => remarks.unless(version),
        };
        let result = document.get("prevResult");
        let follows_failed_add =
            result.is_none() && is_whole && version.is_some_and(passes_result_to_del);
        let network = remarks.unless(document::network(&document));
        let ipam = remarks.unless(document::ipam(&document));
        let (config, faults) = ipam.as_ref().map(Config::lenient).unwrap_or_default();
        for fault in &faults {
            remarks.add(fault);
        }
        let previous = match result {
            Some(result) if knows_its_vrf(ipam.as_ref()) => remarks
                .unless(addresses::of_result(&result, &interface))
                .filter(|addresses| !addresses.is_empty()),
            _ => None,
        };
        Ok(Self {
            version: version.unwrap_or_default(),
            container,
            interface,
            netns,
            pod,
            network,
            config,
            previous,
            follows_failed_add,
            remarks: remarks.into_lines(),
        })
    }
}

/// Runtimes pass the result of ADD to DEL since 0.4.0.
fn passes_result_to_del(version: SpecVersion) -> bool {
    version >= SpecVersion::new(0, 4, 0)
}

/// An address names a lease only together with the address space that it is in.
fn knows_its_vrf(ipam: Option<&Object<'_>>) -> bool {
    ipam.is_some_and(|ipam| {
        ipam.get("vrf")
            .is_none_or(|field| config::vrf(&field).is_ok())
    })
}

#[derive(Default)]
struct Remarks {
    lines: Vec<String>,
    untold: usize,
}

impl Remarks {
    /// More would not be read in the log of a runtime.
    const MOST: usize = 10;

    fn unless<T>(&mut self, outcome: Result<T, InputError>) -> Option<T> {
        outcome.inspect_err(|fault| self.add(fault)).ok()
    }

    fn add(&mut self, fault: &InputError) {
        if self.lines.len() < Self::MOST {
            self.lines
                .push(one_line(&format!("ignored: {}", chain(fault))));
        } else {
            self.untold += 1;
        }
    }

    fn into_lines(mut self) -> Vec<String> {
        if self.untold > 0 {
            self.lines.push(format!("ignored: {} more", self.untold));
        }
        self.lines
    }
}
