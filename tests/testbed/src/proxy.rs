//! A reverse proxy that injects faults by rules.
//!
//! It stands between the programs under test and the API server, speaks TLS on both sides (HTTP/1.1
//! and HTTP/2, as the client prefers), passes every header on, and does to single requests what a
//! test asks for: [`On`] says which, [`Do`] says what. Without a rule it is transparent, and it
//! never sends a request that it was not sent: it retries nothing, and what the API server breaks
//! off is broken off for the client.
//!
//! It is sure of what it forwarded and in which order. A client certificate does not pass (use
//! tokens), neither does an upgraded connection (`exec`, `port-forward`).
//!
//! It runs on a thread of its own, so that a test may block on a process that talks through it;
//! with the [`Proxy`] everything ends, requests that are held too.
//!
//! ```no_run
//! # async fn story(url: &str, ca: &str) -> Result<(), Box<dyn std::error::Error>> {
//! use testbed::proxy::{By, Do, On, Proxy};
//!
//! let proxy = Proxy::start(url, ca)?;
//! let gate = proxy.hold(On::create("ipleases").caller("add-1").nth(1));
//! // … start ADD with a kubeconfig that names proxy.url_for("add-1") and proxy.ca_pem()
//! let held = gate.arrived().await?;
//! // … kill it
//! held.release();
//! proxy.wait_for("the late create", |log| log.of(&On::create("ipleases")).any(|late| late.served.is_some())).await?;
//! proxy.rule(On::replace("ipleases").nth(1), Do::LoseReply(By::Reset));
//! proxy.rule(On::any().caller("n1"), Do::answer(429).retry_after(1));
//! # Ok(())
//! # }
//! ```

mod action;
mod answer;
mod body;
mod call;
mod gate;
mod line;
mod listener;
mod log;
mod logbook;
mod memory;
mod on;
mod relay;
mod rules;
mod shared;
mod thread;
mod tls;
mod upstream;
mod verb;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

pub use action::{By, Do, Reply};
pub use answer::Answer;
pub use call::Call;
pub use gate::{Came, Gate, Held, Post};
pub use log::{Log, Outcome, Record};
pub use logbook::Impatient;
pub use memory::Memory;
pub use on::On;
pub use rules::Rule;
pub use tls::{Certificate, TlsError};
pub use upstream::{Upstream, UpstreamError};
pub use verb::Verb;

use shared::{Doors, Shared};
use thread::Thread;

/// Why a proxy can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server can't be addressed.
    #[error("the proxy has nowhere to forward to")]
    Upstream(#[from] UpstreamError),
    /// The proxy has nothing to show to its clients.
    #[error("the proxy has no certificate")]
    Tls(#[from] TlsError),
    /// No thread or no port.
    #[error("the proxy can't listen")]
    Listen(#[from] io::Error),
}

/// On which side of its execution by the API server a request is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it is forwarded: nothing has happened yet.
    Before,
    /// After the API server has answered, before the client knows: what was asked has happened.
    After,
}

impl Moment {
    /// Both, for tests that meet every request on both sides.
    pub const BOTH: [Self; 2] = [Self::Before, Self::After];
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    authority: tls::Authority,
    address: SocketAddr,
    reached: watch::Receiver<Doors>,
    _thread: Thread,
}

impl Proxy {
    /// Starts a proxy in front of the API server at `url` (`https://host:port`), whose certificate
    /// `ca_pem` vouches for.
    pub fn start(url: &str, ca_pem: &str) -> Result<Self, Error> {
        let upstream = Upstream::new(url, ca_pem)?;
        let authority = tls::Authority::new("fault proxy")?;
        let shared = Shared::new(upstream, authority.acceptor(Certificate::Valid)?);
        let thread = Thread::start()?;
        let port = thread.within(listener::Port::reserve)?;
        let listener = thread.within(|| port.listen())?;
        let address = port.address;
        let (reach, reached) = watch::channel(Doors::Open);
        thread.spawn(listener::run(Arc::clone(&shared), port, listener, reach));
        Ok(Self {
            shared,
            authority,
            address,
            reached,
            _thread: thread,
        })
    }

    /// The address for a kubeconfig.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The address for the kubeconfig of one caller, by which its requests are known
    /// ([`On::caller`]) whatever its token. The API server sees the same requests.
    #[must_use]
    pub fn url_for(&self, caller: &str) -> String {
        format!("{}{}{caller}", self.url(), call::CALLER_PREFIX)
    }

    /// The authority that clients have to trust, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.authority.pem
    }

    /// Names the client of this bearer token, in rules and in the log.
    pub fn name(&self, token: &str, name: &str) {
        self.shared.name(token, name);
    }

    /// From now on does `act` to the requests that `on` means.
    pub fn rule(&self, on: On, act: impl Into<Do>) -> Rule {
        Rule::set(&self.shared.rules, on, act.into())
    }

    /// Holds these requests before they are forwarded.
    pub fn hold(&self, on: On) -> Gate {
        self.hold_at(Moment::Before, on)
    }

    /// Holds the replies to these requests: what they ask has happened.
    pub fn hold_reply(&self, on: On) -> Gate {
        self.hold_at(Moment::After, on)
    }

    /// Holds these requests on one of both sides: with [`On::nth`] and [`Gate::arrived_before`] the
    /// way to stop a process at every one of its requests in turn.
    pub fn hold_at(&self, moment: Moment, on: On) -> Gate {
        let post = Post::new();
        let act = match moment {
            Moment::Before => Do::Hold(post.clone()),
            Moment::After => Do::HoldReply(post.clone()),
        };
        Gate::new(&post, self.rule(on, act), Arc::clone(&self.shared.book))
    }

    /// Answers each of these reads with what it was answered the first time from now on.
    pub fn freeze(&self, on: On) -> Rule {
        self.rule(on, Do::Recall(Memory::default()))
    }

    /// Every request so far.
    #[must_use]
    pub fn log(&self) -> Log {
        self.shared.book.read()
    }

    /// Waits until the log is as wanted; `what` says in the error what did not come.
    pub async fn wait_for(
        &self,
        what: &'static str,
        wanted: impl FnMut(&Log) -> bool,
    ) -> Result<Log, Impatient> {
        self.shared.book.wait_for(what, wanted).await
    }

    /// Resets every connection, and refuses new ones until [`Proxy::resume`]. What is held stays
    /// held and can be released: it left its client before.
    pub async fn refuse(&self) {
        self.turn(Doors::Refusing).await;
    }

    /// Says nothing any more until [`Proxy::resume`]: connections are made and hang, requests and
    /// replies that come meanwhile go on afterwards, as when a network comes back.
    pub async fn mute(&self) {
        self.turn(Doors::Mute).await;
    }

    /// Ends [`Proxy::refuse`] and [`Proxy::mute`].
    pub async fn resume(&self) {
        self.turn(Doors::Open).await;
    }

    /// Resets every connection; new ones are welcome.
    pub fn reset_connections(&self) {
        self.shared.cut_lines();
    }

    /// Shows this certificate to those who connect from now on.
    pub fn present(&self, certificate: Certificate) -> Result<(), TlsError> {
        let acceptor = self.authority.acceptor(certificate)?;
        *lock(&self.shared.acceptor) = acceptor;
        Ok(())
    }

    async fn turn(&self, doors: Doors) {
        self.shared.doors.send_replace(doors);
        // An error would mean that the thread is gone, and with it what serves connections.
        let _ = self
            .reached
            .clone()
            .wait_for(|reached| *reached == doors)
            .await;
    }
}

/// The value, even if the thread that held it last has panicked: each is changed in one step and is
/// whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
