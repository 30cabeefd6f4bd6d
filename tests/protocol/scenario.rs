//! Who acts on what, and one run of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use leasehold::ip::Family;
use leasehold::pool::Pool;

use crate::fake_store::{FakeStore, RequestId, hash};
use crate::invariants::{self, Invariants};
use crate::runtime::{self, Act, Initial, Stage};
use crate::search::{self, Choices};

/// What there is in the beginning, who acts, and what may go wrong.
#[derive(Debug, Clone)]
pub struct Scenario<'a> {
    /// How many addresses the IPv4 pool has.
    pub addresses: usize,
    /// How many the IPv6 pool has, if pods get both.
    pub v6_addresses: Option<usize>,
    /// Who act at once. The first one may be killed.
    pub runtimes: &'a [&'a [Act]],
    /// The leases at the start.
    pub before: &'a [Initial],
    pub cooldown: u32,
    /// How many things may go wrong in one run: a reply lost, a write delayed, a list stale, a
    /// process killed.
    pub faults: usize,
    /// Whether nothing else goes wrong than that the first process is killed.
    pub only_kills: bool,
    /// Whether ADD looks at the namespace of its sandbox.
    pub looks_at_namespaces: bool,
    /// Whether ADD is shown what is kept for a pod's name.
    pub lists_claims: bool,
    /// How many addresses the set of an application has.
    pub set_size: u32,
}

type Actor<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What can happen next.
#[derive(Clone, Copy)]
enum Move {
    Step(RequestId),
    Arrive(usize),
    Kill,
}

impl<'a> Scenario<'a> {
    pub fn of(addresses: usize, runtimes: &'a [&'a [Act]]) -> Self {
        Self {
            addresses,
            v6_addresses: None,
            runtimes,
            before: &[],
            cooldown: 0,
            faults: 0,
            only_kills: false,
            looks_at_namespaces: true,
            lists_claims: true,
            set_size: 1,
        }
    }

    /// Every run of it: how many states it has, or which rule is broken and how.
    pub fn explore(&self) -> Result<usize, String> {
        let mut pools = vec![runtime::pool(Family::V4, self.addresses, self.cooldown)];
        let v6 = |addresses| runtime::pool(Family::V6, addresses, self.cooldown);
        pools.extend(self.v6_addresses.map(v6));
        search::every_order(|choices| self.run(choices, &pools))
    }

    fn run(&self, choices: &Choices, pools: &[Arc<Pool>]) -> Result<(), String> {
        let lease = |stored| runtime::lease(stored, &pools[0]);
        let leases: Vec<_> = self.before.iter().map(lease).collect();
        let mut fake_store = FakeStore::new(choices, &leases, self.faults);
        fake_store.only_kills = self.only_kills;
        fake_store.lists_claims = self.lists_claims;
        let stage = Stage {
            fake_store,
            invariants: Invariants::default(),
            pools: pools.to_vec(),
            looks_at_namespaces: self.looks_at_namespaces,
            set_size: self.set_size,
            may_be_refused: self.faults > 0 || self.set_size > 1 || self.runtimes.len() > 2,
        };
        self.run_on(&stage, choices)?;
        stage.fake_store.faults.set(0);
        stage.clear();
        invariants::look_at_sets(&stage.fake_store, self.set_size)?;
        invariants::look_at_leftovers(&stage.fake_store)?;
        match stage.fake_store.held().first() {
            Some(lost) => Err(format!("{lost} is still held after every DEL")),
            None => Ok(()),
        }
    }

    fn run_on(&self, stage: &Stage<'_>, choices: &Choices) -> Result<(), String> {
        let Stage {
            fake_store,
            invariants,
            ..
        } = stage;
        let play = |acts: &&'a [Act]| Some(Box::pin(stage.play(acts)) as Actor<'_>);
        let mut actors: Vec<Option<Actor<'_>>> = self.runtimes.iter().map(play).collect();
        for index in 0..actors.len() {
            step(index, None, &mut actors, fake_store);
        }
        loop {
            invariants.look(fake_store, &stage.pools)?;
            invariants::look_at_sets(fake_store, stage.set_size)?;
            let moves = moves(&actors, fake_store);
            let ended: Vec<bool> = actors.iter().map(Option::is_none).collect();
            if moves.is_empty()
                || choices.have_met(hash((fake_store.state(), invariants.state(), ended)))
            {
                return Ok(());
            }
            match moves[choices.of(moves.len())] {
                Move::Step(request) => {
                    step(request.actor, Some(request), &mut actors, fake_store);
                }
                Move::Arrive(index) => fake_store.arrive(index),
                Move::Kill => {
                    choices.record(|| "0 is killed".to_owned());
                    fake_store.faults.set(fake_store.faults.get() - 1);
                    actors[0] = None;
                }
            }
        }
    }
}

fn moves(actors: &[Option<Actor<'_>>], fake_store: &FakeStore<'_>) -> Vec<Move> {
    let arrivals = 0..fake_store.adrift.borrow().len();
    let may_kill = fake_store.faults.get() > 0 && actors[0].is_some();
    let kill = may_kill.then_some(Move::Kill);
    let requests = fake_store.requests().into_iter();
    requests
        .map(Move::Step)
        .chain(arrivals.map(Move::Arrive))
        .chain(kill)
        .collect()
}

fn step(
    index: usize,
    arriving: Option<RequestId>,
    actors: &mut [Option<Actor<'_>>],
    fake_store: &FakeStore<'_>,
) {
    fake_store.turn_of(index, arriving);
    let actor = &mut actors[index];
    let future = actor.as_mut().expect("who has ended has no turn");
    if runtime::step(future.as_mut()).is_ready() {
        *actor = None;
    }
}
