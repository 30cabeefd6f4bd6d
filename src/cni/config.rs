//! The `ipam` object: what an administrator asks of leasehold, as meant.
//!
//! Nothing after this module handles a missing key or a number in a text. [`select`](crate::select)
//! finds out what a pool's name matches, and whether such pools exist.

use std::path::PathBuf;
use std::time::Duration;

use super::input_error::InputError;
use super::json::{Field, Object};
use crate::ip::{Family, Vrf};
use crate::json::{fold, hint};

/// Every key of `ipam`, for [`Config::set`] and for the hint at a mistyped one.
const KEYS: [&str; 10] = [
    "type",
    "kubeconfig",
    "ipv4Pools",
    "ipv6Pools",
    "ipFamilyPolicy",
    "ipFamilies",
    "cleanGateway",
    "timeoutSeconds",
    "vrf",
    "metricsDir",
];

/// Items of a list of pools: each may be a pattern, which is held against every pool of the
/// cluster.
const MAX_POOLS: usize = 64;

/// What the `ipam` object asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The API server and the credentials for it; none: the kubelet's, where this distribution has
    /// it.
    pub kubeconfig: Option<PathBuf>,
    /// Names of IPv4 pools in order of preference, `*`, `?` and `[…]` allowed; empty: not given.
    pub ipv4_pools: Vec<String>,
    /// The same for IPv6.
    pub ipv6_pools: Vec<String>,
    /// How many families a pod gets.
    pub policy: FamilyPolicy,
    /// The families to try, in this order, never empty: one for `SingleStack`, else both. As in a
    /// Service, a family that `ipFamilies` leaves out comes second.
    pub families: Vec<Family>,
    /// Whether the pod gets no default route from its pools.
    pub clean_gateway: bool,
    /// How long a call may take: 1 to 600 s.
    pub timeout: Duration,
    /// The address space.
    pub vrf: Vrf,
    /// The folder for a call's metrics; none: they are not recorded.
    pub metrics_dir: Option<PathBuf>,
}

/// How many address families a pod gets: `ipFamilyPolicy` as in a Service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FamilyPolicy {
    /// The first family only.
    SingleStack,
    /// Both, where there are pools for both.
    #[default]
    PreferDualStack,
    /// Both, or none.
    RequireDualStack,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            ipv4_pools: Vec::new(),
            ipv6_pools: Vec::new(),
            policy: FamilyPolicy::default(),
            families: Family::BOTH.to_vec(),
            clean_gateway: false,
            // Runtimes give a sandbox two minutes and more; our own deadline leaves a message
            // behind.
            timeout: Duration::from_secs(50),
            vrf: Vrf::default(),
            metrics_dir: None,
        }
    }
}

impl Config {
    /// Reads the object whole, or refuses it for the first thing that is wrong.
    pub fn strict(ipam: &Object<'_>) -> Result<Self, InputError> {
        let (config, errors) = Self::lenient(ipam);
        match errors.into_iter().next() {
            None => Ok(config),
            Some(error) => Err(error),
        }
    }

    /// Reads what can be read; what can't has its default, and an error beside.
    #[must_use]
    pub fn lenient(ipam: &Object<'_>) -> (Self, Vec<InputError>) {
        let mut config = Self::default();
        let mut errors: Vec<InputError> = ipam
            .iter()
            .filter_map(|(key, field)| config.set(key, &field).err())
            .collect();
        if let Err(error) = config.order_families(ipam) {
            errors.push(error);
        }
        (config, errors)
    }

    fn set(&mut self, key: &str, field: &Field<'_>) -> Result<(), InputError> {
        let known = KEYS.into_iter().find(|known| fold(known) == fold(key));
        match known {
            // The runtime found this program by its type; ipFamilies need the policy, which may
            // come later.
            Some("type" | "ipFamilies") => {}
            Some("kubeconfig") => self.kubeconfig = absolute(field)?,
            Some("ipv4Pools") => self.ipv4_pools = pools(field)?,
            Some("ipv6Pools") => self.ipv6_pools = pools(field)?,
            Some("ipFamilyPolicy") => self.policy = policy(field)?,
            Some("cleanGateway") => self.clean_gateway = field.read("true or false")?,
            Some("timeoutSeconds") => self.timeout = timeout(field)?,
            Some("vrf") => self.vrf = vrf(field)?,
            Some("metricsDir") => self.metrics_dir = absolute(field)?,
            Some(_) | None => {
                return Err(InputError::UnknownKey {
                    key: field.path.clone(),
                    value: field.found(),
                    hint: hint(key, &KEYS),
                });
            }
        }
        Ok(())
    }

    fn order_families(&mut self, ipam: &Object<'_>) -> Result<(), InputError> {
        if let Some(field) = ipam
            .get("ipFamilies")
            .filter(|field| !field.is_empty_list())
        {
            self.families = families(&field)?;
        }
        match self.policy {
            FamilyPolicy::SingleStack => self.families.truncate(1),
            FamilyPolicy::PreferDualStack | FamilyPolicy::RequireDualStack => {}
        }
        Ok(())
    }
}

/// The address space that `ipam` names.
pub(super) fn vrf(field: &Field<'_>) -> Result<Vrf, InputError> {
    const EXPECTED: &str = "\"\" or a DNS label that begins with a letter";
    let text: String = field.read(EXPECTED)?;
    text.parse().map_err(|_| field.refused(EXPECTED))
}

fn absolute(field: &Field<'_>) -> Result<Option<PathBuf>, InputError> {
    const EXPECTED: &str = "an absolute path";
    if field.is_empty_text() {
        return Ok(None);
    }
    let path: PathBuf = field.read(EXPECTED)?;
    // A NUL ends the path for the kernel, and no path is longer than PATH_MAX.
    let text = path.as_os_str().as_encoded_bytes();
    if path.is_absolute() && text.len() < 4096 && !text.contains(&0) {
        Ok(Some(path))
    } else {
        Err(field.refused(EXPECTED))
    }
}

fn pools(field: &Field<'_>) -> Result<Vec<String>, InputError> {
    const EXPECTED: &str =
        "a list of at most 64 pools, by name or pattern (without the key: the default pools)";
    let names: Vec<String> = field.read(EXPECTED)?;
    let fits = |name: &String| {
        // Names in Kubernetes end at 253; a pattern may be longer than what it matches.
        !name.is_empty() && name.len() <= 1024 && name.bytes().all(|b| b.is_ascii_graphic())
    };
    if names.len() <= MAX_POOLS && names.iter().all(fits) {
        Ok(names)
    } else {
        Err(field.refused(EXPECTED))
    }
}

fn policy(field: &Field<'_>) -> Result<FamilyPolicy, InputError> {
    const EXPECTED: &str = "SingleStack, PreferDualStack or RequireDualStack";
    match field.read::<String>(EXPECTED)?.as_str() {
        "" => Ok(FamilyPolicy::default()),
        "SingleStack" => Ok(FamilyPolicy::SingleStack),
        "PreferDualStack" => Ok(FamilyPolicy::PreferDualStack),
        "RequireDualStack" => Ok(FamilyPolicy::RequireDualStack),
        _ => Err(field.refused(EXPECTED)),
    }
}

fn families(field: &Field<'_>) -> Result<Vec<Family>, InputError> {
    const EXPECTED: &str = "a list of IPv4, IPv6 or both, the preferred one first";
    let names: Vec<String> = field.read(EXPECTED)?;
    match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["IPv4"] | ["IPv4", "IPv6"] => Ok(vec![Family::V4, Family::V6]),
        ["IPv6"] | ["IPv6", "IPv4"] => Ok(vec![Family::V6, Family::V4]),
        _ => Err(field.refused(EXPECTED)),
    }
}

fn timeout(field: &Field<'_>) -> Result<Duration, InputError> {
    const EXPECTED: &str = "a whole number from 1 to 600";
    let seconds: u64 = field.read(EXPECTED)?;
    if (1..=600).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(field.refused(EXPECTED))
    }
}
