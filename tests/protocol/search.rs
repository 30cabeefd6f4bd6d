//! Every run of something that asks for choices: depth first, by doing it again from the beginning.
//!
//! What it is that runs, and what a state of it is, is [`scenario`](crate::scenario)'s business. A
//! state that was met before is not gone on from: whatever follows from it was seen then, or will
//! be when that run is taken up again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// The choices of one run: those of an earlier run as far as they go, then always the first.
#[derive(Default)]
pub struct Choices {
    /// What was chosen, and out of how many.
    taken: RefCell<Vec<(usize, usize)>>,
    /// How many of them this run has asked for.
    asked: Cell<usize>,
    /// The states that all runs so far have reached, each with the most that was left of what bounds
    /// a run.
    met: RefCell<HashMap<u64, usize>>,
    /// What happened, in words, if it is to be shown.
    story: Option<RefCell<Vec<String>>>,
}

/// What a state is to a run that reaches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// On the way that an earlier run has gone.
    Passed,
    /// An earlier run has gone on from it.
    Met,
    /// None has.
    New,
}

impl Choices {
    /// One of `options`, each in some run.
    pub fn of(&self, options: usize) -> usize {
        if options == 1 {
            return 0;
        }
        let mut taken = self.taken.borrow_mut();
        let asked = self.asked.replace(self.asked.get() + 1);
        if asked == taken.len() {
            taken.push((0, options));
        }
        taken[asked].0
    }

    /// What this state, named by a hash of all that matters of it, is to this run. A state that was
    /// met with less left is gone on from again.
    pub fn visit(&self, state: u64, left: usize) -> Visit {
        if self.story.is_some() {
            return Visit::New;
        }
        if self.asked.get() < self.taken.borrow().len() {
            return Visit::Passed;
        }
        let mut met = self.met.borrow_mut();
        let before = met.get(&state).copied();
        if before.is_some_and(|before| before >= left) {
            return Visit::Met;
        }
        met.insert(state, left);
        Visit::New
    }

    /// Notes what happens in a run that is recorded.
    pub fn record(&self, what: impl FnOnce() -> String) {
        if let Some(story) = &self.story {
            story.borrow_mut().push(what());
        }
    }

    /// Goes on to the run after this one, if there is another.
    fn advance(&mut self) -> bool {
        self.asked.set(0);
        let taken = self.taken.get_mut();
        while let Some((chosen, options)) = taken.pop() {
            if chosen + 1 < options {
                taken.push((chosen + 1, options));
                return true;
            }
        }
        false
    }
}

/// Runs until no choice is left that leads to a state not met yet. Says how many states there are,
/// or what went wrong and how that was reached.
pub fn every_order(run: impl Fn(&Choices) -> Result<(), String>) -> Result<usize, String> {
    let mut choices = Choices::default();
    loop {
        if let Err(fault) = run(&choices) {
            choices.asked.set(0);
            choices.story = Some(RefCell::default());
            let again = run(&choices).expect_err("the same choices, the same fault");
            assert_eq!(fault, again, "a run depends on its choices alone");
            let story = choices.story.map(RefCell::into_inner).unwrap_or_default();
            let states = choices.met.into_inner().len();
            let story = story.join("\n");
            return Err(format!("{fault}, the last of {states} states\n{story}"));
        }
        if !choices.advance() {
            return Ok(choices.met.into_inner().len());
        }
    }
}
