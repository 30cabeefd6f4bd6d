//! Who writes the log, and who waits for it.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;
use tokio::time::Instant;

use super::call::Call;
use super::log::{Log, Outcome, Record};

/// How long a test waits for something that it expects: longer than an ADD may take (50 s), so that
/// what is awaited and does not come is shown with the log and not by a runner that gave up.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// Something awaited that did not come.
#[derive(Debug, thiserror::Error)]
#[error("waited {} s in vain for {what}; the log:\n{log}", PATIENCE.as_secs())]
pub struct Impatient {
    /// What was awaited.
    pub what: &'static str,
    /// What had come by until then.
    pub log: Log,
}

/// The one place where the log is written.
#[derive(Debug)]
pub(super) struct Logbook {
    started: Instant,
    log: watch::Sender<Log>,
}

impl Logbook {
    pub(super) fn start() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            log: watch::Sender::default(),
        })
    }

    pub(super) fn read(&self) -> Log {
        self.log.borrow().clone()
    }

    /// Waits until the log is as wanted, and gives it as it was then.
    pub(super) async fn wait_for(
        &self,
        what: &'static str,
        wanted: impl FnMut(&Log) -> bool,
    ) -> Result<Log, Impatient> {
        let mut reader = self.log.subscribe();
        match tokio::time::timeout(PATIENCE, reader.wait_for(wanted)).await {
            Ok(Ok(log)) => Ok(log.clone()),
            Ok(Err(_)) | Err(_) => Err(Impatient {
                what,
                log: self.read(),
            }),
        }
    }

    /// Enters a request that has arrived.
    pub(super) fn enter(self: &Arc<Self>, call: Arc<Call>, connection: usize) -> Ticket {
        let mut seq = 0;
        let at = self.started.elapsed();
        self.log.send_modify(|log| {
            seq = log.records.len() + 1;
            log.records.push(Record {
                seq,
                connection,
                call,
                at,
                forwarded: 0,
                served: None,
                answered: None,
                outcome: Outcome::Underway,
                ended: None,
            });
        });
        Ticket {
            book: Arc::clone(self),
            seq,
            ended: false,
        }
    }
}

/// A request's line in the log, written by the task that has the request.
///
/// # Invariants
/// Every line gets its end: a ticket that is dropped without one was dropped because no client was
/// left to take the reply.
#[derive(Debug)]
pub(super) struct Ticket {
    book: Arc<Logbook>,
    seq: usize,
    ended: bool,
}

impl Ticket {
    pub(super) fn seq(&self) -> usize {
        self.seq
    }

    pub(super) fn forwarded(&self) {
        self.write(|record| record.forwarded += 1);
    }

    pub(super) fn served(&self, status: StatusCode) {
        self.write(|record| record.served = Some(status));
    }

    pub(super) fn answered(&self, status: StatusCode) {
        self.write(|record| record.answered = Some(status));
    }

    /// Writes the end, unless it was written before.
    pub(super) fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let ended = self.book.started.elapsed();
        self.write(|record| {
            record.outcome = outcome;
            record.ended = Some(ended);
        });
    }

    fn write(&self, change: impl FnOnce(&mut Record)) {
        self.book.log.send_modify(|log| {
            if let Some(record) = log.records.get_mut(self.seq - 1) {
                change(record);
            }
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end(Outcome::ClientGone);
    }
}
