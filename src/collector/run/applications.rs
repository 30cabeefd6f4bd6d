//! What is known of the applications that sets were made for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use futures_util::StreamExt;

use super::{AT_ONCE, Run, Stop, in_time};
use crate::api::ClaimOwner;
use crate::claim::Source;
use crate::collector::api::Api;
use crate::collector::claims::{ApplicationKey, Applications, application_of};
use crate::collector::report::{Event, Reporter};
use crate::collector::snapshot::{ApplicationSnapshot, Snapshot};
use crate::retry::{Clock, Error, ErrorKind};
use crate::text::{chain, counted};

/// What became of a read.
enum Read {
    Found(ApplicationSnapshot),
    /// The collector may not, or the server can't.
    Refused(String),
}

impl<W: Api, C: Clock, T: Reporter> Run<'_, W, C, T> {
    /// Reads each application once. Of one that can't be read nothing is known, and its sets stay
    /// as they are.
    pub(super) async fn applications<'s>(
        &mut self,
        snapshot: &'s Snapshot,
    ) -> Result<Applications<'s>, Stop> {
        let claims = snapshot.sets.values().flatten();
        let keys: BTreeSet<ApplicationKey<'s>> = claims
            .filter_map(|claim| match &claim.source {
                Source::Derived(owner) => Some(application_of(claim, owner)),
                Source::Listed(_) | Source::Sized { .. } => None,
            })
            .collect();
        let client = Rc::clone(&self.client);
        let client = &*client;
        let reads = in_time(keys, client, self.stop)
            .map(async |key| {
                let read = async || read(client.api, key).await;
                (key, client.retry(read).await)
            })
            .buffer_unordered(AT_ONCE);
        let reads: Vec<(ApplicationKey<'_>, Result<Read, Error>)> = reads.collect().await;
        self.go_on()?;
        let mut applications = HashMap::new();
        // A line for each kind: there may be a thousand applications of it.
        let mut unread: BTreeMap<([&str; 2], bool), Unread> = BTreeMap::new();
        for ([namespace, group, kind, name], read) in reads {
            match read {
                Ok(Read::Found(application)) => {
                    applications.insert([namespace, group, kind, name], application);
                    if application == ApplicationSnapshot::UnknownKind {
                        let why = "the API server has no such kind, or this is no name";
                        let first = || Unread::first(namespace, name, why.to_owned());
                        unread
                            .entry(([group, kind], false))
                            .or_insert_with(first)
                            .count += 1;
                    }
                }
                Ok(Read::Refused(why)) => {
                    let first = || Unread::first(namespace, name, why);
                    unread
                        .entry(([group, kind], true))
                        .or_insert_with(first)
                        .count += 1;
                }
                Err(error) => {
                    self.failed(format!("{kind} {namespace}/{name} was not read"), error);
                }
            }
        }
        // A person may not want it to be otherwise, so the run does not fail by it.
        for (([group, kind], _), Unread { count, first, why }) in unread {
            let group = if group.is_empty() { "core" } else { group };
            let what = format!(
                "the sets of {} stay as they are, because {kind} {first} of group {group} could not be read: {why}",
                counted(count, "application")
            );
            self.reporter.event(&Event::Problem(what));
        }
        Ok(applications)
    }
}

/// Applications of a kind that could not be read.
struct Unread {
    count: usize,
    first: String,
    why: String,
}

impl Unread {
    fn first(namespace: &str, name: &str, why: String) -> Self {
        Self {
            count: 0,
            first: format!("{namespace}/{name}"),
            why,
        }
    }
}

async fn read(
    api: &impl Api,
    [namespace, group, kind, name]: ApplicationKey<'_>,
) -> Result<Read, crate::retry::ApiError> {
    let application = ClaimOwner {
        group: group.to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        ..ClaimOwner::default()
    };
    match api.application(namespace, &application).await {
        Ok(application) => Ok(Read::Found(application)),
        Err(error) => match error.kind {
            ErrorKind::Denied | ErrorKind::Forbidden | ErrorKind::NotInstalled => {
                Ok(Read::Refused(chain(&error)))
            }
            ErrorKind::Transient(_)
            | ErrorKind::Unreachable
            | ErrorKind::Expired
            | ErrorKind::Untrusted
            | ErrorKind::NoCredentials
            | ErrorKind::Refused => Err(error),
        },
    }
}
