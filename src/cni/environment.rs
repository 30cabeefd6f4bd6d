//! The environment variables of a call.
//!
//! Read through a function, so that a test needs no process of its own. An empty variable counts as
//! not set, because libcni always sets all of them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use rscni_types::types::{
    CNI_ARGS, CNI_COMMAND, CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS, Cmd, ContainerId, InterfaceName,
};

use super::args::Args;
use super::input_error::InputError;
use crate::text::shown;

/// Where the variables come from.
pub struct Environment<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl<'a> Environment<'a> {
    /// Variables as `lookup` finds them.
    #[must_use]
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self(lookup)
    }

    /// The command, if there is one.
    pub fn command(&self) -> Result<Option<Cmd>, InputError> {
        let Some(text) = self.text(CNI_COMMAND)? else {
            return Ok(None);
        };
        let command = text
            .parse()
            .map_err(|_| InputError::Command(shown(&format!("{text:?}"))))?;
        Ok(Some(command))
    }

    /// Refuses with *all* the names when some of `names` are not set.
    pub fn require(&self, names: &[&'static str]) -> Result<(), InputError> {
        let missing: Vec<&'static str> = names
            .iter()
            .copied()
            .filter(|name| (self.0)(name).is_none_or(|value| value.is_empty()))
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(InputError::MissingVariables(missing))
        }
    }

    /// The container.
    pub fn container(&self) -> Result<ContainerId, InputError> {
        self.parsed(
            CNI_CONTAINERID,
            "at most 253 of a-z, A-Z, 0-9, \"_\", \".\" and \"-\", the first a letter or digit",
            // The specification has no limit; a lease does, and no runtime has more than 64.
            |id: &ContainerId| id.len() <= 253,
        )
    }

    /// The interface in the container.
    pub fn interface(&self) -> Result<InterfaceName, InputError> {
        self.parsed(
            CNI_IFNAME,
            "at most 15 bytes without \"/\", \":\" and white space",
            |name: &InterfaceName| !name.chars().any(char::is_control),
        )
    }

    /// The container's network namespace, if it has one (yet, or still).
    pub fn netns(&self) -> Result<Option<PathBuf>, InputError> {
        Ok(self.text(CNI_NETNS)?.map(PathBuf::from))
    }

    /// Whether the container may have the network namespace of the plugin (`CNI_NETNS_OVERRIDE`, as
    /// in CNI's Go library).
    #[must_use]
    pub fn may_be_own_netns(&self) -> bool {
        let value = (self.0)("CNI_NETNS_OVERRIDE").unwrap_or_default();
        value == "1" || value.eq_ignore_ascii_case("true")
    }

    /// The pairs of `CNI_ARGS`.
    pub fn args(&self) -> Result<Args, InputError> {
        match self.text(CNI_ARGS)? {
            Some(text) => Args::parse(&text),
            None => Ok(Args::default()),
        }
    }

    fn parsed<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
        fits: impl Fn(&T) -> bool,
    ) -> Result<T, InputError> {
        let text = self
            .text(name)?
            .ok_or_else(|| InputError::MissingVariables(vec![name]))?;
        text.parse()
            .ok()
            .filter(fits)
            .ok_or_else(|| InputError::Variable {
                name,
                found: shown(&format!("{text:?}")),
                expected,
            })
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, InputError> {
        match (self.0)(name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(Err(raw)) => Err(InputError::Variable {
                name,
                found: shown(&format!("{:?}", raw.to_string_lossy())),
                expected: "UTF-8",
            }),
        }
    }
}
