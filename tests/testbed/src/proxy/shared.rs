//! What all connections of a proxy have in common.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::call::Call;
use super::line::{Cut, Line};
use super::lock;
use super::logbook::{Logbook, Ticket};
use super::rules::{Plan, Rules};
use super::upstream::Upstream;

/// Whether connections are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Doors {
    #[default]
    Open,
    /// Connections are refused, and there are none.
    Refusing,
    /// Connections are made by the kernel, and nothing is said on them.
    Mute,
}

pub(super) struct Shared {
    pub(super) upstream: Upstream,
    pub(super) rules: Arc<Mutex<Rules>>,
    pub(super) book: Arc<Logbook>,
    pub(super) acceptor: Mutex<TlsAcceptor>,
    pub(super) doors: watch::Sender<Doors>,
    names: Mutex<HashMap<String, String>>,
    lines: Mutex<Vec<Weak<Line>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(upstream: Upstream, acceptor: TlsAcceptor) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            rules: Arc::default(),
            book: Logbook::start(),
            acceptor: Mutex::new(acceptor),
            doors: watch::Sender::default(),
            names: Mutex::default(),
            lines: Mutex::default(),
        })
    }

    /// Names the client of this token.
    pub(super) fn name(&self, token: &str, name: &str) {
        lock(&self.names).insert(token.to_owned(), name.to_owned());
    }

    /// Enters a request into the log and lets every rule count it, as one step: both have the same
    /// order.
    pub(super) fn arrive(&self, mut call: Call, connection: usize) -> (Plan, Arc<Call>, Ticket) {
        if let Some(name) = lock(&self.names).get(&call.caller) {
            call.caller.clone_from(name);
        }
        let call = Arc::new(call);
        let mut rules = lock(&self.rules);
        let plan = rules.plan(&call, connection, Instant::now());
        let ticket = self.book.enter(Arc::clone(&call), connection);
        (plan, call, ticket)
    }

    /// Waits while the proxy is mute.
    pub(super) async fn until_audible(&self) {
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = self
            .doors
            .subscribe()
            .wait_for(|doors| *doors != Doors::Mute)
            .await;
    }

    pub(super) fn add_line(&self, line: &Arc<Line>) {
        let mut lines = lock(&self.lines);
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(line));
    }

    pub(super) fn cut_lines(&self) {
        for line in lock(&self.lines).iter().filter_map(Weak::upgrade) {
            line.cut(Cut::Reset);
        }
    }
}
