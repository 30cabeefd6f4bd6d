//! What came by: every request, in order, with its fate.
//!
//! The log is sure of what the proxy did. Whether a reply that was handed to a connection in full
//! was also read by the client, this side cannot know.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::call::Call;
use super::on::On;

/// How a request ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not at its end yet.
    Underway,
    /// The whole reply was handed to the client's connection.
    Delivered,
    /// A rule threw the request or its reply away.
    Lost,
    /// The client had gone before its reply was whole.
    ClientGone,
    /// The API server could not be asked, or its reply broke off; with the reason.
    Broken(String),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its number in the order of arrival, from 1.
    pub seq: usize,
    /// The connection it came on, from 1 in the order of acceptance.
    pub connection: usize,
    /// What it asked.
    pub call: Arc<Call>,
    /// When it arrived, since the proxy's start.
    pub at: Duration,
    /// How often it was sent to the API server: twice when duplicated, never when the proxy
    /// answered by itself.
    pub forwarded: usize,
    /// What the API server answered; the last time, if asked twice.
    pub served: Option<StatusCode>,
    /// What the client was answered.
    pub answered: Option<StatusCode>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it ended, since the proxy's start.
    pub ended: Option<Duration>,
}

impl Record {
    /// Whether the whole reply was handed to the client's connection.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.outcome == Outcome::Delivered
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = |status: Option<StatusCode>| {
            status.map_or("-".to_owned(), |status| status.as_u16().to_string())
        };
        write!(
            f,
            "{:>4} {:>8.3}s #{} {} {} forwarded {} served {} answered {} {:?}",
            self.seq,
            self.at.as_secs_f64(),
            self.connection,
            self.call.caller,
            self.call,
            self.forwarded,
            status(self.served),
            status(self.answered),
            self.outcome,
        )
    }
}

/// All requests in the order of their arrival.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub(super) records: Vec<Record>,
}

impl Log {
    /// The requests that fit; the position that `on` names plays no part.
    pub fn of<'a>(&'a self, on: &'a On) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(|record| on.fits(&record.call))
    }

    /// How many requests fit.
    #[must_use]
    pub fn count(&self, on: &On) -> usize {
        self.of(on).count()
    }

    /// How many requests of each verb and resource: `create ipleases` → 2.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for Record { call, .. } in &self.records {
            let what = if call.resource.is_empty() {
                &call.path
            } else {
                &call.resource
            };
            *counts.entry(format!("{} {what}", call.verb)).or_default() += 1;
        }
        counts
    }

    /// Every request.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Only the requests after the one of number `seq`: what came since a test looked last.
    #[must_use]
    pub fn since(&self, seq: usize) -> Self {
        let records = self
            .records
            .iter()
            .filter(|record| record.seq > seq)
            .cloned()
            .collect();
        Self { records }
    }

    /// The number of the latest request, 0 before the first.
    #[must_use]
    pub fn last_seq(&self) -> usize {
        self.records.last().map_or(0, |record| record.seq)
    }

    /// Whether no request is underway.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.records
            .iter()
            .all(|record| record.outcome != Outcome::Underway)
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.records
            .iter()
            .try_for_each(|record| writeln!(f, "{record}"))
    }
}
