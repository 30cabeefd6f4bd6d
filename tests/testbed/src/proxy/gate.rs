//! A place where requests stand until the test lets them go.
//!
//! A request that stands here is the proxy's: it goes on when released, whether or not its client
//! is still there, as bytes in a TCP buffer would. Others pass it by.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use super::call::Call;
use super::logbook::{Impatient, Logbook, PATIENCE};
use super::rules::Rule;

/// The test's side of a gate. Dropping it opens it.
#[derive(Debug)]
#[must_use = "a gate that is dropped is open"]
pub struct Gate {
    state: Arc<watch::Sender<State>>,
    rule: Rule,
    book: Arc<Logbook>,
}

/// The request's side of a gate, inside a rule.
#[derive(Clone, Debug)]
pub struct Post {
    state: Arc<watch::Sender<State>>,
}

/// A request that stands at a gate. It goes on standing there when this is dropped.
#[derive(Debug)]
pub struct Held {
    /// Its number in the log.
    pub seq: usize,
    /// What it asks.
    pub call: Arc<Call>,
    state: Arc<watch::Sender<State>>,
}

/// What came first: a request at the gate, or the end of what should have made one.
#[derive(Debug)]
pub enum Came<T> {
    /// A request stands at the gate.
    Arrived(Held),
    /// No request came until this was over.
    Over(T),
}

/// What becomes of a request at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    Discard,
}

#[derive(Debug, Default)]
struct State {
    /// For all that stand here and will come.
    open: Option<Verdict>,
    single: HashMap<usize, Verdict>,
    /// Arrived, and not yet seen by the test.
    unseen: VecDeque<(usize, Arc<Call>)>,
    standing: usize,
}

impl Post {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::new(watch::Sender::default()),
        }
    }

    pub(super) async fn wait(&self, seq: usize, call: Arc<Call>) -> Verdict {
        self.state.send_modify(|state| {
            state.unseen.push_back((seq, call));
            state.standing += 1;
        });
        let verdict = |state: &State| state.single.get(&seq).copied().or(state.open);
        let mut reader = self.state.subscribe();
        // The sender is alive as long as this is, so that only a verdict ends the wait.
        let decided = reader
            .wait_for(|state| verdict(state).is_some())
            .await
            .ok()
            .and_then(|state| verdict(&state));
        self.state.send_modify(|state| {
            state.single.remove(&seq);
            state.standing -= 1;
        });
        decided.unwrap_or(Verdict::Discard)
    }
}

impl Gate {
    pub(super) fn new(post: &Post, rule: Rule, book: Arc<Logbook>) -> Self {
        Self {
            state: Arc::clone(&post.state),
            rule,
            book,
        }
    }

    /// The next request that comes, or came since the last one was seen.
    pub async fn arrived(&self) -> Result<Held, Impatient> {
        match tokio::time::timeout(PATIENCE, self.next()).await {
            Ok(held) => Ok(held),
            Err(_elapsed) => Err(Impatient {
                what: "a request at the gate",
                log: self.book.read(),
            }),
        }
    }

    /// The next request, unless `process` is over before it comes: how a test finds out that a
    /// process makes fewer requests than the one it waits for.
    pub async fn arrived_before<T>(&self, process: impl Future<Output = T>) -> Came<T> {
        tokio::select! {
            biased;
            held = self.next() => Came::Arrived(held),
            over = process => Came::Over(over),
        }
    }

    /// Lets all go on, later ones too.
    pub fn release(&self) {
        self.open(Verdict::Go);
    }

    /// Drops all, later ones too: what is held before forwarding never reaches the API server, what
    /// is held after it never reaches the client. The clients' connections are reset.
    pub fn discard(&self) {
        self.open(Verdict::Discard);
    }

    /// How many requests stand here now.
    #[must_use]
    pub fn standing(&self) -> usize {
        self.state.borrow().standing
    }

    fn open(&self, verdict: Verdict) {
        self.state.send_modify(|state| state.open = Some(verdict));
    }

    async fn next(&self) -> Held {
        let mut reader = self.state.subscribe();
        loop {
            let mut taken = None;
            self.state.send_if_modified(|state| {
                taken = state.unseen.pop_front();
                false
            });
            if let Some((seq, call)) = taken {
                let state = Arc::clone(&self.state);
                return Held { seq, call, state };
            }
            // An error would mean that the sender is gone, and `self` holds it.
            let _ = reader.changed().await;
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.rule.remove();
        self.state.send_modify(|state| {
            state.open.get_or_insert(Verdict::Go);
        });
    }
}

impl Held {
    /// Lets this one go on.
    pub fn release(self) {
        self.decide(Verdict::Go);
    }

    /// Throws this one away (see [`Gate::discard`]).
    pub fn discard(self) {
        self.decide(Verdict::Discard);
    }

    fn decide(&self, verdict: Verdict) {
        self.state.send_modify(|state| {
            state.single.insert(self.seq, verdict);
        });
    }
}
