//! Runtimes: which calls they make, and the calls themselves, on the protocol as it is.

use std::cell::Cell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::Timestamp;
use leasehold::api::{ClaimRef, IPPool, IPPoolSpec, SetOwner};
use leasehold::claim::{DerivedSet, SetSize};
use leasehold::ip::{Family, Vrf};
use leasehold::lease::{
    self, AddressRequest, Allocation, CallHints, Error, Freshness, Holder, Lease, LeaseFilter,
    LeaseName, Refusal, Requester, SetRequest, Sets, State, Store,
};
use leasehold::pool::{Pool, Pools};
use leasehold::retry::{self, Clock, Deadline, Retrying};

use crate::fake_store::FakeStore;
use crate::invariants::Invariants;

/// The name of the IPv6 pool.
pub const V6_POOL: &str = "q";

/// What a runtime does. Containers `c1` and `c2` are sandboxes of one pod, and so is `c0`, from
/// before.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// ADD, for a pod of which nothing shows that it had a sandbox before.
    Add(&'static str),
    /// ADD, for a pod that shows it.
    AddAgain(&'static str),
    /// ADD, for a pod of an application with a set: `m…` are of one, `o…` of another.
    AddMember(&'static str),
    /// ADD, for a pod whose address is kept for its name.
    AddSticky(&'static str),
    Del(&'static str),
    /// DEL after an ADD whose address was of no use: another plugin failed.
    DelFailed(&'static str),
    EndNamespace(&'static str),
}

/// Two pods of one name, the second on another node.
const STICKY: [&str; 2] = ["s1", "s2"];

/// How often a sticky pod pauses before its time is over: for as long as a lease is held, waiting
/// for it has no other end.
const PAUSES: u32 = 3;

/// A lease that stands there from the beginning: address, container, state.
pub type Initial = (&'static str, &'static str, State);

/// Where runtimes act.
pub struct Stage<'a> {
    pub fake_store: FakeStore<'a>,
    pub invariants: Invariants,
    /// One of each family.
    pub pools: Vec<Arc<Pool>>,
    pub looks_at_namespaces: bool,
    /// How many addresses the set of an application has.
    pub set_size: u32,
    /// Whether a pod may be refused although there are addresses enough, because what another call
    /// has made and not listed is in its way.
    pub may_be_refused: bool,
}

impl Stage<'_> {
    /// Does one after the other.
    pub async fn play(&self, acts: &[Act]) {
        for &act in acts {
            match act {
                Act::Add(container) => self.add(container, false, false).await,
                Act::AddAgain(container) => self.add(container, true, false).await,
                Act::AddSticky(container) => self.add(container, false, true).await,
                Act::AddMember(container) => self.add_member(container).await,
                Act::Del(container) => {
                    self.del(container, false, || self.invariants.begin_del(container))
                        .await;
                }
                Act::DelFailed(container) => {
                    self.del(container, true, || self.invariants.begin_del(container))
                        .await;
                }
                Act::EndNamespace(container) => {
                    self.fake_store.on_its_way(None).await;
                    self.fake_store
                        .learn((), |()| format!("the namespace of {container} is removed"));
                    self.invariants.end_namespace(container);
                }
            }
        }
    }

    async fn add(&self, container: &'static str, returning: bool, sticky: bool) {
        self.invariants.begin_add(container);
        match self.acquire(container, returning, sticky).await {
            Ok(allocations) => {
                let addresses = self.addresses(container, &allocations);
                if self.looks_at_namespaces && !self.invariants.exists(container) {
                    self.invariants
                        .break_rule(format!("{container} was answered without a sandbox"));
                }
                if sticky {
                    let pod = (container, &holder(container));
                    let others: Vec<_> = STICKY.into_iter().filter(|it| *it != container).collect();
                    self.invariants
                        .answer_slot(&self.fake_store, pod, &addresses, &others);
                }
                self.invariants
                    .answer(&self.fake_store, container, addresses);
            }
            Err(Error::Refused(Refusal::Exhausted { .. })) => {
                self.invariants.refuse(&self.fake_store, container);
            }
            // It had waited for the other pod of its name.
            Err(
                Error::Refused(Refusal::Awaited { .. })
                | Error::Retry(retry::Error::OutOfTime { .. }),
            ) if sticky => {}
            Err(Error::Late) if !self.invariants.exists(container) => {}
            Err(error) => self
                .invariants
                .break_rule(format!("ADD of {container}: {error}")),
        }
    }

    /// What an ADD answers.
    fn addresses(&self, container: &str, allocations: &[Allocation]) -> Vec<IpAddr> {
        let addresses: Vec<_> = (allocations.iter())
            .map(|allocation| allocation.stored.lease.name.address)
            .collect();
        self.fake_store
            .learn((), |()| format!("ADD of {container} answers {addresses:?}"));
        addresses
    }

    async fn add_member(&self, container: &'static str) {
        self.invariants.begin_add(container);
        let clock = LongPauses::default();
        // Time for one call to be silent for too long.
        let deadline = Deadline::after(Duration::from_secs(15));
        let leases = Retrying::new(&self.fake_store, &clock, deadline);
        let sets = [SetRequest {
            set: set_of(container, self.set_size),
            pool: self.pools[0].clone(),
        }];
        let request = AddressRequest {
            sets: Sets::Derived(&sets),
            ..request(&self.pools[0])
        };
        let exists = || true;
        let hints = CallHints::default();
        let requester = requester(container);
        match lease::acquire(&leases, &requester, &[request], &hints, &exists).await {
            Ok(allocations) => {
                let addresses = self.addresses(container, &allocations);
                self.invariants
                    .answer(&self.fake_store, container, addresses);
            }
            // What a killed call or a late write has left is the collector's to take away.
            Err(failed) => match failed.error {
                Error::Retry(retry::Error::OutOfTime { .. }) => {}
                Error::Refused(Refusal::Set(_)) if self.may_be_refused => {}
                error @ (Error::Late | Error::Outdated | Error::Retry(_) | Error::Refused(_)) => {
                    self.invariants
                        .break_rule(format!("ADD of {container}: {error}"));
                }
            },
        }
    }

    async fn acquire(
        &self,
        container: &str,
        returning: bool,
        sticky: bool,
    ) -> Result<Vec<Allocation>, Error> {
        let exists = || {
            let exists = self.invariants.exists(container) || !self.looks_at_namespaces;
            self.fake_store.learn(exists, |_| {
                format!("{container} has its namespace: {exists}")
            })
        };
        let clock = if sticky { PAUSES } else { u32::MAX };
        let clock = Pauses(Cell::new(clock));
        let leases = Retrying::new(&self.fake_store, &clock, deadline());
        let requester = Requester {
            returning,
            slot: sticky.then(|| ClaimRef::slot_of(&holder(container), None)),
            ..requester(container)
        };
        let requests: Vec<_> = self.pools.iter().map(request).collect();
        lease::acquire(
            &leases,
            &requester,
            &requests,
            &CallHints::default(),
            &exists,
        )
        .await
        .map_err(|failed| failed.error)
    }

    async fn del(&self, container: &'static str, attachment_failed: bool, begun: impl Fn()) {
        let leases = Retrying::new(&self.fake_store, &StoppedClock, deadline());
        let found = self
            .fake_store
            .find(LeaseFilter::Container(container), Freshness::Consistent)
            .await;
        begun();
        for stored in found.expect("the store answers") {
            let released =
                lease::release(&leases, stored, container, "eth0", attachment_failed).await;
            released.expect("there is time enough");
        }
    }

    /// DEL of all, when no other call runs.
    pub fn clear(&self) {
        let actor = usize::MAX;
        for container in ["c0", "c1", "c2", "c3", "c9", "s1", "s2", "m1", "m2", "o1"] {
            let mut del = pin!(self.del(container, false, || ()));
            let mut arriving = None;
            loop {
                self.fake_store.turn_of(actor, arriving);
                if step(del.as_mut()).is_ready() {
                    break;
                }
                let mut requests = self.fake_store.requests().into_iter();
                arriving = requests.find(|request| request.actor == actor);
            }
        }
    }
}

fn requester(container: &str) -> Requester {
    Requester {
        holder: holder(container),
        vrf: Vrf::default(),
        termination: Duration::from_secs(30),
        since: StoppedClock.now(),
        returning: false,
        slot: None,
        is_current: true,
    }
}

/// The name of the application of such a pod.
pub fn application_of(container: &str) -> &str {
    &container[..1]
}

fn set_of(container: &str, size: u32) -> DerivedSet {
    DerivedSet {
        namespace: "shop".to_owned(),
        owner: SetOwner {
            group: "apps".to_owned(),
            kind: "Deployment".to_owned(),
            name: application_of(container).to_owned(),
            interface: "eth0".to_owned(),
            network: "net".to_owned(),
            subnet: "s".to_owned(),
        },
        vrf: Vrf::default(),
        size: SetSize::Fixed(size),
        reclaim: true,
    }
}

fn request(pool: &Arc<Pool>) -> AddressRequest<'_> {
    AddressRequest {
        family: Family::of(pool.subnet.addr()),
        candidates: std::slice::from_ref(pool),
        resumable: &[],
        requested: None,
        sets: Sets::None,
    }
}

/// Lets a call go on up to its next request.
pub fn step(call: std::pin::Pin<&mut (impl Future<Output = ()> + ?Sized)>) -> Poll<()> {
    call.poll(&mut Context::from_waker(Waker::noop()))
}

/// A pool of so many addresses.
pub fn pool(family: Family, addresses: usize, cooldown: u32) -> Arc<Pool> {
    let (name, subnet, net) = match family {
        Family::V4 => ("p", "10.0.0.0/24", "10.0.0."),
        Family::V6 => (V6_POOL, "fd00::/64", "fd00::"),
    };
    let spec = IPPoolSpec {
        subnet: subnet.to_owned(),
        ips: vec![format!("{net}1-{net}{addresses}")],
        cooldown_seconds: cooldown.into(),
        ..IPPoolSpec::default()
    };
    let pools = Pools::read(vec![IPPool::new(name, spec)], &[], &[], &Vrf::default());
    let pools = pools.expect("nothing is reserved");
    Arc::clone(pools.get(name).expect("it is there").expect("it is sound"))
}

pub fn lease(&(address, container, state): &Initial, pool: &Pool) -> Lease {
    Lease {
        name: LeaseName {
            vrf: Vrf::default(),
            address: address.parse().expect("an address"),
        },
        pool: pool.name.clone(),
        state,
        holder: Some(holder(container)),
        co_holder: None,
        claim: None,
        cooldown: pool.cooldown,
        held_since: None,
        released_at: (state == State::Cooling)
            .then(|| StoppedClock.now() - Duration::from_mins(30)),
        attachment_failed: false,
        quarantined_until: None,
        termination: Duration::from_secs(30),
        foreign_mac: None,
    }
}

fn holder(container: &str) -> Holder {
    let pod = match container {
        "c0" | "c1" | "c2" => "pod",
        "c3" => "other",
        "s1" | "s2" => "sticky",
        "m1" | "m2" | "o1" => container,
        _ => "gone",
    };
    Holder {
        namespace: "shop".to_owned(),
        pod: pod.to_owned(),
        uid: match container {
            "s1" | "s2" => format!("uid-of-{container}"),
            _ => format!("uid-of-{pod}"),
        },
        node: if container.ends_with('2') && container != "c2" {
            "n2"
        } else {
            "n1"
        }
        .to_owned(),
        container: container.to_owned(),
        interface: "eth0".to_owned(),
        network: "net".to_owned(),
        ..Holder::default()
    }
}

fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(50))
}

/// A clock on which the time is over after some pauses.
struct Pauses(Cell<u32>);

impl Clock for Pauses {
    fn now(&self) -> Timestamp {
        StoppedClock.now()
    }

    fn elapsed(&self) -> Duration {
        if self.0.get() == 0 {
            Duration::from_mins(1)
        } else {
            Duration::ZERO
        }
    }

    async fn pause(&self, _: Duration) {
        self.0.set(self.0.get() - 1);
    }

    async fn until(&self, at: Duration) {
        StoppedClock.until(at).await;
    }

    fn chance(&self) -> f64 {
        0.0
    }
}

/// A clock on which only pauses take time: two of them are longer than a maker may be silent.
#[derive(Default)]
struct LongPauses(Cell<Duration>);

impl Clock for LongPauses {
    fn now(&self) -> Timestamp {
        StoppedClock.now()
    }

    fn elapsed(&self) -> Duration {
        self.0.get()
    }

    async fn pause(&self, _: Duration) {
        self.0.set(self.0.get() + Duration::from_secs(10));
    }

    async fn until(&self, at: Duration) {
        StoppedClock.until(at).await;
    }

    fn chance(&self) -> f64 {
        0.0
    }
}

/// A clock that stands still: in the model an order is an order, however long it takes.
struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_hours(1)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    async fn pause(&self, _: Duration) {}

    async fn until(&self, _: Duration) {
        std::future::pending::<()>().await;
    }

    fn chance(&self) -> f64 {
        0.0
    }
}
