//! `CNI_ARGS`: which pod the call is for.
//!
//! Pairs are read as the Go library reads them (`pkg/types/args.go`): split at every `;`, exactly
//! one `=` in each, case-sensitive keys, the last of two, and an unknown key is an error unless
//! `IgnoreUnknown` is set.

use super::input_error::InputError;
use crate::text::shown;

/// The pod that a call is for, as the runtime names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodRef {
    /// Its namespace, a DNS label.
    pub namespace: String,
    /// Its name, a DNS subdomain.
    pub name: String,
    /// Its UID, or for a static pod the hash of its manifest. Older runtimes, and Multus on them,
    /// do not have it.
    pub uid: Option<String>,
}

/// The pairs that leasehold knows, not parsed yet. One without a value counts as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    namespace: Option<String>,
    name: Option<String>,
    uid: Option<String>,
    ip: Option<String>,
}

const NAMESPACE: &str = "K8S_POD_NAMESPACE";
const NAME: &str = "K8S_POD_NAME";
const UID: &str = "K8S_POD_UID";

impl Args {
    /// Reads the value of `CNI_ARGS`.
    pub fn parse(text: &str) -> Result<Self, InputError> {
        let mut args = Self::default();
        if text.is_empty() {
            return Ok(args);
        }
        let mut ignore_unknown = false;
        let mut unknown = None;
        for pair in text.split(';') {
            let (key, value) = pair
                .split_once('=')
                .filter(|(_, value)| !value.contains('='))
                .ok_or_else(|| InputError::Pair(shown(&format!("{pair:?}"))))?;
            let given = (!value.is_empty()).then(|| value.to_owned());
            match key {
                NAMESPACE => args.namespace = given,
                NAME => args.name = given,
                UID => args.uid = given,
                "IP" => args.ip = given,
                // The same as CNI_CONTAINERID.
                "K8S_POD_INFRA_CONTAINER_ID" => {}
                "IgnoreUnknown" => ignore_unknown = switch(value)?,
                _ => unknown = unknown.or(Some(pair)),
            }
        }
        match unknown {
            Some(pair) if !ignore_unknown => {
                Err(InputError::UnknownArgument(shown(&format!("{pair:?}"))))
            }
            _ => Ok(args),
        }
    }

    /// The pod; the error names *all* keys that are missing.
    pub fn pod(&self) -> Result<PodRef, InputError> {
        self.pod_if_named()?.ok_or_else(|| {
            InputError::MissingArguments(
                [(NAMESPACE, &self.namespace), (NAME, &self.name)]
                    .into_iter()
                    .filter_map(|(key, value)| value.is_none().then_some(key))
                    .collect(),
            )
        })
    }

    /// The pod, if namespace and name are given.
    pub fn pod_if_named(&self) -> Result<Option<PodRef>, InputError> {
        let (Some(namespace), Some(name)) = (&self.namespace, &self.name) else {
            return Ok(None);
        };
        Ok(Some(PodRef {
            namespace: checked(
                NAMESPACE,
                namespace,
                is_label,
                "a namespace (at most 63 of a-z, 0-9 and \"-\", first and last no \"-\")",
            )?,
            name: checked(
                NAME,
                name,
                is_subdomain,
                "a pod's name (at most 253 of a-z, 0-9, \"-\" and \".\", first and last a letter or digit)",
            )?,
            uid: match &self.uid {
                None => None,
                Some(uid) => Some(checked(
                    UID,
                    uid,
                    |uid| uid.len() <= 128 && uid.bytes().all(|b| b.is_ascii_graphic()),
                    "a UID (at most 128 visible characters of ASCII)",
                )?),
            },
        }))
    }

    /// The addresses asked for by `IP=`, separated by commas.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.ip.as_deref()
    }
}

fn switch(value: &str) -> Result<bool, InputError> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(InputError::Argument {
            key: "IgnoreUnknown",
            found: shown(&format!("{value:?}")),
            expected: "1, true, 0 or false",
        }),
    }
}

fn checked(
    key: &'static str,
    value: &str,
    fits: impl Fn(&str) -> bool,
    expected: &'static str,
) -> Result<String, InputError> {
    if fits(value) {
        Ok(value.to_owned())
    } else {
        Err(InputError::Argument {
            key,
            found: shown(&format!("{value:?}")),
            expected,
        })
    }
}

/// A DNS subdomain as Kubernetes defines it: it limits the length of the whole, not of the labels.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label_of_any_length)
}

/// A DNS label (RFC 1123).
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_label_of_any_length(text)
}

fn is_label_of_any_length(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}
