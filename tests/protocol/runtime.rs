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
use leasehold::claim::{DerivedSet, SetSize, Unusable};
use leasehold::ip::{Family, Vrf};
use leasehold::lease::{
    self, AddressRequest, Allocation, CallHints, Claims, Error, Freshness, Holder, Lease,
    LeaseFilter, LeaseName, Refusal, Requester, SetRequest, Sets, State, Store,
};
use leasehold::pool::{Pool, Pools};
use leasehold::retry::{self, Clock, Deadline, Retrying};

use crate::fake_store::FakeStore;
use crate::invariants::Invariants;

/// The name of the IPv6 pool.
pub const V6_POOL: &str = "q";

/// What a runtime does. Containers `c0`, `c1` and `c2` are sandboxes of one pod, `c3` is another's.
/// `s…` are of pods of one name, `m…` of pods of one application with a set, `o…` of another's.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// ADD, for a pod of which nothing shows that it had a sandbox before.
    Add(&'static str),
    /// ADD, for a pod that shows it.
    AddAgain(&'static str),
    /// ADD, for a pod of an application with a set.
    AddMember(&'static str),
    /// ADD, for a pod whose address is kept for its name.
    AddSticky(&'static str),
    Del(&'static str),
    /// DEL after an ADD whose address was of no use: another plugin failed.
    DelFailed(&'static str),
    EndNamespace(&'static str),
    /// A run of the collector confirms the set of such a pod's application.
    Confirm(&'static str),
}

impl Act {
    pub fn container(self) -> &'static str {
        match self {
            Self::Add(container)
            | Self::AddAgain(container)
            | Self::AddMember(container)
            | Self::AddSticky(container)
            | Self::Del(container)
            | Self::DelFailed(container)
            | Self::EndNamespace(container)
            | Self::Confirm(container) => container,
        }
    }
}

/// Pods of one name, the last on another node.
const STICKY: [&str; 3] = ["s0", "s1", "s2"];

/// Every sandbox that there may be.
const ALL: [&str; 12] = [
    "c0", "c1", "c2", "c3", "c9", "s0", "s1", "s2", "m0", "m1", "m2", "o1",
];

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
    /// How many addresses the set of the application `m` is to have; that of any other has one.
    pub set_size: u32,
}

impl Stage<'_> {
    /// How large the set of such a pod is to be, if it has one.
    pub fn size_for(&self, container: &str) -> Option<usize> {
        match application_of(container) {
            "m" => Some(self.set_size as usize),
            "o" => Some(1),
            _ => None,
        }
    }

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
                Act::Confirm(container) => self.confirm(container).await,
            }
        }
    }

    async fn add(&self, container: &'static str, returning: bool, sticky: bool) {
        self.invariants.begin_add(container);
        match self.acquire(container, returning, sticky).await {
            Ok(allocations) => {
                if sticky {
                    let addresses = addresses_of(&allocations);
                    let pod = (container, &holder(container));
                    let others: Vec<_> = STICKY.into_iter().filter(|it| *it != container).collect();
                    self.invariants
                        .answer_slot(&self.fake_store, pod, &addresses, &others);
                }
                self.answer(container, &allocations);
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

    fn answer(&self, container: &'static str, allocations: &[Allocation]) {
        let addresses = addresses_of(allocations);
        self.fake_store
            .learn((), |()| format!("ADD of {container} answers {addresses:?}"));
        if self.looks_at_namespaces && !self.invariants.exists(container) {
            self.invariants
                .break_rule(format!("{container} was answered without a sandbox"));
        }
        self.invariants
            .answer(&self.fake_store, container, addresses);
    }

    async fn add_member(&self, container: &'static str) {
        self.invariants.begin_add(container);
        let clock = LongPauses::default();
        // Time for one call to be silent for too long.
        let deadline = Deadline::after(Duration::from_secs(15));
        let leases = Retrying::new(&self.fake_store, &clock, deadline);
        let size = self.size_for(container).expect("it has a set");
        let sets = [SetRequest {
            set: set_of(container, u32::try_from(size).expect("a few")),
            pool: self.pools[0].clone(),
        }];
        let request = AddressRequest {
            sets: Sets::Derived(&sets),
            ..request(&self.pools[0])
        };
        let exists = || self.exists(container);
        let hints = CallHints::default();
        let requester = requester(container);
        match lease::acquire(&leases, &requester, &[request], &hints, &exists).await {
            Ok(allocations) => self.answer(container, &allocations),
            Err(failed) => match failed.error {
                Error::Retry(retry::Error::OutOfTime { .. })
                | Error::Refused(Refusal::Set(Unusable::Making { .. })) => {
                    self.invariants.abandon(container);
                }
                Error::Refused(Refusal::Set(_)) => {
                    self.invariants.refuse(&self.fake_store, container);
                }
                Error::Late if !self.invariants.exists(container) => {}
                error @ (Error::Late | Error::Outdated | Error::Retry(_) | Error::Refused(_)) => {
                    self.invariants
                        .break_rule(format!("ADD of {container}: {error}"));
                }
            },
        }
    }

    async fn confirm(&self, container: &'static str) {
        let name = set_of(container, 1).name();
        let read = self.fake_store.read_claim(&name).await;
        let Some(claim) = read.expect("the store answers") else {
            return;
        };
        let mut status = claim.object.status.clone().unwrap_or_default();
        status.confirmed.clone_from(&status.addresses);
        // Where it is not written, a later run does it.
        let _ = self.fake_store.replace_claim_status(&claim, &status).await;
    }

    fn exists(&self, container: &str) -> bool {
        let exists = self.invariants.exists(container) || !self.looks_at_namespaces;
        self.fake_store.learn(exists, |_| {
            format!("{container} has its namespace: {exists}")
        })
    }

    async fn acquire(
        &self,
        container: &str,
        returning: bool,
        sticky: bool,
    ) -> Result<Vec<Allocation>, Error> {
        let exists = || self.exists(container);
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
        for container in ALL {
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

fn addresses_of(allocations: &[Allocation]) -> Vec<IpAddr> {
    let addresses = allocations.iter().map(|it| it.stored.lease.name.address);
    addresses.collect()
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

pub fn set_of(container: &str, size: u32) -> DerivedSet {
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
    let claim = match application_of(container) {
        "s" => Some(ClaimRef::slot_of(&holder(container), None)),
        "m" | "o" => Some(set_of(container, 1).reference()),
        _ => None,
    };
    Lease {
        name: LeaseName {
            vrf: Vrf::default(),
            address: address.parse().expect("an address"),
        },
        pool: pool.name.clone(),
        state,
        holder: Some(holder(container)),
        co_holder: None,
        held_since: claim.is_some().then(|| StoppedClock.now()),
        claim,
        cooldown: pool.cooldown,
        released_at: (state != State::Held).then(|| StoppedClock.now() - Duration::from_mins(30)),
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
        _ if application_of(container) == "s" => "sticky",
        _ if matches!(application_of(container), "m" | "o") => container,
        _ => "gone",
    };
    Holder {
        namespace: "shop".to_owned(),
        pod: pod.to_owned(),
        uid: if pod == "sticky" {
            format!("uid-of-{container}")
        } else {
            format!("uid-of-{pod}")
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
        // Undoing has time of its own.
        self.0.set(self.0.get().saturating_sub(1));
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
