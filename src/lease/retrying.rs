//! The store as the protocol uses it: asked until the answer is definite or the time is over.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;

use super::Error;
use super::record::{Lease, LeaseName, StoredLease};
use super::store::{ApiError, Commit, ErrorKind, Freshness, LeaseFilter, ListScope, Store};
use crate::allocate::Taken;

/// Time and chance, which the protocol takes from outside.
#[expect(
    async_fn_in_trait,
    reason = "one thread: no future of it has to be Send"
)]
pub trait Clock {
    /// The node's clock.
    fn now(&self) -> Timestamp;
    /// The time since this process began.
    fn elapsed(&self) -> Duration;
    /// Lets `pause` pass.
    async fn pause(&self, pause: Duration);
    /// A number in `0.0..1.0`.
    fn chance(&self) -> f64;
}

/// How long to go on. Bounded by a deadline and never by a count: under load a count ends too early
/// just when patience would have helped.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// The time since the process began at which the last attempt has ended.
    pub deadline: Duration,
    /// How long one attempt may take.
    pub attempt: Duration,
}

impl Deadline {
    /// Patience for this long from the beginning of the process.
    ///
    /// A connection that hangs must leave time for others: five attempts fit in. Of all requests a consistent
    /// list takes longest, some 0.1 s at 60,000 leases; four seconds are a hung connection.
    #[must_use]
    pub fn until(deadline: Duration) -> Self {
        let attempt = (deadline / 5).clamp(Duration::from_millis(200), Duration::from_secs(4));
        Self { deadline, attempt }
    }
}

/// How long a denial is doubted: longer than an API server takes from its first answer to its first right one.
const BRIEF: Duration = Duration::from_secs(3);

/// The first pause is about what a write takes; the last is short against any deadline.
pub(super) fn backoff() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(2))
        .with_factor(2.0)
        .without_max_times()
        .build()
}

/// What it means that a read after a write of unknown outcome shows no lease.
#[derive(Clone, Copy, PartialEq)]
enum AfterNone {
    /// Who had it has gone, and the write may arrive yet: it is made again.
    Again,
    /// The version that the write names has gone with it, and never comes back.
    Lost,
}

/// What the steps of the protocol share: the store, the time, and whether the sandbox is still there.
pub struct Retrying<'a, S, C> {
    /// Where the leases are.
    pub store: &'a S,
    /// Time and chance.
    pub clock: &'a C,
    /// When to give up.
    pub patience: Deadline,
    /// Whether the sandbox that this call is about still exists.
    pub sandbox_exists: &'a dyn Fn() -> bool,
    /// Writes that were given up without a definite answer.
    pub unsettled: RefCell<Vec<LeaseName>>,
    /// Until when a denial may still be a beginning.
    denied_grace: Cell<Option<Duration>>,
}

impl<'a, S: Store, C: Clock> Retrying<'a, S, C> {
    /// A desk with nothing unsettled.
    pub fn new(
        store: &'a S,
        clock: &'a C,
        patience: Deadline,
        sandbox_exists: &'a dyn Fn() -> bool,
    ) -> Self {
        Self {
            store,
            clock,
            patience,
            sandbox_exists,
            unsettled: RefCell::default(),
            denied_grace: Cell::default(),
        }
    }

    /// Refuses to go on for a sandbox that is gone.
    pub(super) fn not_late(&self) -> Result<(), Error> {
        if (self.sandbox_exists)() {
            Ok(())
        } else {
            Err(Error::Late)
        }
    }

    /// The lease of that name.
    pub async fn read(&self, name: &LeaseName) -> Result<Option<StoredLease>, Error> {
        self.ask(async || self.store.read(name).await).await
    }

    /// Which addresses have a lease.
    pub async fn taken(
        &self,
        scope: ListScope<'_>,
        freshness: Freshness,
    ) -> Result<Vec<Taken>, Error> {
        self.ask(async || self.store.taken(scope, freshness).await)
            .await
    }

    /// The leases of somebody.
    pub async fn find(&self, whose: LeaseFilter<'_>) -> Result<Vec<StoredLease>, Error> {
        self.ask(async || self.store.find(whose).await).await
    }

    /// Makes a lease where there is none. After an attempt of unknown outcome, one that stands there and says
    /// what we wrote is ours: a holder names its container.
    pub async fn create(&self, lease: &Lease) -> Result<Commit, Error> {
        self.committed(lease, AfterNone::Again, async || {
            self.store.create(lease).await
        })
        .await
    }

    /// Puts `lease` in the place of what was seen, settled like [`Self::create`].
    pub async fn replace(&self, seen: &StoredLease, lease: &Lease) -> Result<Commit, Error> {
        self.committed(lease, AfterNone::Lost, async || {
            self.store.replace(seen, lease).await
        })
        .await
    }

    /// Deletes what was seen; `false` when another version stands there, or none.
    pub async fn delete(&self, seen: &StoredLease) -> Result<bool, Error> {
        self.ask(async || self.store.delete(seen).await).await
    }

    async fn committed(
        &self,
        lease: &Lease,
        after_none: AfterNone,
        write: impl AsyncFn() -> Result<Commit, ApiError>,
    ) -> Result<Commit, Error> {
        let mut doubtful = false;
        let outcome = self.settled(lease, after_none, write, &mut doubtful).await;
        if outcome.is_err() && doubtful {
            self.unsettled.borrow_mut().push(lease.name.clone());
        }
        outcome
    }

    async fn settled(
        &self,
        lease: &Lease,
        after_none: AfterNone,
        write: impl AsyncFn() -> Result<Commit, ApiError>,
        doubtful: &mut bool,
    ) -> Result<Commit, Error> {
        let mut pauses = backoff();
        loop {
            match write().await {
                Ok(Commit::Lost) if *doubtful => match self.read(&lease.name).await? {
                    Some(seen)
                        if seen.lease.state == lease.state && seen.lease.holder == lease.holder =>
                    {
                        return Ok(Commit::Won(seen));
                    }
                    None if after_none == AfterNone::Again => {}
                    Some(_) | None => return Ok(Commit::Lost),
                },
                Ok(commit) => return Ok(commit),
                Err(trouble) => {
                    *doubtful |= matches!(trouble.kind, ErrorKind::Transient(_));
                    self.wait(trouble, &mut pauses).await?;
                }
            }
        }
    }

    /// Asks until the answer is definite or the time is over.
    pub async fn ask<T>(&self, ask: impl AsyncFn() -> Result<T, ApiError>) -> Result<T, Error> {
        let mut pauses = backoff();
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => self.wait(trouble, &mut pauses).await?,
            }
        }
    }

    /// Lets rivals pass after a lost race.
    pub(super) async fn step_back(
        &self,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> Result<(), Error> {
        self.pause(Duration::ZERO, None, pauses).await
    }

    /// Waits as long as the trouble asks for; an error where it is definite, or the time is over.
    async fn wait(
        &self,
        trouble: ApiError,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> Result<(), Error> {
        match trouble.kind {
            ErrorKind::Transient(at_least) => {
                self.pause(at_least.unwrap_or_default(), Some(trouble), pauses)
                    .await
            }
            ErrorKind::Expired => self.pause(Duration::ZERO, Some(trouble), pauses).await,
            ErrorKind::Denied | ErrorKind::NotInstalled | ErrorKind::NoCredentials
                if self.is_brief() =>
            {
                let doubted = self.pause(Duration::ZERO, None, pauses).await;
                // Without time for a doubt it stands as it is.
                doubted.map_err(|_| Error::Store(trouble))
            }
            ErrorKind::Denied
            | ErrorKind::NotInstalled
            | ErrorKind::NoCredentials
            | ErrorKind::Refused => Err(Error::Store(trouble)),
        }
    }

    /// Whether a denial came just now: an API server that starts knows neither roles nor kinds for a moment, and a
    /// kubeconfig that is replaced may be half a file.
    fn is_brief(&self) -> bool {
        let elapsed = self.clock.elapsed();
        let until = self.denied_grace.get().unwrap_or(elapsed + BRIEF);
        self.denied_grace.set(Some(until));
        elapsed < until
    }

    /// Full jitter on top of what the server asked for: rivals that failed together do not come back together.
    async fn pause(
        &self,
        at_least: Duration,
        last: Option<ApiError>,
        pauses: &mut impl Iterator<Item = Duration>,
    ) -> Result<(), Error> {
        let pause = at_least
            + pauses
                .next()
                .unwrap_or_default()
                .mul_f64(self.clock.chance());
        // No attempt begins that could end behind the deadline.
        if self.clock.elapsed() + pause + self.patience.attempt > self.patience.deadline {
            return Err(Error::OutOfTime {
                seconds: self.patience.deadline.as_secs(),
                last,
            });
        }
        self.clock.pause(pause).await;
        Ok(())
    }
}
