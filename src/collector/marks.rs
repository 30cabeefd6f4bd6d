//! What a run leaves for the next one: which leases looked dead, at which version, and since when.
//!
//! Marks are kept in ConfigMaps of the collector's own, one line a lease. Here they are read,
//! judged and written as texts; fetching and storing them is for [`run`](super::run).
//!
//! # Invariants
//!
//! - A mark is about one version of one object: any write to the lease voids it.
//! - A mark that lies in the future is void, and so are all that no run has confirmed for
//!   [`STALE`].
//! - What can't be read is no mark.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::compact::{Uid, Version};
use super::now::Now;
use super::snapshot::LeaseSnapshot;
use crate::lease::LeaseName;

/// The name of the first ConfigMap; the others have `-2`, `-3`, … behind it.
pub const CONFIG_MAP: &str = "leasehold-gc-marks";

/// How many marks there are at most: more leases than that wait for a later run.
pub const MOST: usize = 20_000;

/// How many fit into one ConfigMap, which may have 1 MiB.
const PER_PAGE: usize = 4_000;
const PAGE_BYTES: usize = 900_000;

/// For how long a mark counts that no run confirms: too many runs in between saw nothing.
pub const STALE: Duration = Duration::from_mins(15);

/// The key of the time of the last run that confirmed the marks. No lease has such a name.
const CONFIRMED: &str = "confirmedAt";

/// What one run saw of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The lease's uid.
    pub uid: Uid,
    /// The lease's `resourceVersion`.
    pub version: Version,
    /// When the first run saw it like this.
    pub since: Timestamp,
    /// What is known of a pod that is gone.
    pub gone: Option<Gone>,
}

/// What is known of a pod that is gone, and of its node since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The first run that saw that it is gone.
    pub since: Timestamp,
    /// The version of the node's heartbeat then; `None`: there was none.
    pub heartbeat: Option<Box<str>>,
    /// The first run since when the node is Ready and has renewed its heartbeat.
    pub contact: Option<Timestamp>,
    /// The first run since when the Node object is gone.
    pub node_absent: Option<Timestamp>,
}

impl Mark {
    /// A first mark of this version of a lease.
    #[must_use]
    pub fn new(lease: &LeaseSnapshot, since: Timestamp) -> Self {
        Self {
            uid: lease.uid.clone(),
            version: lease.version.clone(),
            since,
            gone: None,
        }
    }

    fn write(&self) -> String {
        let mut text = format!(
            "uid={} version={} since={}",
            self.uid,
            self.version,
            seconds(self.since)
        );
        if let Some(gone) = &self.gone {
            let mut field = |key: &str, value: Option<String>| {
                if let Some(value) = value {
                    let _ = write!(text, " {key}={value}");
                }
            };
            field("goneSince", Some(seconds(gone.since)));
            field("heartbeat", gone.heartbeat.as_deref().map(str::to_owned));
            field("contactSince", gone.contact.map(seconds));
            field("nodeAbsentSince", gone.node_absent.map(seconds));
        }
        text
    }

    fn read(text: &str) -> Option<Self> {
        let fields = fields(text)?;
        let get = |key: &str| fields.get(key).copied();
        // A time that can't be read voids the mark, rather than its part in it.
        let time = |key: &str| match get(key) {
            Some(text) => text.parse().map(Some).ok(),
            None => Some(None),
        };
        let (contact, node_absent) = (time("contactSince")?, time("nodeAbsentSince")?);
        let gone = time("goneSince")?.map(|since| Gone {
            since,
            heartbeat: get("heartbeat").map(Box::from),
            contact,
            node_absent,
        });
        Some(Self {
            uid: get("uid")?.into(),
            version: get("version")?.into(),
            since: time("since")??,
            gone,
        })
    }

    fn times(&self) -> impl Iterator<Item = Timestamp> {
        let gone = self.gone.iter();
        let of_gone = gone.flat_map(|gone| {
            [Some(gone.since), gone.contact, gone.node_absent]
                .into_iter()
                .flatten()
        });
        std::iter::once(self.since).chain(of_gone)
    }
}

/// A lease that one run saw missing: the pod that uses the address, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingMark {
    /// The pod's uid.
    pub pod: Uid,
    /// When the first run saw it like this.
    pub since: Timestamp,
}

/// All marks of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkTable {
    leases: BTreeMap<LeaseName, Mark>,
    missing: BTreeMap<LeaseName, MissingMark>,
}

/// One ConfigMap's texts.
pub type Page = BTreeMap<String, String>;

/// Marks that count for nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Void {
    /// No run has confirmed them for too long.
    pub stale: usize,
    /// They lie in the future.
    pub future: usize,
    /// They can't be read.
    pub unreadable: usize,
}

impl MarkTable {
    /// The marks of these ConfigMaps that are valid now.
    #[must_use]
    pub fn read(pages: &[Page], now: &Now) -> (Self, Void) {
        let (mut marks, mut void) = (Self::default(), Void::default());
        for page in pages {
            let lines = page.iter().filter(|(key, _)| *key != CONFIRMED);
            let confirmed = page.get(CONFIRMED).and_then(|at| at.parse().ok());
            let Some(confirmed): Option<Timestamp> = confirmed else {
                void.unreadable += lines.count();
                continue;
            };
            if now.is_future(confirmed) {
                void.future += lines.count();
                continue;
            }
            if now.age(confirmed).is_none_or(|age| age > STALE) {
                void.stale += lines.count();
                continue;
            }
            for (key, text) in lines {
                *match marks.insert(key, text, now) {
                    Line::Valid => continue,
                    Line::Future => &mut void.future,
                    Line::Unreadable => &mut void.unreadable,
                } += 1;
            }
        }
        (marks, void)
    }

    fn insert(&mut self, key: &str, text: &str, now: &Now) -> Line {
        let Ok(name) = key.parse::<LeaseName>() else {
            return Line::Unreadable;
        };
        let in_time = |at: Timestamp| !now.is_future(at);
        if let Some(mark) = MissingMark::read(text) {
            if !in_time(mark.since) {
                return Line::Future;
            }
            self.missing.insert(name, mark);
        } else if let Some(mark) = Mark::read(text) {
            if !mark.times().all(in_time) {
                return Line::Future;
            }
            self.leases.insert(name, mark);
        } else {
            return Line::Unreadable;
        }
        Line::Valid
    }

    /// The mark of exactly this version of a lease.
    #[must_use]
    pub fn of(&self, lease: &LeaseSnapshot) -> Option<&Mark> {
        let mark = self.leases.get(&lease.name)?;
        (mark.uid == lease.uid && mark.version == lease.version).then_some(mark)
    }

    /// Since when this lease of this pod is known to be missing.
    #[must_use]
    pub fn of_missing(&self, name: &LeaseName, pod: &Uid) -> Option<&MissingMark> {
        self.missing.get(name).filter(|mark| mark.pod == *pod)
    }

    /// Marks a lease; `false`: there is no room for another mark.
    pub fn set(&mut self, name: LeaseName, mark: Mark) -> bool {
        let has_room = self.len() < MOST;
        if has_room {
            self.leases.insert(name, mark);
        }
        has_room
    }

    /// Marks a lease as missing; `false`: there is no room for another mark.
    pub fn set_missing(&mut self, name: LeaseName, mark: MissingMark) -> bool {
        let has_room = self.len() < MOST;
        if has_room {
            self.missing.insert(name, mark);
        }
        has_room
    }

    /// Takes a mark away.
    pub fn remove(&mut self, name: &LeaseName) {
        self.leases.remove(name);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leases.len() + self.missing.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The texts of as many ConfigMaps as it takes, confirmed at `now`.
    #[must_use]
    pub fn write(&self, now: Timestamp) -> Vec<Page> {
        let leases = self
            .leases
            .iter()
            .map(|(name, mark)| (name.to_string(), mark.write()));
        let missing = self
            .missing
            .iter()
            .map(|(name, mark)| (name.to_string(), mark.write()));
        let mut pages: Vec<(usize, Page)> = Vec::new();
        for (key, text) in leases.chain(missing) {
            let size = key.len() + text.len();
            match pages.last_mut() {
                Some((bytes, page)) if page.len() < PER_PAGE && *bytes + size <= PAGE_BYTES => {
                    *bytes += size;
                    page.insert(key, text);
                }
                _ => pages.push((size, Page::from([(key, text)]))),
            }
        }
        let confirmed = |mut page: Page| {
            page.insert(CONFIRMED.to_owned(), seconds(now));
            page
        };
        pages.into_iter().map(|(_, page)| confirmed(page)).collect()
    }
}

impl MissingMark {
    fn write(&self) -> String {
        format!("missingFor={} since={}", self.pod, seconds(self.since))
    }

    fn read(text: &str) -> Option<Self> {
        let fields = fields(text)?;
        Some(Self {
            pod: (*fields.get("missingFor")?).into(),
            since: fields.get("since")?.parse().ok()?,
        })
    }
}

enum Line {
    Valid,
    Future,
    Unreadable,
}

/// `key=value` pairs with spaces between them.
fn fields(text: &str) -> Option<BTreeMap<&str, &str>> {
    text.split_ascii_whitespace()
        .map(|field| field.split_once('='))
        .collect()
}

/// In whole seconds, the precision of the API server's time.
fn seconds(at: Timestamp) -> String {
    format!("{at:.0}")
}

#[cfg(test)]
mod tests;
