//! Who acts on what, and one run of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use leasehold::ip::Family;
use leasehold::pool::Pool;

use crate::fake_store::{FakeStore, RequestId, hash};
use crate::invariants::{self, Invariants};
use crate::runtime::{self, Act, Initial, Stage, application_of};
use crate::search::{self, Choices, Visit};

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
    /// The members that the set of the application `m` has at the start.
    pub members: &'a [&'a str],
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
    /// How many addresses the set of the application `m` is to have.
    pub set_size: u32,
    /// How often in one run another actor may come in between the steps of one that could go on.
    /// `None`: any number of times. What goes wrong comes on top.
    pub switches: Option<usize>,
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
            members: &[],
            cooldown: 0,
            faults: 0,
            only_kills: false,
            looks_at_namespaces: true,
            lists_claims: true,
            set_size: 1,
            switches: None,
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
        fake_store.private = self.private_applications();
        if !self.members.is_empty() {
            let set = runtime::set_of("m0", self.set_size);
            fake_store.put_set(&set, self.members);
        }
        let stage = Stage {
            fake_store,
            invariants: Invariants::default(),
            pools: pools.to_vec(),
            looks_at_namespaces: self.looks_at_namespaces,
            set_size: self.set_size,
        };
        self.run_on(&stage, choices)
    }

    /// Applications of which one actor has pods, unless that may be killed.
    fn private_applications(&self) -> Vec<&'static str> {
        let knows = |acts: &&&[Act], application: &str| {
            let mut containers = acts.iter().map(|act| act.container());
            containers.any(|container| application_of(container) == application)
        };
        let is_private = |application: &&str| {
            let mortal = usize::from(self.faults > 0);
            let all = self.runtimes.iter().filter(|acts| knows(acts, application));
            let killed = self.runtimes[..mortal]
                .iter()
                .any(|acts| knows(&acts, application));
            all.count() == 1 && !killed
        };
        ["m", "o"].into_iter().filter(is_private).collect()
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
        let mut turn = Turn {
            of: None,
            switches: self.switches,
        };
        loop {
            invariants.look(stage)?;
            let ended: Vec<bool> = actors.iter().map(Option::is_none).collect();
            let met = hash((fake_store.state(), invariants.state(), ended, turn.of));
            match choices.visit(met, turn.switches.unwrap_or_default()) {
                Visit::Met => return Ok(()),
                Visit::New => {
                    invariants::look_at_sets(stage, self.members.len())?;
                    invariants::look_at_slots(fake_store)?;
                }
                Visit::Passed => {}
            }
            if let Some(request) = fake_store.private_request() {
                step(request.actor, Some(request), &mut actors, fake_store);
                continue;
            }
            let moves = turn.admits(moves(&actors, fake_store));
            if moves.is_empty() {
                return Self::look_at_end(stage);
            }
            match moves[choices.of(moves.len())] {
                Move::Step(request) => {
                    turn.pass_to(request.actor, &fake_store.requests());
                    step(request.actor, Some(request), &mut actors, fake_store);
                }
                Move::Arrive(index) => fake_store.arrive(index),
                Move::Kill => {
                    choices.record(|| "0 is killed".to_owned());
                    fake_store.faults.set(fake_store.faults.get() - 1);
                    actors[0] = None;
                    for act in self.runtimes[0] {
                        invariants.abandon(act.container());
                    }
                }
            }
        }
    }

    /// What there is once each call has ended, and then once each sandbox has.
    fn look_at_end(stage: &Stage<'_>) -> Result<(), String> {
        stage.fake_store.faults.set(0);
        stage.clear();
        invariants::look_at_leftovers(stage)?;
        match stage.fake_store.held().first() {
            Some(lost) => Err(format!("{lost} is still held after every DEL")),
            None => Ok(()),
        }
    }
}

/// Whose requests arrive, where it is counted how often that changes.
struct Turn {
    of: Option<usize>,
    switches: Option<usize>,
}

impl Turn {
    /// Of these moves those that are within bounds.
    fn admits(&self, moves: Vec<Move>) -> Vec<Move> {
        let goes_on =
            |it: &Move| matches!(it, Move::Step(request) if Some(request.actor) == self.of);
        let stays = self.switches == Some(0) && moves.iter().any(goes_on);
        let is_within = |it: &Move| !stays || goes_on(it) || !matches!(it, Move::Step(_));
        moves.into_iter().filter(is_within).collect()
    }

    fn pass_to(&mut self, actor: usize, requests: &[RequestId]) {
        let Some(switches) = &mut self.switches else {
            return;
        };
        let of = self.of.replace(actor);
        let goes_on = |request: &RequestId| Some(request.actor) == of;
        if of != Some(actor) && requests.iter().any(goes_on) {
            *switches -= 1;
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
